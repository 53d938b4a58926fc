"""Weights of other projects -> ours.

Each converter has `read_checkpoint` and `load_variables`. What it may have besides: `load_backbone`, for weights that
training starts from; `add_backbone`, for weights that are published without it; `notes`, lines about what it changed;
and `licence`, what is known of that of the weights.
"""

from tfpanoptic.convert import deeplab2, detectron2, eomt

CONVERTERS = {"deeplab2": deeplab2, "detectron2": detectron2, "eomt": eomt}
