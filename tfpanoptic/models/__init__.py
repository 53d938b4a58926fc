"""Panoptic architectures."""

from tfpanoptic.models import panoptic_deeplab

ARCHITECTURES = {"panoptic_deeplab": panoptic_deeplab.ARCHITECTURE}
