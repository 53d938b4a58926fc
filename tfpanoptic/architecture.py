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


class Relaxation(NamedTuple):
    """One setting of a configuration moved out of the way, to see what it costs.

    Attributes:
        setting: its path in the experiment's file, such as `model.postprocess.nms_kernel`.
        found: its value in the configuration, for people.
        relaxed: a value that limits less, for people.
        config: the architecture's configuration with that value.
        advice: what to change, if the setting costs much.
        possible: whether a network can have that value; if not, it only shows what there is to gain.
    """

    setting: str
    found: str
    relaxed: str
    config: Any
    advice: str
    possible: bool = True


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
        perfect_outputs: (panoptic int32 `[H, W]`, config, categories) -> dict of NumPy arrays, a batch of
            one: what a perfect network would say of this truth, at the heads' own strides.
        relaxations: (config, the most instances in one image) -> tuple of `Relaxation`: the settings that can keep
            such outputs from giving the truth back.
    """

    name: str
    config: type
    build: Callable[..., Networks]
    targets: Callable[..., dict[str, Any]]
    loss: Callable[..., dict[str, Any]]
    postprocess: Callable[..., dict[str, Any]]
    channels: Callable[..., dict[str, tuple[int, ...]]]
    perfect_outputs: Callable[..., dict[str, Any]]
    relaxations: Callable[..., tuple[Relaxation, ...]]
