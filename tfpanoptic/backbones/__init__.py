"""Backbones: from a normalised image to endpoints `res1` .. `res5`.

Each is a function (image, output_stride, norm, further options) -> dict of tensors.
"""

from tfpanoptic.backbones.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from tfpanoptic.backbones.resnet import resnet10, resnet18, resnet50, resnet101

BACKBONES = {
    "resnet10": resnet10,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "mobilenet_v3_large": mobilenet_v3_large,
    "mobilenet_v3_small": mobilenet_v3_small,
}
