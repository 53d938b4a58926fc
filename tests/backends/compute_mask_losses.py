"""Matching and losses of mask transformers on the backend of KERAS_BACKEND, as an .npz file.

Usage: compute_mask_losses.py FILE. Under JAX, importing TensorFlow fails.
"""

import os
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None

import keras
import numpy as np
from keras import ops

from tests.losses.mask_loss_cases import case_of, random_scene
from tfpanoptic.losses.mask_classification import loss_at_points, mask_classification_counts, mask_classification_loss
from tfpanoptic.losses.uncertain_points import given_points, point_counts

CHANNELS = (1, 2, 3, 4, 5, 6, 0)


def main(path: str) -> None:
    """Computes everything and writes `path`."""
    results = {}
    outputs, targets = random_scene(0, (5, 0))
    results |= with_gradients(
        "drawn", outputs, lambda outputs: mask_classification_loss(outputs, targets, CHANNELS, 2, 40)
    )
    results |= {f"count/{key}": value for key, value in mask_classification_counts(targets, 11).items()}
    case = case_of("more_targets_than_queries")
    counts = point_counts(case["points"], 3, 0.75)
    given = [case["for_matching"]], given_points, [case["of_pairs"]], counts, 0.1
    results |= with_gradients(
        "given", case["outputs"], lambda outputs: loss_at_points(outputs, case["targets"], case["channels"], *given)
    )
    np.savez(path, **{key: ops.convert_to_numpy(value) for key, value in results.items()})


def with_gradients(name: str, outputs: dict, loss) -> dict:
    """Terms of each image, and the gradients of their sum in the outputs."""

    def total(outputs):
        terms = loss(outputs)
        return sum(ops.sum(term) for term in terms.values()), terms

    if keras.backend.backend() == "jax":
        import jax

        gradients, terms = jax.jit(jax.grad(total, has_aux=True))(outputs)
    else:
        import tensorflow as tf

        outputs = {key: tf.constant(value) for key, value in outputs.items()}
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value, terms = total(outputs)
        gradients = tape.gradient(value, outputs)
    found = {f"{name}/{key}": value for key, value in terms.items()}
    return found | {f"{name}/gradient/{key}": value for key, value in gradients.items()}


if __name__ == "__main__":
    main(sys.argv[1])
