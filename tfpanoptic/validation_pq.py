"""PQ of the validation images in `fit`: for the history, and for callbacks that stop or save by it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class ValidationPQ(keras.callbacks.Callback):
    """Adds `val_pq`, `val_pq_things` and `val_pq_stuff` to what `fit` logs, fractions, NaN without any segment.

    Truth and prediction are compared at the files' own size, as `PanopticSegmenter.evaluate_panoptic` does it.
    Callbacks that monitor these numbers, such as `ModelCheckpoint` and `EarlyStopping`, come after this one in the
    list and need `mode="max"`. An epoch that is not evaluated has none of them.

    Args:
        dataset: images with truth, of the model's categories, or "val" or "train" of its own data.
        limit: only so many images, the first ones.
        every: epochs from one evaluation to the next.
    """

    def __init__(self, dataset: Any = "val", limit: int | None = None, every: int = 1):
        super().__init__()
        self.dataset, self.limit, self.every = dataset, limit, every

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Evaluates; `logs` is what later callbacks see."""
        if logs is None or (epoch + 1) % self.every:
            return
        summary = self.model.evaluate_panoptic(self.dataset, limit=self.limit)
        for group, suffix in (("all", ""), ("things", "_things"), ("stuff", "_stuff")):
            pq = summary[group]["pq"]
            logs[f"val_pq{suffix}"] = np.nan if pq is None else pq
