"""UPSNet's own parts on the backend of KERAS_BACKEND, on its stored scene, as an .npz file.

Usage: compute_upsnet_parts.py FILE. Under JAX, importing TensorFlow fails.
"""

import os
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None

import keras
import numpy as np
from keras import ops

from tests.fixtures.upsnet import scene
from tfpanoptic.layers.upsnet_semantic import SharedDeformableHead
from tfpanoptic.losses.panoptic_logits import panoptic_logits, panoptic_logits_loss, panoptic_target
from tfpanoptic.losses.roi_semantic import roi_semantic_loss
from tfpanoptic.ops.deformable_conv import deformable_conv
from tfpanoptic.ops.kept_instances import kept_instances
from tfpanoptic.postprocess.panoptic_logits import upsnet_postprocess


def main(path: str) -> None:
    """Computes everything and writes `path`."""
    results = {**convolutions(), **compiled(losses)(scene.truth()), **compiled(segments)(scene.detections())}
    np.savez(path, **{key: ops.convert_to_numpy(value) for key, value in results.items()})


def compiled(function):
    """`function` as one graph; JAX compiles each operation by itself otherwise, which takes minutes."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def convolutions() -> dict:
    """A deformable convolution, its gradients, and the head made of them."""
    random = np.random.default_rng(0)
    inputs = [
        ops.convert_to_tensor(values.astype("float32"))
        for values in (
            random.normal(size=(2, 5, 6, 3)),
            random.uniform(-3, 3, (2, 5, 6, 18)),
            random.normal(size=(3, 3, 3, 4)),
        )
    ]
    head = SharedDeformableHead(4, (5, 3))
    levels = [random.normal(size=(1, 16 >> level, 24 >> level, 6)).astype("float32") for level in range(4)]
    head.build([level.shape for level in levels])
    for weight in head.weights:
        weight.assign(random.normal(size=weight.shape, scale=0.1))
    gradients = compiled(gradients_of_squares)(*inputs)
    return {
        "convolution": deformable_conv(*inputs),
        **{f"gradient/{number}": gradient for number, gradient in enumerate(gradients)},
        "head": compiled(head)(levels),
    }


def gradients_of_squares(*inputs):
    """Gradients of the sum of a deformable convolution's squares."""

    def total(*inputs):
        return ops.sum(ops.square(deformable_conv(*inputs)))

    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(total, argnums=(0, 1, 2))(*inputs)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = total(*inputs)
    return tape.gradient(value, inputs)


def losses(truth: dict) -> dict:
    """Losses of the training half, and what they are made of."""
    given = {"channels": scene.MIXED, "thing_ids": scene.THINGS}
    inputs = (truth[name] for name in ("semantic_logits", "boxes", "box_category", "kept", "mask_logits"))
    labels = (truth[name] for name in ("semantic", "instance_map", "box_category", "kept"))
    exists = np.arange(30) < np.array([[0], [7], [30]])
    scores = truth["semantic_logits"][:, None, :28, :28] + np.zeros((6, 1, 1, 1), "float32")
    return {
        # Those of instances that take no part would hide every difference.
        "logits": ops.maximum(panoptic_logits(*inputs, **given), -100.0),
        "target": panoptic_target(*labels, **given),
        "loss": panoptic_logits_loss(**truth, **given),
        "roi_loss": roi_semantic_loss(scores, truth["semantic"], truth["boxes"], truth["kept"], scene.MIXED),
        "kept": kept_instances(np.array([[1, 2], [3, 4], [5, 6]], "int32"), exists, 0.7, draw=3),
    }


def segments(detections: dict) -> dict:
    """Segments of the inference half at twice its size."""
    valid_size = np.array([[128, 150]], "int32")
    arguments = scene.CHANNELS, scene.THINGS, scene.NUM_CATEGORIES, 0.3, scene.STUFF_AREA
    return upsnet_postprocess(detections, (128, 192), valid_size, *arguments)._asdict()


if __name__ == "__main__":
    main(sys.argv[1])
