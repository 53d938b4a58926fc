"""Panoptic architectures."""

from tfpanoptic.models import panoptic_deeplab, panoptic_fpn

ARCHITECTURES = {
    "panoptic_deeplab": panoptic_deeplab.ARCHITECTURE,
    "panoptic_fpn": panoptic_fpn.ARCHITECTURE,
}
