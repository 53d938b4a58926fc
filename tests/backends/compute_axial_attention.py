"""Axial attention on the backend of KERAS_BACKEND, with its statistics and gradients, as an .npz file.

Usage: compute_axial_attention.py FILE. Under JAX, importing TensorFlow fails.
"""

import os
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None

import keras
import numpy as np
from keras import ops

from tfpanoptic.layers.axial_attention import AxialAttention
from tfpanoptic.ops import chunks

# Whole rows, and rows in blocks of 16 queries.
SPANS = (None, 5)


def main(path: str) -> None:
    """Computes everything and writes `path`."""
    chunks.TOGETHER = 2**13  # several chunks, the last one not full
    results = {}
    for span in SPANS:
        layer = AxialAttention(4, 6, 2, stride=2, span=span, name="attention")
        x = np.random.default_rng(0).normal(size=(2, 40, 44, 4)).astype("float32")
        layer.build(x.shape)
        for number, weight in enumerate(layer.weights):
            random = np.random.default_rng(number)
            if weight.name in ("gamma", "moving_variance"):
                weight.assign(random.uniform(0.8, 1.2, weight.shape))
            else:
                weight.assign(random.normal(size=weight.shape, scale=0.5))
        found = {"inference": layer(x), **training(layer, x)}
        results |= {f"{span}/{key}": value for key, value in found.items()}
    np.savez(path, **{key: ops.convert_to_numpy(value) for key, value in results.items()})


def training(layer, x) -> dict:
    """Outputs, moved statistics, and gradients of a sum in the map and in every weight."""
    trainable = [weight.value for weight in layer.trainable_variables]
    fixed = [weight.value for weight in layer.non_trainable_variables]

    def total(x, trainable):
        outputs, moved = layer.stateless_call(trainable, fixed, x, training=True)
        return ops.sum(ops.sin(outputs)), (outputs, moved)

    if keras.backend.backend() == "jax":
        import jax

        of, (outputs, moved) = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(x, trainable)
        of = [of[0], *of[1]]
    else:
        import tensorflow as tf

        x, trainable = tf.constant(x), [tf.convert_to_tensor(value) for value in trainable]
        with tf.GradientTape() as tape:
            tape.watch([x, *trainable])
            value, (outputs, moved) = total(x, trainable)
        of = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, [x, *trainable])]
    results = {"True/outputs": outputs}
    results |= {f"True/moved/{number}": value for number, value in enumerate(moved)}
    results["True/gradient"] = of[0]
    # The next axis normalises away what this one adds to its output: a gradient of rounding errors.
    paths = [weight.path for weight in layer.trainable_variables]
    named = zip(paths, of[1:], strict=True)
    return results | {f"True/{p}": value for p, value in named if not p.endswith("height_axis/output_norm/beta")}


if __name__ == "__main__":
    main(sys.argv[1])
