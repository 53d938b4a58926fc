"""Keras metrics over panoptic maps, with additive counters."""

from tfpanoptic.metrics.panoptic_quality import PanopticQuality
from tfpanoptic.metrics.parsing_covering import ParsingCovering
from tfpanoptic.metrics.semantic_iou import SemanticIoU

METRICS = {
    "panoptic_quality": PanopticQuality,
    "semantic_iou": SemanticIoU,
    "parsing_covering": ParsingCovering,
}
