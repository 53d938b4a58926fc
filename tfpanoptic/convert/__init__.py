"""Weights of other projects -> ours: each converter has `read_checkpoint` and `load_variables`."""

from tfpanoptic.convert import deeplab2, detectron2

CONVERTERS = {"deeplab2": deeplab2, "detectron2": detectron2}
