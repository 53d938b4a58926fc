"""Pixels of an image file's bytes in TensorFlow operators, equal to those of `dataset.read_image`."""

from __future__ import annotations

import tensorflow as tf

from tfpanoptic.data.image_header import ImageHeader, read_header
from tfpanoptic.settings.input_size import MOST_PIXELS, DeepGrey, InputConfig

# Pixels of an image that the network sees smaller; more are not decoded. Pillow, too, refuses more.
MOST_DECODED = 178_956_970


def most_pixels(config: InputConfig) -> int:
    """Pixels that an image may have by the input policy."""
    return MOST_DECODED if config.resizes else MOST_PIXELS


def decode_checked(content: tf.Tensor, number: tf.Tensor, config: InputConfig) -> tf.Tensor:
    """The upright image of a JPEG or PNG of a batch, uint8 `[H, W, 3]`, as `dataset.read_image` gives it.

    It fails with one sentence that names the image where that is no JPEG or PNG, a CMYK JPEG, damaged, or has more
    pixels than `most_pixels`: its header tells, before memory is taken.

    Args:
        content: the bytes, string [].
        number: of the image in its batch, integer [].
        config: the input policy; `deep_grey` says what becomes of grey values of 16 bits.
    """
    header = read_header(content)
    with tf.control_dependencies([_refuse(_fault(header, content, config), number)]):
        content = tf.identity(content)
    image = _nothing_if_it_fails(_deep_decoder(header, config.deep_grey), content)
    damaged = tf.where(tf.size(image) > 0, "", "damaged or cut short")
    with tf.control_dependencies([_refuse(damaged, number)]):
        return upright(image, header.orientation)


def _fault(header: ImageHeader, content: tf.Tensor, config: InputConfig) -> tf.Tensor:
    """Why an image cannot be taken, as far as its header tells, string []; empty if it can."""
    pixels, limit = header.height * header.width, most_pixels(config)
    size = tf.strings.format("{} x {} pixels", (header.height, header.width))
    faults = (
        (tf.strings.length(content) == 0, "empty, it has no bytes"),
        (~(header.is_jpeg | header.is_png), "not a JPEG or PNG, which are expected"),
        (pixels <= 0, "damaged or cut short, its header tells no size"),
        (pixels > limit, tf.strings.join([size, f" are more than the {limit} that are taken, for memory's sake"])),
        (header.channels == 4, "a CMYK JPEG; expected RGB or grey"),
    )
    fault = tf.constant("")
    for found, text in reversed(faults):
        fault = tf.where(found, text, fault)
    return fault


def _refuse(fault: tf.Tensor, number: tf.Tensor) -> tf.Operation:
    """Fails where there is a fault, and names the image."""
    return tf.debugging.Assert(
        fault == "", [tf.strings.format("image {} of the batch, counted from 0: ", number) + fault]
    )


def _nothing_if_it_fails(decode, content: tf.Tensor) -> tf.Tensor:
    """The image that `decode` gives, uint8 `[H, W, 3]`, `[0, 0, 3]` where it fails.

    A decoder's own error would not say which image of a batch it is about. A dataset is the only part of a graph that
    goes on after one.
    """
    options = tf.data.Options()
    # Of a dataset of one element they cost more than they save: 5 ms an image.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    decoded_once = tf.data.Dataset.from_tensors(content).map(decode).ignore_errors().with_options(options)
    return decoded_once.reduce(tf.zeros([0, 0, 3], tf.uint8), lambda nothing, image: image)


def _deep_decoder(header: ImageHeader, deep_grey: DeepGrey):
    """`decoded` that follows the rule of `deep_grey` as well."""
    if deep_grey == "high_byte":
        return decoded
    return lambda content: tf.cond(header.deep_grey, lambda: _stretched(content), lambda: decoded(content))


def _stretched(content: tf.Tensor) -> tf.Tensor:
    """A grey PNG of 16 bits from its lowest to its highest value, as `deep_grey.stretched`."""
    values = tf.cast(tf.io.decode_png(content, channels=1, dtype=tf.uint16), tf.float64)
    low, span = tf.reduce_min(values), tf.reduce_max(values) - tf.reduce_min(values)
    levels = tf.floor((values - low) * 255.0 / tf.maximum(span, 1.0) + 0.5)
    return tf.tile(tf.ensure_shape(tf.cast(levels, tf.uint8), (None, None, 1)), (1, 1, 3))


def decoded(content: tf.Tensor) -> tf.Tensor:
    """Pixels of an image file's bytes, uint8 `[H, W, 3]`, equal to those of `read_image`.

    `decode_image` takes libjpeg's fast inverse transform, which differs by up to 17 levels of 255 from the
    accurate one that Pillow takes (6 photographs of COCO).
    """
    image = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """The image turned by its EXIF orientation 1..8. Source: Exif 2.32, tag 274."""

    def turned() -> tf.Tensor:
        straight = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: tf.identity(image))
        vertical = tf.reduce_any(orientation == [3, 4, 7, 8])
        horizontal = tf.reduce_any(orientation == [2, 3, 6, 7])
        flipped = tf.cond(vertical, lambda: tf.reverse(straight, [0]), lambda: tf.identity(straight))
        return tf.cond(horizontal, lambda: tf.reverse(flipped, [1]), lambda: tf.identity(flipped))

    return tf.cond(orientation == 1, lambda: tf.identity(image), turned)
