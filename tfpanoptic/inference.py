"""From images to segments in one graph: what `segment`, `evaluate` and every export run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfpanoptic.architecture import Architecture, Segments
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.input_size import prepare_batch
from tfpanoptic.experiment import Experiment
from tfpanoptic.ops.replicas import never_empty
from tfpanoptic.ops.resize import nearest_to_size
from tfpanoptic.ops.segments import count_keys
from tfpanoptic.panoptic_map import category_of
from tfpanoptic.views import averaged_outputs


def segment_images(network: keras.Model, images, experiment: Experiment, categories: CategoryTable) -> Segments:
    """Segments of images of one size.

    Args:
        network: the `infer` network.
        images: `[B, H, W, 3]`, RGB 0..255, any dtype.
        experiment: its input-size policy, views and model settings hold.
        categories: the model's.

    Returns:
        The segments at the images' own size; of no image, none.
    """
    batch = ops.shape(images)[0]
    if not isinstance(batch, int) or batch == 0:
        # Many layers and post-processing fail on a batch without an image.
        segments = _segments_of_some(network, never_empty(images), experiment, categories)
        return Segments(*(part[:batch] for part in segments))
    return _segments_of_some(network, images, experiment, categories)


def _segments_of_some(network: keras.Model, images, experiment: Experiment, categories: CategoryTable) -> Segments:
    """`segment_images` of at least one image."""
    own_size = ops.shape(images)[1:3]
    outputs, size, valid_size = network_outputs(network, images, experiment)
    return segments_of_outputs(outputs, size, valid_size, own_size, experiment, categories)


def network_outputs(network: keras.Model, images, experiment: Experiment) -> tuple[dict, Any, Any]:
    """The first half of `segment_images`, in which no setting of post-processing is read but by the network itself.

    Args: as `segment_images`, of one image at least.

    Returns:
        Outputs of the heads, means over the views if there are several; (height, width) of the network's input; and
        int32 `[B, 2]`, the part of it that is not padding.
    """
    if experiment.test_time.augments:
        return averaged_outputs(network, images, experiment)
    prepared, valid_size = prepare_batch(images, experiment.input, experiment.grid)
    outputs = network({"image": prepared, "valid_size": valid_size}, training=False)
    return outputs, ops.shape(prepared)[1:3], valid_size


def segments_of_outputs(
    outputs: dict, size, valid_size, own_size, experiment: Experiment, categories: CategoryTable
) -> Segments:
    """The second half of `segment_images`.

    Args:
        outputs, size, valid_size: what `network_outputs` returned.
        own_size: (height, width) of the images.
        experiment: settings of the model's post-processing.
        categories: the model's.
    """
    model = experiment.model
    return segments_at_own_size(experiment.architecture, model, outputs, size, valid_size, own_size, categories)


def segments_at_own_size(
    architecture: Architecture, model, outputs: dict, size, valid_size, own_size, categories: CategoryTable
) -> Segments:
    """What post-processing makes of outputs, at the size of the images: a finished map is enlarged by nearest index.

    Args:
        architecture: the record.
        model: its configuration.
        outputs, size, valid_size, own_size, categories: as in `segments_of_outputs`.
    """
    if architecture.merges_at_own_size(model):
        merge: Any = architecture.own_size_postprocess
        return merge(outputs, size, valid_size, own_size, model, categories)
    segments = architecture.postprocess(outputs, size, valid_size, model, categories)
    resized = nearest_to_size(
        segments.segment_ids,
        (valid_size[0, 0], valid_size[0, 1]),
        own_size,
        architecture.grid(model).align_corners,
    )
    return segments._replace(segment_ids=resized)


def image_outputs(network: keras.Model, images, experiment: Experiment) -> dict:
    """What post-processing sees of images of one size: outputs at the heads' own stride, means where there are views.

    Args:
        network, images, experiment: as in `segment_images`.

    Returns:
        The network's outputs by their names, with `valid_size`, int32 `[B, 2]`, (height, width) of the images in the
        network's input, and `input_size`, int32 `[B, 2]`, of all of it.
    """
    batch = ops.shape(images)[0]
    outputs, size, valid_size = network_outputs(network, never_empty(images), experiment)
    sizes = ops.tile(ops.expand_dims(ops.convert_to_tensor(size, "int32"), 0), (ops.shape(valid_size)[0], 1))
    outputs = {**outputs, "valid_size": valid_size, "input_size": sizes}
    return {name: part[:batch] for name, part in outputs.items()}


def segmenting_function(
    network: keras.Model, experiment: Experiment, categories: CategoryTable
) -> Callable[[np.ndarray], Segments]:
    """`segment_images` of one image of any size, uint8 `[1, H, W, 3]`, as a compiled function."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)], jit_compile=False, autograph=False)
    def segment(images):
        return segment_images(network, images, experiment, categories)

    # A call of the function itself would count towards TensorFlow's warning of retracing, which takes the functions
    # of several models for one.
    return segment.get_concrete_function()


