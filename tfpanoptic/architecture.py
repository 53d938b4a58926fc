"""The Architecture record: what the rest of the library needs to know of a panoptic architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras


class Networks(NamedTuple):
    """Two functional models wired from the same layers, with one set of weights.

    Both take `image` float32 `[B, H, W, 3]`, RGB 0..255, and `valid_size` int32 `[B, 2]`, and return a
    dict of tensors at the heads' own strides. `train` may take truth as further inputs.
    """

    train: keras.Model
    infer: keras.Model


class Architecture(NamedTuple):
    """One architecture; one per file in `models/`.

    Attributes:
        name: key in `ARCHITECTURES`.
        config: class of its configuration, a `StrictConfig`.
        build: (config, categories) -> `Networks`.
        targets: (panoptic int32 `[H, W]`, config, categories) -> dict of target tensors; TensorFlow, inside tf.data.
        loss: (outputs, targets, config, categories) -> dict of float32 `[B]`, to be weighted by `config.loss_weights`.
        postprocess: (outputs, size, valid_size, config, categories) -> dict, see `postprocess/`:
            `segment_ids` int32 `[B, H, W]`, 0 void, else row + 1 of the tables
            `labels` int32 `[B, N]`, panoptic-map label of each row, 0 in empty rows
            `scores` float32 `[B, N]`
        channels: (config, categories) -> dict: head -> tuple with the category id of each channel, 0 for void.
    """

    name: str
    config: type
    build: Callable[..., Networks]
    targets: Callable[..., dict[str, Any]]
    loss: Callable[..., dict[str, Any]]
    postprocess: Callable[..., dict[str, Any]]
    channels: Callable[..., dict[str, tuple[int, ...]]]
