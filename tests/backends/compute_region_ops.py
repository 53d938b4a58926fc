"""The operations of a two-stage detector on the backend of KERAS_BACKEND, as an .npz file.

Usage: compute_region_ops.py FILE. Under JAX, importing TensorFlow fails.
"""

import os
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None

import keras
import numpy as np
from keras import ops

from tfpanoptic.ops.detections import detect_by_class, detect_over_classes
from tfpanoptic.ops.mask_targets import mask_targets
from tfpanoptic.ops.proposals import propose
from tfpanoptic.ops.regions import match_anchors, match_regions, sample_matches
from tfpanoptic.ops.roi_align import roi_align
from tfpanoptic.postprocess.merge_instances import panoptic_fpn_postprocess

STRIDES = (4, 8)
SEED = np.array([[1, 2], [3, 4]], "int32")
VALID = np.array([[60, 70], [64, 80]], "int32")


def main(path: str) -> None:
    """Computes everything and writes `path`."""
    random = np.random.default_rng(0)
    features = [random.normal(size=(2, 64 // s, 80 // s, 3)).astype("float32") for s in STRIDES]
    boxes = random_boxes(random, 30)
    results = {
        **compiled(pooling)(features, boxes, random.normal(size=(2, 30, 7, 7, 3)).astype("float32")),
        **compiled(learning)(boxes, random_boxes(random, 5)),
        **compiled(finding)(*(random.normal(size=(2, n)).astype("float32") for n in (60, 20)), *deltas(random)),
        **compiled(merging)(random_boxes(random, 8), random.normal(1, 2, (2, 8, 28, 28)).astype("float32")),
    }
    np.savez(path, **{key: ops.convert_to_numpy(value) for key, value in results.items()})


def compiled(function):
    """`function` as one graph; JAX compiles each operation by itself otherwise, which takes minutes."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def random_boxes(random, count):
    low = random.uniform(-5, 60, (2, count, 2))
    return np.concatenate([low, low + random.uniform(1, 40, (2, count, 2))], axis=-1).astype("float32")


def deltas(random):
    return [random.normal(0, 0.2, (2, n, 4)).astype("float32") for n in (60, 20)]


def pooling(features, boxes, upstream) -> dict:
    """RoIAlign with its gradient, and mask targets."""
    instance_map = (np.arange(2 * 64 * 80, dtype="int32").reshape(2, 64, 80) // 400) % 7
    return {
        "roi_align": roi_align(features, STRIDES, boxes, 7),
        "roi_align_plain": roi_align(features, STRIDES, boxes, 5, 2, False),
        **gradient_of_pooling(features, boxes, upstream),
        "masks": mask_targets(instance_map, boxes, np.tile(np.arange(30, dtype="int32") % 7, (2, 1)), 28),
    }


def gradient_of_pooling(features, boxes, upstream) -> dict:
    """Gradients of <RoIAlign, upstream> in the features."""

    def total(features):
        return ops.sum(roi_align(features, STRIDES, boxes, 7) * upstream)

    if keras.backend.backend() == "jax":
        import jax

        found = jax.grad(total)(features)
    else:
        import tensorflow as tf

        features = [tf.constant(level) for level in features]
        with tf.GradientTape() as tape:
            tape.watch(features)
            value = total(features)
        found = tape.gradient(value, features)
    return {f"gradient/{number}": gradient for number, gradient in enumerate(found)}


def learning(boxes, truth) -> dict:
    """Matches and samples of anchors and of regions."""
    exists = np.array([[True] * 5, [True] * 2 + [False] * 3])
    anchors, regions = (
        match_anchors(boxes[0], truth, exists),
        match_regions(boxes, boxes[..., 0] > 0, truth, exists, 0.3),
    )
    results = {}
    for name, matches in (("anchors", anchors), ("regions", regions)):
        index, label = sample_matches(matches, SEED, 12, 0.5, draw=0)
        results |= {f"{name}/{key}": ops.cast(value, "int32") for key, value in matches._asdict().items()}
        results |= {f"{name}/index": index, f"{name}/label": label}
    return results


def finding(fine, coarse, fine_deltas, coarse_deltas) -> dict:
    """Proposals, and detections among them."""
    random = np.random.default_rng(5)
    anchors = [random_boxes(random, n)[0] for n in (60, 20)]
    boxes, scores = propose([fine, coarse], [fine_deltas, coarse_deltas], anchors, VALID, 40, 24, 0.6)
    of_class = ops.expand_dims(boxes, 2) + np.arange(3, dtype="float32").reshape(1, 1, 3, 1)
    probability = ops.softmax(np.random.default_rng(6).normal(0, 2, (2, 24, 3)).astype("float32"), axis=-1)
    results = {"proposals": boxes, "proposal_scores": scores}
    for name, detect in (("by_class", detect_by_class), ("over_classes", detect_over_classes)):
        results |= {
            f"{name}/{key}": value for key, value in detect(of_class, probability, 9, 0.2, 0.5)._asdict().items()
        }
    return results


def merging(boxes, mask_logits) -> dict:
    """Segments of Panoptic FPN."""
    random = np.random.default_rng(7)
    outputs = {
        "semantic_logits": random.normal(size=(2, 16, 20, 3)).astype("float32"),
        "scores": np.tile(np.linspace(0.9, 0.3, 8, dtype="float32"), (2, 1)),
        "box_category": np.array([[1, 2, 1, 0, 1, 2, 1, 1], [2, 2, 1, 1, 1, 2, 1, 1]], "int32"),
        "boxes": boxes,
        "mask_logits": mask_logits,
    }
    segments = panoptic_fpn_postprocess(outputs, (64, 80), VALID, (0, 3, 4), (3, 4), 4, 0.4, 0.5, 30)
    return {f"merged/{key}": value for key, value in segments._asdict().items()}


if __name__ == "__main__":
    main(sys.argv[1])
