"""Panoptic architectures."""

from tfpanoptic.models import deeperlab, panoptic_deeplab, panoptic_fpn, upsnet

ARCHITECTURES = {
    "deeperlab": deeperlab.ARCHITECTURE,
    "panoptic_deeplab": panoptic_deeplab.ARCHITECTURE,
    "panoptic_fpn": panoptic_fpn.ARCHITECTURE,
    "upsnet": upsnet.ARCHITECTURE,
}
