"""ImageNet weights for backbones: those of `keras.applications`, fetched by it or bundled with the package.

They are fitted to the model that stands, without changing what it computes with its moving statistics: a bias before a
batch normalisation moves its mean, another epsilon its variance, and another scale of the image the first kernel and
its mean. (With another scale the zeros that pad the image are another colour; that reaches the image's border only.)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from tfpanoptic.backbones.backbone import ImageNet
from tfpanoptic.errors import SettingError
from tfpanoptic.layers.normalize_image import IMAGENET_MEAN

SETTING = "model.backbone.weights"
# Mean of red, green and blue, and divisor, of the modes of `NormalizeImage` that are the same for every image.
SCALES = {"symmetric": ((127.5, 127.5, 127.5), 127.5), "imagenet_mean": (IMAGENET_MEAN, 1.0)}


def set_imagenet_weights(
    model: keras.Model, source: ImageNet, config: Any, norm: Any, normalization: str
) -> tuple[str, ...]:
    """Sets the weights of the backbone in `model`; no other.

    Args:
        model: a network with this backbone.
        source: where the weights come from.
        config: the backbone's configuration.
        norm: of the model; its `kind` and `epsilon` count.
        normalization: mode of the model's `layers.normalize_image.NormalizeImage`.

    Returns:
        Paths of the weights that were set.

    Raises:
        SettingError: a normalisation that they cannot be fitted to, or they cannot be fetched.
    """
    if norm.kind not in ("batch", "frozen"):
        raise SettingError("model.norm.kind", f"ImageNet weights need batch or frozen, found {norm.kind}")
    if normalization not in SCALES:
        needed = " or ".join(SCALES)
        raise SettingError("model.normalization", f"ImageNet weights need {needed}, found {normalization}")
    file = source.bundled(config)
    arrays = read_bundled(file) if file else application_arrays(_fetch(source, config), source.layers(config))
    _fit_epsilon(arrays, source.epsilon, norm.epsilon)
    _fit_scale(arrays, next(iter(source.layers(config))), source, *SCALES[normalization])
    weights = {weight.path: weight for weight in model.weights}
    for path, array in arrays.items():
        weights[path].assign(array)
    return tuple(arrays)


def read_bundled(file: Path) -> dict[str, np.ndarray]:
    """Weights of a `.npz` file by their paths, float32."""
    with np.load(file, allow_pickle=False) as arrays:
        return {path: arrays[path].astype("float32") for path in arrays.files}


def application_arrays(application: keras.Model, layers: Mapping[str, tuple[str, str | None]]) -> dict[str, np.ndarray]:
    """Weights of a model of `keras.applications` by the paths of ours, float32.

    Args:
        application: the model.
        layers: as `ImageNet.layers`.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, (convolution, normalization) in layers.items():
        conv = {v.name: ops.convert_to_numpy(v) for v in application.get_layer(convolution).variables}
        if normalization is None:
            arrays |= {f"{name}/{key}": value for key, value in conv.items()}
            continue
        norm = {v.name: ops.convert_to_numpy(v) for v in application.get_layer(normalization).variables}
        # The normalisation takes the bias away again, with the mean.
        norm["moving_mean"] = norm["moving_mean"] - conv.pop("bias", 0.0)
        arrays[f"{name}/conv/kernel"] = conv["kernel"]
        arrays |= {f"{name}/batch_norm/{key}": value for key, value in norm.items()}
    return arrays


def _fetch(source: ImageNet, config: Any) -> keras.Model:
    name, options = source.application(config)
    try:
        return getattr(keras.applications, name)(
            weights="imagenet", include_top=False, input_shape=(224, 224, 3), **options
        )
    except Exception as error:  # what Keras raises without a network has no type of its own
        reason = " ".join(str(error).split())
        raise SettingError(
            SETTING,
            f"the ImageNet weights of {config.name} could not be fetched by keras.applications.{name} ({reason}); "
            "run once with a network, or set it to null, or training.initial_weights to a file",
        ) from None


def _fit_epsilon(arrays: dict[str, np.ndarray], theirs: float, ours: float) -> None:
    """Keeps the sum of each variance and its epsilon."""
    for path in arrays:
        if path.endswith("/moving_variance"):
            arrays[path] = arrays[path] + np.float32(theirs - ours)


def _fit_scale(arrays: dict[str, np.ndarray], first: str, source: ImageNet, mean, divisor: float) -> None:
    """Makes the first convolution take images of `mean` and `divisor`.

    With x the image, ours is z = (x - mean) / divisor; theirs is z * divisor / their divisor + a constant each channel.
    """
    kernel = arrays[f"{first}/conv/kernel"]
    if source.channels == "BGR":
        kernel = kernel[:, :, ::-1]
    shift = (np.subtract(mean, source.mean) / source.divisor).astype("float32")
    arrays[f"{first}/batch_norm/moving_mean"] -= np.einsum("yxcf,c->f", kernel, shift)
    arrays[f"{first}/conv/kernel"] = kernel * np.float32(divisor / source.divisor)
