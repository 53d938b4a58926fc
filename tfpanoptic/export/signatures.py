"""The signatures of the SavedModel, as TensorFlow functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfpanoptic.data.encoded_image import decode_checked
from tfpanoptic.inference import image_outputs, segment_images, segment_table
from tfpanoptic.settings.sizes import MOST_PIXELS, resizes

# Names of inputs and outputs. TensorFlow Serving's REST interface writes strings in base64 where an output's name ends
# with `_bytes`; without it they are no JSON.
IMAGE, IMAGE_BYTES = "image", "image_bytes"
PANOPTIC, PANOPTIC_PNG, SEGMENTS = "panoptic", "panoptic_png_bytes", "segments"


def signature_functions(segmenter) -> dict[str, Callable]:
    """Name of each signature -> its function; see `export.saved_model`."""
    experiment, categories = segmenter.experiment, segmenter.categories
    network = _traced_once(segmenter.infer_network)
    images = tf.TensorSpec([None, None, None, 3], tf.uint8, name=IMAGE)

    @tf.function(input_signature=[images], autograph=False)
    def segment(image):
        segments = segment_images(network, image, experiment, categories)
        return segments.segment_ids, segment_table(segments, categories)

    segmented = segment.get_concrete_function()
    rows = segmented.outputs[1].shape[1]

    @tf.function(input_signature=[images], autograph=False)
    def serving_default(image):
        panoptic, segments = segmented(_of_a_size(image, not resizes(experiment.input)))
        return {PANOPTIC: panoptic, SEGMENTS: segments}

    def serve_one(numbered):
        number, content = numbered
        panoptic, segments = segmented(tf.expand_dims(decode_checked(content, number, experiment.input), 0))
        return _png(panoptic[0]), segments[0]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=IMAGE_BYTES)], autograph=False)
    def serve_bytes(image_bytes):
        image_bytes = tf.ensure_shape(image_bytes, (None,))  # for the message: the call itself does not look at ranks
        outputs: Any = (tf.TensorSpec([], tf.string), tf.TensorSpec([rows, 9], tf.float32))
        # One image after the other: memory is that of the largest.
        each = (tf.range(tf.size(image_bytes)), image_bytes)
        pngs, segments = tf.map_fn(serve_one, each, fn_output_signature=outputs, parallel_iterations=1)
        return {PANOPTIC_PNG: pngs, SEGMENTS: segments}

    @tf.function(input_signature=[images], autograph=False)
    def logits(image):
        return image_outputs(network, _of_a_size(image, not resizes(experiment.input)), experiment)

    functions = (serving_default, serve_bytes, logits)
    return {function.__name__: function for function in functions}


def _traced_once(network) -> Any:
    """The network as a function that stands in the file once, for all signatures."""
    image, valid_size = tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([None, 2], tf.int32)
    function = tf.function(lambda inputs: network(inputs, training=False), autograph=False)
    traced = function.get_concrete_function({"image": image, "valid_size": valid_size})
    return lambda inputs, training: traced(inputs)


def _of_a_size(image: tf.Tensor, bounded: bool) -> tf.Tensor:
    """The images; fails where they have no pixel, or more together than the network may see as they are."""
    image = tf.ensure_shape(image, (None, None, None, 3))
    count, height, width = tf.unstack(tf.shape(image, tf.int64)[:3])
    most = MOST_PIXELS if bounded else tf.int64.max
    right = (height * width > 0) & (count * height * width <= most)
    limit = f", in all of them together at most {MOST_PIXELS} for memory's sake" if bounded else ""
    expected = f"image: expected uint8 [B, H, W, 3] with pixels{limit}; found "
    message = tf.strings.format(expected + "[{}, {}, {}, 3]", (count, height, width))
    with tf.control_dependencies([tf.debugging.Assert(right, [message])]):
        return tf.identity(image)


def _png(panoptic: tf.Tensor) -> tf.Tensor:
    """The PNG of segment ids, string [], of a map int32 `[H, W]`: id = R + 256 G + 65536 B."""
    channels = [tf.bitwise.right_shift(panoptic, shift) & 255 for shift in (0, 8, 16)]
    return tf.io.encode_png(tf.cast(tf.stack(channels, axis=-1), tf.uint8))