def outputs_function(network: keras.Model, experiment: Experiment) -> Callable[[Any], tuple[dict, Any, Any]]:
    """`network_outputs` of one image uint8 `[1, H, W, 3]`, as a compiled function; the size is int32 `[2]`."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)], jit_compile=False, autograph=False)
    def predict(images):
        outputs, size, valid_size = network_outputs(network, images, experiment)
        return outputs, tf.stack(size), valid_size

    return predict.get_concrete_function()


def merging_function(
    predicting: Any, experiment: Experiment, categories: CategoryTable
) -> Callable[[dict, Any, Any, Any], Segments]:
    """`segments_of_outputs` of one image as a compiled function; sizes are int32 `[2]`, of any value.

    Args:
        predicting: of `outputs_function`; what it returns is what the function takes, and the image's own size.
        experiment: settings of the model's post-processing; the other settings are those of `predicting`.
        categories: the model's.
    """
    import tensorflow as tf

    signature = [*_outputs_signature(predicting), tf.TensorSpec([2], tf.int32)]

    @tf.function(input_signature=signature, jit_compile=False, autograph=False)
    def merge(outputs, size, valid_size, own_size):
        sizes = (tf.unstack(size), tf.unstack(own_size))
        return segments_of_outputs(outputs, sizes[0], valid_size, sizes[1], experiment, categories)

    return merge.get_concrete_function()


def fates_function(
    predicting: Any, experiment: Experiment, categories: CategoryTable
) -> Callable[[dict, Any, Any], dict[str, Any]]:
    """The architecture's `fates` of one image as a compiled function of what `predicting` returns.

    Args: as in `merging_function`.
    """
    import tensorflow as tf

    count: Any = experiment.architecture.fates  # the caller asks where there are some

    @tf.function(input_signature=_outputs_signature(predicting), jit_compile=False, autograph=False)
    def fates(outputs, size, valid_size):
        return count(outputs, tf.unstack(size), valid_size, experiment.model, categories)

    return fates.get_concrete_function()


def _outputs_signature(predicting: Any) -> list:
    """TensorSpecs of what a function of `outputs_function` returns."""
    import tensorflow as tf

    return [*tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), predicting.structured_outputs)]


def segment_table(segments: Segments, categories: CategoryTable):
    """The padded table of segments, float32 `[B, N, 9]`: id, category_id, isthing, score, area, y1, x1, y2, x2.

    `category_id` is the dataset's own, `area` counts pixels, boxes are in pixels with y2 and x2 one
    past the last. Rows without a pixel are all zeros. float32 is exact for integers up to 2**24: an area
    beyond 16.7 million pixels is rounded by a pixel or two.
    """
    segment_ids, labels, scores = segments
    rows = labels.shape[1]
    shape = ops.shape(segment_ids)
    areas = count_keys(ops.reshape(segment_ids, (shape[0], shape[1] * shape[2])), rows + 1)[:, 1:]  # [B, N]
    category = category_of(labels)
    source_ids = ops.convert_to_tensor([0, *(c.source_id for c in categories)], "int32")
    isthing = ops.convert_to_tensor(categories.isthing.astype("int32"))
    numbers = ops.tile(ops.expand_dims(ops.arange(1, rows + 1, dtype="int32"), 0), (shape[0], 1))
    columns = [numbers, ops.take(source_ids, category), ops.take(isthing, category), scores, areas]
    columns += segment_boxes(segment_ids, rows)
    table = ops.stack([ops.cast(column, "float32") for column in columns], axis=-1)
    return ops.where(ops.expand_dims(areas > 0, -1), table, 0.0)


def segment_boxes(segment_ids, rows: int) -> list:
    """y1, x1, y2, x2 of the segments 1..rows, int32 `[B, rows]` each; y2 and x2 lie one past the last pixel.

    Not defined for a segment without pixels.
    """
    batch, height, width = ops.shape(segment_ids)
    keys = segment_ids + (rows + 1) * ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1))
    y = ops.reshape(ops.arange(height, dtype="int32"), (1, -1, 1))
    x = ops.reshape(ops.arange(width, dtype="int32"), (1, 1, -1))

    def largest(coordinate):
        values = ops.reshape(coordinate + ops.zeros_like(keys), (-1,))
        found = ops.segment_max(values, ops.reshape(keys, (-1,)), batch * (rows + 1))
        return ops.reshape(found, (batch, rows + 1))[:, 1:]

    # The smallest coordinate is found as the largest distance from the far edge.
    return [height - 1 - largest(height - 1 - y), width - 1 - largest(width - 1 - x), largest(y) + 1, largest(x) + 1]
