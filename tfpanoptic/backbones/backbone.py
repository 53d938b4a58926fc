"""The Backbone record: what a model needs to know of a network that turns an image into feature maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, ValidationInfo

from tfpanoptic.settings.config import StrictConfig

if TYPE_CHECKING:
    import keras


class ImageNet(NamedTuple):
    """ImageNet weights of `keras.applications` for a backbone; `backbones.imagenet` puts them in.

    Attributes:
        application: (config) -> name in `keras.applications`, and its arguments beside `weights` and `include_top`.
        layers: (config) -> dict: layer of ours -> its convolution and its normalisation there; the normalisation is
            None for a convolution alone. The first one is that of the image.
        epsilon: of the normalisations there.
        mean: taken from the image's red, green and blue there, 0..255.
        divisor: the image is divided by it then.
        channels: order of the image's channels there.
        bundled: (config) -> the file with these weights that comes with the package, or None.
    """

    application: Callable[[Any], tuple[str, dict[str, Any]]]
    layers: Callable[[Any], dict[str, tuple[str, str | None]]]
    epsilon: float
    mean: tuple[float, float, float]
    divisor: float
    channels: Literal["RGB", "BGR"] = "RGB"
    bundled: Callable[[Any], Path | None] = lambda config: None


class Backbone(NamedTuple):
    """One kind of backbone; one per file. Configuration and strides need no Keras, so that settings can be checked.

    Attributes:
        config: class of its configuration, a `StrictConfig` whose `name` is a key of `BACKBONES`. Its `weights` say
            where training starts from: "imagenet", or null for random ones.
        build: (image float32 `[B, H, W, 3]`, normalised; config; `layers.norm.Norm`; seed int32 `[B, 2]` or None, for
            what training drops) -> dict: endpoint -> tensor.
        strides: (config) -> dict: endpoint -> its stride in pixels of the image, from fine to coarse.
        imagenet: where `weights: imagenet` come from.
    """

    config: type[StrictConfig]
    build: Callable[..., dict[str, keras.KerasTensor]]
    strides: Callable[[Any], dict[str, int]]
    imagenet: ImageNet | None = None

    def drops(self, config: Any) -> bool:
        """Whether training drops paths of a backbone of this configuration, and needs a seed for it."""
        return getattr(config, "drop_path", 0.0) > 0


def _refuse_weights(weights: Any, info: ValidationInfo) -> None:
    if weights is not None:
        raise ValueError(f"expected null: there are no ImageNet weights for {info.data.get('name', 'this backbone')}")


# Type of `weights` for a backbone without ImageNet weights; stands after `name`.
NoWeights = Annotated[None, BeforeValidator(_refuse_weights)]


def require_for_imagenet(config: Any, **settings: Any) -> None:
    """Refuses `weights: imagenet` unless the network is the one that these weights were trained in.

    Args:
        config: the backbone's configuration.
        settings: values that these weights need.

    Raises:
        ValueError: a value differs.
    """
    for key, value in settings.items():
        found = getattr(config, key)
        if config.weights == "imagenet" and found != value:
            raise ValueError(f"weights imagenet of {config.name} need {key}: {_yaml(value)}, found {_yaml(found)}")


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
