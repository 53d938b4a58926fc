"""Dropout whose mask belongs to the image, whichever device computes it."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.ops.sampling import random_uniform


@keras.saving.register_keras_serializable(package="tfpanoptic")
class SeededDropout(keras.layers.Layer):
    """In training, a share of the values of `x` [B, ...] set to 0 and the others scaled up; else `x` as it is.

    The mask of an image is a function of its seed, so one device and several replicas drop the same values, before
    and after a resume. `keras.layers.Dropout` draws from a state of its own on each replica.

    Args:
        rate: the share, 0 to below 1.
        draw: sets the dropouts of one network apart; see `ops.sampling`.
        whole: whether an image's values are dropped all or none (stochastic depth).

    Source: Srivastava et al. 2014, scaled in training as Keras does; Huang et al. 2016 for whole maps.
    """

    def __init__(self, rate: float, draw: int = 0, whole: bool = False, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be in 0 to below 1, got {rate}")
        self.rate, self.draw, self.whole = rate, draw, whole
        self.built = True

    def call(self, x, seed=None, training=None):
        """`x` with its mask in training.

        Args:
            x: float [B, ...].
            seed: int32 [B, 2]; None, as in inference, drops nothing.
        """
        if not training or not self.rate or seed is None:
            return x
        shape = (1,) * (len(x.shape) - 1) if self.whole else ops.shape(x)[1:]
        kept = random_uniform(seed, shape, self.draw) >= self.rate
        return ops.where(kept, x / ops.cast(1.0 - self.rate, x.dtype), ops.zeros_like(x))


def without_seed(network: keras.Model) -> keras.Model:
    """The network that infers: the layers of a train network, which take None where they took its input `seed`.

    A network without that input is its own.
    """
    if "seed" not in network.input:
        return network
    inputs = {name: tensor for name, tensor in network.input.items() if name != "seed"}
    seed = network.input["seed"]

    def call(layer, *args, **kwargs):
        args, kwargs = keras.tree.map_structure(lambda x: None if x is seed else x, (args, kwargs))
        return layer(*args, **kwargs)

    copy = keras.models.clone_model(network, network.input, clone_function=lambda layer: layer, call_function=call)
    return keras.Model(inputs, copy.output, name=network.name)
