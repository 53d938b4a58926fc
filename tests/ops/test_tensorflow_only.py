"""What needs TensorFlow says so on another backend, before it writes anything."""

import keras
import numpy as np
import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.metrics import METRICS
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.train.loop import train

IMAGE = np.zeros((16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def segmenter(tiny_run):
    return PanopticSegmenter.from_preset(tiny_run)


@pytest.mark.parametrize(
    "what, use",
    [
        ("segment", lambda model, folder: model.segment(IMAGE)),
        ("segment", lambda model, folder: model.segment([IMAGE])),
        ("segment_map", lambda model, folder: model.segment_map(IMAGE)),
        ("evaluate_panoptic", lambda model, folder: model.evaluate_panoptic("val")),
        ("batches", lambda model, folder: model.batches("train")),
        ("export", lambda model, folder: model.export(folder / "saved_model")),
        ("training", lambda model, folder: train(model.experiment, folder / "run")),
        *((kind.__name__, lambda model, folder, kind=kind: kind(model.categories)) for kind in METRICS.values()),
    ],
)
def test_a_method_that_needs_tensorflow_says_so(segmenter, what, use, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match=f"^{what} needs KERAS_BACKEND=tensorflow, found jax$"):
        use(segmenter, tmp_path)
    assert not list(tmp_path.iterdir())
