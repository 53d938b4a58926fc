"""What a perfect network of a configuration predicts: truth -> targets -> outputs of its heads -> its own grouping.

The image goes the way of training and inference: the input-size policy resizes and pads the truth as it does the
image, the architecture makes the outputs that its heads would give for it and groups them, and the segments return
to the file's size. TensorFlow is loaded when this is used: targets and grouping are made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfpanoptic.architecture import Architecture, Oracle
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.panoptic_map import category_of
from tfpanoptic.segment_map import SegmentMap, from_tables, to_panoptic_map
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import padded_side, resized_size


def perfect_predictor(
    architecture: Architecture,
    model: Any,
    input_config: InputConfig,
    categories: CategoryTable,
    known: CategoryTable | None = None,
) -> Callable[[SegmentMap], SegmentMap]:
    """A function: true segment map of one image -> the one that a perfect network predicts, at the same size.

    Args:
        architecture: the record, with an oracle.
        model: its configuration.
        input_config: the input-size policy.
        categories: those of the truth.
        known: the network's own, if it lacks the last ones of `categories`; those it cannot predict.
    """
    import tensorflow as tf

    from tfpanoptic.data.input_size import prepare_labels
    from tfpanoptic.inference import segments_at_own_size

    known = known or categories
    grid = architecture.grid(model)
    oracle = require_oracle(architecture)

    def group(outputs, size, valid_size, own_size):
        sizes = (tf.unstack(size), valid_size[None], tf.unstack(own_size))
        segments = segments_at_own_size(architecture, model, outputs, *sizes, known)
        return segments.segment_ids[0], segments.labels[0]

    # Sides that differ between two inputs are left open, so that one trace, which takes as long as twenty images,
    # is enough.
    sizes = [(padded_side(n * grid.stride, grid), padded_side(2 * n * grid.stride, grid)) for n in (1, 2)]
    small, large = (oracle.perfect_outputs(np.zeros(size, np.int32), model, known) for size in sizes)
    outputs_spec = {name: _open_spec(maps, large[name]) for name, maps in small.items()}
    pair = tf.TensorSpec((2,), tf.int32)
    traced = tf.function(group, autograph=False).get_concrete_function(outputs_spec, pair, pair, pair)

    def predict(truth: SegmentMap) -> SegmentMap:
        panoptic, _ = to_panoptic_map(truth, categories)
        panoptic = np.where(category_of(panoptic) <= len(known), panoptic, 0)
        padded = prepare_labels(panoptic, input_config, grid).numpy()
        outputs = oracle.perfect_outputs(padded, model, known)
        tensors = {name: tf.constant(maps) for name, maps in outputs.items()}
        sizes = (padded.shape, resized_size(*truth.shape, input_config), truth.shape)
        return from_tables(*(tensor.numpy() for tensor in traced(tensors, *(tf.constant(s, tf.int32) for s in sizes))))

    return predict


def _open_spec(first: np.ndarray, second: np.ndarray):
    """A TensorSpec of both arrays."""
    import tensorflow as tf

    shape = [a if a == b else None for a, b in zip(first.shape, second.shape, strict=True)]
    return tf.TensorSpec(shape, first.dtype)


def require_oracle(architecture: Architecture) -> Oracle:
    """The architecture's oracle.

    Raises:
        InputError: it has none.
    """
    if architecture.oracle is None:
        raise InputError(f"no oracle for {architecture.name}: nobody has said yet what its perfect heads would predict")
    return architecture.oracle
