import keras
import numpy as np
import pytest

import tfpanoptic as tp
from tfpanoptic.segmenter import PanopticSegmenter


@pytest.fixture(scope="module")
def fitted(tiny_run, tmp_path_factory):
    """A model after two epochs that only the second is evaluated of, their history, and what was kept by PQ."""
    model = PanopticSegmenter.from_preset(tiny_run)
    model.compile("sgd", jit_compile=False)
    kept = tmp_path_factory.mktemp("fit") / "best.keras"
    callbacks = [
        tp.ValidationPQ(limit=2, every=2),
        keras.callbacks.EarlyStopping(monitor="val_pq_stuff", mode="max"),
        keras.callbacks.ModelCheckpoint(kept, monitor="val_pq", mode="max", save_best_only=True),
    ]
    history = model.fit(model.batches("train"), steps_per_epoch=1, epochs=2, callbacks=callbacks, verbose=0).history
    return model, history, kept


def test_the_history_holds_the_pq_of_the_evaluation(fitted):
    model, history, _ = fitted
    summary = model.evaluate_panoptic("val", limit=2)
    for name, group in (("val_pq", "all"), ("val_pq_things", "things"), ("val_pq_stuff", "stuff")):
        expected = np.nan if summary[group]["pq"] is None else summary[group]["pq"]
        assert history[name] == pytest.approx([expected], nan_ok=True), name


def test_a_checkpoint_is_kept_by_pq_and_keeps_the_optimizer(fitted):
    model, _, kept = fitted
    loaded = keras.saving.load_model(kept)
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 2
    for ours, theirs in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
