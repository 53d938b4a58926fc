"""Panoptic architectures."""

from tfpanoptic.models import axial_deeplab, deeperlab, eomt, panoptic_deeplab, panoptic_fpn, upsnet

ARCHITECTURES = {
    "axial_deeplab": axial_deeplab.ARCHITECTURE,
    "deeperlab": deeperlab.ARCHITECTURE,
    "eomt": eomt.ARCHITECTURE,
    "panoptic_deeplab": panoptic_deeplab.ARCHITECTURE,
    "panoptic_fpn": panoptic_fpn.ARCHITECTURE,
    "upsnet": upsnet.ARCHITECTURE,
}
