"""The Backbone record: what a model needs to know of a network that turns an image into feature maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from tfpanoptic.settings.config import StrictConfig

if TYPE_CHECKING:
    import keras


class Backbone(NamedTuple):
    """One kind of backbone; one per file. Configuration and strides need no Keras, so that settings can be checked.

    Attributes:
        config: class of its configuration, a `StrictConfig` whose `name` is a key of `BACKBONES`.
        build: (image float32 `[B, H, W, 3]`, normalised; config; `layers.norm.Norm`) -> dict: endpoint -> tensor.
        strides: (config) -> dict: endpoint -> its stride in pixels of the image, from fine to coarse.
    """

    config: type[StrictConfig]
    build: Callable[..., dict[str, keras.KerasTensor]]
    strides: Callable[[Any], dict[str, int]]
