"""Keras metrics over panoptic maps, with additive counters."""

from tfpanoptic.metrics.panoptic_quality import PanopticQuality

METRICS = {"panoptic_quality": PanopticQuality}
