"""Panoptic segmentation for Keras 3 and TensorFlow.

```python
import tfpanoptic as tp

model = tp.PanopticSegmenter.from_preset("runs/a")
result = model.segment("street.jpg")
result.save("out/")
```

Names are loaded when first used, so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tfpanoptic.keras_objects import register_with_keras
from tfpanoptic.version import __version__

if TYPE_CHECKING:
    from tfpanoptic.categories import Category, CategoryTable
    from tfpanoptic.errors import InputError
    from tfpanoptic.experiment import Experiment
    from tfpanoptic.metrics.panoptic_quality import PanopticQuality
    from tfpanoptic.metrics.parsing_covering import ParsingCovering
    from tfpanoptic.metrics.semantic_iou import SemanticIoU
    from tfpanoptic.predict.tiles import TiledSegmenter
    from tfpanoptic.result import PanopticResult
    from tfpanoptic.segment_map import SegmentMap
    from tfpanoptic.segmenter import PanopticSegmenter
    from tfpanoptic.validation_pq import ValidationPQ

_HOME = {
    "Category": "categories",
    "CategoryTable": "categories",
    "Experiment": "experiment",
    "InputError": "errors",
    "PanopticQuality": "metrics.panoptic_quality",
    "PanopticResult": "result",
    "PanopticSegmenter": "segmenter",
    "ParsingCovering": "metrics.parsing_covering",
    "SegmentMap": "segment_map",
    "SemanticIoU": "metrics.semantic_iou",
    "TiledSegmenter": "predict.tiles",
    "ValidationPQ": "validation_pq",
}

_SAVED_BY_KERAS = ("PanopticQuality", "PanopticSegmenter", "ParsingCovering", "SemanticIoU")

__all__ = [
    "Category",
    "CategoryTable",
    "Experiment",
    "InputError",
    "PanopticQuality",
    "PanopticResult",
    "PanopticSegmenter",
    "ParsingCovering",
    "SegmentMap",
    "SemanticIoU",
    "TiledSegmenter",
    "ValidationPQ",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tfpanoptic' has no attribute {name!r}")
    return getattr(import_module(f"tfpanoptic.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


register_with_keras({name: _HOME[name] for name in _SAVED_BY_KERAS})
