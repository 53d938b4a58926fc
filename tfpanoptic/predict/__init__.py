"""A model over many images: predictions as files, and evaluation on a dataset."""
