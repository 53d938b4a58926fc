"""Outputs of the heads averaged over views of an image: test-time augmentation, in the one graph of all use.

Each view is the image, mirrored or not, at a scale times the size of the input policy. It runs through the network
padded as any image, its outputs are brought to the cells of the reference, which is the image itself at scale 1, and
what the architecture's `Views` says of them is averaged. Post-processing sees one set of outputs.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpanoptic.data.input_size import prepare_batch
from tfpanoptic.experiment import Experiment
from tfpanoptic.ops.center_offset import cell_sides
from tfpanoptic.ops.view_cells import View, on_cells_of
from tfpanoptic.settings.sizes import padded_size, resized_size


def averaged_outputs(network: keras.Model, images, experiment: Experiment) -> tuple[dict[str, Any], tuple, tf.Tensor]:
    """Outputs of the heads that the views of images of one size have together.

    Args:
        network: the `infer` network.
        images: `[B, H, W, 3]`, RGB 0..255, any dtype.
        experiment: its `test_time` names the views.

    Returns:
        The outputs on the cells of the reference, its (height, width), and `valid_size` int32 `[B, 2]` in it.
    """
    policy, grid = experiment.input, experiment.grid
    rules: Any = experiment.architecture.views  # the configuration refuses views where there are none
    reference = _reference(images, experiment)
    # One function: tracing, and the graph of an export, do not grow with the number of views.
    run = tf.function(partial(network, training=False), autograph=False)
    total: dict[str, Any] = {}
    for scale, mirrored in experiment.test_time.views:
        # A view waits for the one before: all at once would need the memory of all.
        with tf.control_dependencies(list(total.values())):
            seen = tf.identity(images)
        seen = ops.flip(seen, axis=2) if mirrored else seen
        prepared, valid_size = prepare_batch(seen, policy, grid, scale)
        outputs = run({"image": prepared, "valid_size": valid_size})
        view = View(ops.shape(prepared)[1:3], (valid_size[0, 0], valid_size[0, 1]), mirrored)
        if (scale, mirrored) != (1.0, False):
            outputs = {
                name: on_cells_of(maps, view, reference, grid.align_corners, grid.plus_one)
                for name, maps in outputs.items()
            }
        growth = cell_sides(view.valid, reference.valid, grid.align_corners)
        values = rules.values(outputs, growth, mirrored)
        total = {name: total[name] + part for name, part in values.items()} if total else values
    means = {name: values / len(experiment.test_time.views) for name, values in total.items()}
    valid_size = tf.tile([tf.stack(reference.valid)], (tf.shape(images)[0], 1))
    return rules.outputs(means), reference.size, valid_size


def _reference(images, experiment: Experiment) -> View:
    """The image itself at scale 1, whether or not that is one of its views."""
    policy, grid = experiment.input, experiment.grid
    height, width = ops.shape(images)[1:3]
    valid = resized_size(height, width, policy)
    return View(padded_size(*valid, policy, grid), valid)
