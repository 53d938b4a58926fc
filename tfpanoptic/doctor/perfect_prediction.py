"""What a perfect network of a configuration predicts: truth -> targets -> outputs of its heads -> its own grouping.

The image goes the way of training and inference: the input-size policy resizes and pads the truth as it does the
image, the architecture makes the outputs that its heads would give for it and groups them, and the segments return
to the file's size. TensorFlow is loaded when this is used: targets and grouping are made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.panoptic_map import category_of
from tfpanoptic.segment_map import SegmentMap, from_tables, to_panoptic_map


def perfect_predictor(
    architecture: Any, model: Any, input_config: Any, categories: CategoryTable, known: CategoryTable | None = None
) -> Callable[[SegmentMap], SegmentMap]:
    """A function: true segment map of one image -> the one that a perfect network predicts, at the same size.

    Args:
        architecture: an `Architecture`.
        model: its configuration.
        input_config: the input-size policy, `data.input_size.InputConfig`.
        categories: those of the truth.
        known: the network's own, if it lacks the last ones of `categories`; those it cannot predict.
    """
    import tensorflow as tf

    from tfpanoptic.data.input_size import network_size, resized_size
    from tfpanoptic.ops.resize import nearest_to_size

    known = known or categories
    aligned = input_config.align_corners

    def group(outputs, size, valid_size, own_size):
        found = architecture.postprocess(outputs, tf.unstack(size), valid_size[None], model, known)
        own = nearest_to_size(found["segment_ids"], tf.unstack(valid_size), tf.unstack(own_size), aligned)
        return own[0], found["labels"][0]

    # With every side left open one trace is enough, which takes as long as twenty images.
    example = architecture.perfect_outputs(np.zeros((32, 32), np.int32), model, known)
    outputs_spec = {name: tf.TensorSpec((1, None, None, maps.shape[-1])) for name, maps in example.items()}
    sides = tf.TensorSpec((2,), tf.int32)
    traced = tf.function(group, autograph=False).get_concrete_function(outputs_spec, sides, sides, sides)

    def predict(truth: SegmentMap) -> SegmentMap:
        panoptic, _ = to_panoptic_map(truth, categories)
        panoptic = np.where(category_of(panoptic) <= len(known), panoptic, 0)
        valid_size = resized_size(*truth.shape, input_config)
        size = network_size(*truth.shape, input_config)
        resized = np.asarray(nearest_to_size(panoptic[None], truth.shape, valid_size, aligned))[0]
        padded = np.pad(resized, [(0, whole - part) for whole, part in zip(size, valid_size, strict=True)])
        outputs = architecture.perfect_outputs(padded, model, known)
        tensors = {name: tf.constant(maps) for name, maps in outputs.items()}
        sizes = (tf.constant(pair, tf.int32) for pair in (size, valid_size, truth.shape))
        return from_tables(*(tensor.numpy() for tensor in traced(tensors, *sizes)))

    return predict
