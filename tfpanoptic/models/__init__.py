"""Panoptic architectures."""

from tfpanoptic.models import panoptic_deeplab, panoptic_fpn, upsnet

ARCHITECTURES = {
    "panoptic_deeplab": panoptic_deeplab.ARCHITECTURE,
    "panoptic_fpn": panoptic_fpn.ARCHITECTURE,
    "upsnet": upsnet.ARCHITECTURE,
}
