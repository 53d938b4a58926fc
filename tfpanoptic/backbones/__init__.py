"""Backbones: from a normalised image to endpoints such as `res1` .. `res5`; imports no Keras before it builds."""

from tfpanoptic.backbones.axial_resnet import AXIAL_RESNET
from tfpanoptic.backbones.axial_swidernet import AXIAL_SWIDERNET
from tfpanoptic.backbones.mobilenet_v2 import MOBILENET_V2
from tfpanoptic.backbones.mobilenet_v3 import MOBILENET_V3
from tfpanoptic.backbones.resnet import RESNET
from tfpanoptic.backbones.wide_resnet import WIDE_RESNET
from tfpanoptic.backbones.xception import XCEPTION

BACKBONES = {
    "resnet10": RESNET,
    "resnet18": RESNET,
    "resnet50": RESNET,
    "resnet101": RESNET,
    "mobilenet_v2": MOBILENET_V2,
    "mobilenet_v3_large": MOBILENET_V3,
    "mobilenet_v3_small": MOBILENET_V3,
    "xception_41": XCEPTION,
    "xception_65": XCEPTION,
    "xception_71": XCEPTION,
    "wide_resnet41": WIDE_RESNET,
    "swidernet": WIDE_RESNET,
    "axial_resnet_s": AXIAL_RESNET,
    "axial_resnet_m": AXIAL_RESNET,
    "axial_resnet_l": AXIAL_RESNET,
    "axial_resnet_xl": AXIAL_RESNET,
    "axial_deeplab_s": AXIAL_RESNET,
    "axial_deeplab_m": AXIAL_RESNET,
    "axial_deeplab_l": AXIAL_RESNET,
    "axial_deeplab_xl": AXIAL_RESNET,
    "max_deeplab_s_backbone": AXIAL_RESNET,
    "axial_swidernet": AXIAL_SWIDERNET,
    "max_deeplab_l_backbone": AXIAL_SWIDERNET,
}
