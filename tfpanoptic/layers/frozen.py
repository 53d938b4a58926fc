"""Which layers of a model are frozen: what a saved model keeps of `layer.trainable = False`."""

from __future__ import annotations

from collections.abc import Collection

import keras


def frozen_layers(model: keras.Model) -> list[str]:
    """Paths of the layers within a model, at any depth, whose `trainable` is False; only of those with weights."""
    layers = model._flatten_layers(include_self=False)
    return sorted({layer.path for layer in layers if layer.weights and not layer.trainable})


def freeze_layers(model: keras.Model, frozen: Collection[str]) -> None:
    """Sets `trainable` of all layers within a model with weights, as `frozen_layers` gave it."""
    for layer in model._flatten_layers(include_self=False):  # a layer before its parts: setting it sets them, too
        if layer.weights:
            layer.trainable = layer.path not in frozen
