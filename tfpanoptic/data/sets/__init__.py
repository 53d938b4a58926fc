"""Datasets by name, one file each; `DATASETS` of `tfpanoptic.data` lists them."""
