"""What of a model is frozen: what a saved model keeps of `layer.trainable = False` and `variable.trainable = False`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import keras


def frozen_parts(model: keras.Model) -> list[str]:
    """Paths of what does not train within a model: layers with weights, at any depth, and variables of other layers.

    Variables that never train, as moving averages, are not among them.
    """
    layers = {layer.path for layer in _with_weights(model) if not layer.trainable}
    return sorted(layers | {variable.path for variable in _variables(model) if not variable.trainable})


def freeze_parts(model: keras.Model, frozen: Collection[str]) -> None:
    """Sets `trainable` of all layers within a model with weights, and of their variables, as `frozen_parts` gave it."""
    for layer in _with_weights(model):  # a layer before its parts: setting it sets them, too
        layer.trainable = layer.path not in frozen
    for variable in _variables(model):
        variable.trainable = variable.path not in frozen


def _with_weights(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers(include_self=False) if layer.weights]


def _variables(model: keras.Model) -> Iterator[Any]:
    """What can train in layers that train."""
    for layer in _with_weights(model):
        if layer.trainable:
            yield from layer._trainable_variables
