"""Pixels of an image file's bytes in TensorFlow operators, equal to those of `photo.pixels.read_image`."""

from __future__ import annotations

import tensorflow as tf

from tfpanoptic.data.image_header import ImageHeader, read_header
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import MOST_PIXELS, resizes

# Pixels of an image that the network sees smaller; more are not decoded. Pillow, too, refuses more.
MOST_DECODED = 178_956_970


def most_pixels(config: InputConfig) -> int:
    """Pixels that an image may have by the input policy."""
    return MOST_DECODED if resizes(config) else MOST_PIXELS


def decode_checked(content: tf.Tensor, number: tf.Tensor, config: InputConfig) -> tf.Tensor:
    """The upright image of a JPEG or PNG of a batch, uint8 `[H, W, 3]`, as `photo.pixels.read_image` gives it.

    It fails with one sentence that names the image where that is no JPEG or PNG, a CMYK JPEG, cut short, or has more
    pixels than `most_pixels`: its header tells, before memory is taken. Of a PNG with other bytes than were written the
    decoder says how long it is.

    Args:
        content: the bytes, string [].
        number: of the image in its batch, integer [].
        config: the input policy; `deep_grey` says what becomes of grey values of 16 bits.
    """
    header = read_header(content)
    fault = _fault(header, content, config)
    message = tf.strings.format("image {} of the batch, counted from 0: ", number) + fault
    with tf.control_dependencies([tf.debugging.Assert(fault == "", [message])]):
        content = tf.identity(content)
    if config.deep_grey == "high_byte":
        image = decoded(content)
    else:
        image = tf.cond(header.deep_grey, lambda: _stretched(content), lambda: decoded(content))
    return upright(image, header.orientation)


def _fault(header: ImageHeader, content: tf.Tensor, config: InputConfig) -> tf.Tensor:
    """Why an image cannot be taken, as far as its header tells, string []; empty if it can."""
    pixels, limit = header.height * header.width, most_pixels(config)
    size = tf.strings.format("{} x {} pixels", (header.height, header.width))
    faults = (
        (tf.strings.length(content) == 0, "empty, it has no bytes"),
        (~(header.is_jpeg | header.is_png), "not a JPEG or PNG, which are expected"),
        (pixels <= 0, "damaged or cut short, its header tells no size"),
        (~header.ends, "damaged or cut short, it has no end"),
        (pixels > limit, tf.strings.join([size, f" are more than the {limit} that are taken, for memory's sake"])),
        (header.channels == 4, "a CMYK JPEG; expected RGB or grey"),
    )
    fault = tf.constant("")
    for found, text in reversed(faults):
        fault = tf.where(found, text, fault)
    return fault


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
