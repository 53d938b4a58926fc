import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpanoptic.data.input_size import InputConfig, network_size, prepare, prepare_batch, resized_size
from tfpanoptic.errors import InputError
from tfpanoptic.settings.config import validate

SHORT = InputConfig(short_side=800, max_long_side=1333)
LONG = InputConfig(long_side=641, plus_one=True)
COCO = InputConfig(long_side=641, plus_one=True, pad_to=(641, 641))


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    ("config", "size", "expected"),
    [
        (InputConfig(), (427, 640), (427, 640)),
        (LONG, (480, 640), (481, 641)),  # 480 * 641 / 640 = 480.75
        (LONG, (640, 427), (641, 428)),  # 427 * 641 / 640 = 427.67
        (SHORT, (480, 640), (800, 1067)),  # 640 * 800 / 480 = 1066.67
        (SHORT, (300, 900), (444, 1333)),  # 900 * 800 / 300 = 2400 is too long; 300 * 1333 / 900 = 444.33
        (SHORT, (900, 300), (1333, 444)),
        (InputConfig(short_side=100), (50, 500), (100, 1000)),
        (InputConfig(long_side=100), (1, 1000), (1, 100)),  # 0.1 rounds to 0, a side has at least a pixel
        (InputConfig(size=(512, 1024)), (7, 9), (512, 1024)),
    ],
)
def test_the_resized_size(config, size, expected):
    assert resized_size(*size, config) == expected


@pytest.mark.parametrize(
    ("stride", "plus_one", "side", "expected"),
    [
        (32, False, 640, 640),
        (32, False, 641, 672),
        (32, False, 1, 32),
        (32, True, 641, 641),
        (32, True, 642, 673),
        (32, True, 640, 641),
        (32, True, 1, 33),
    ],
)
def test_sides_are_padded_to_the_stride(stride, plus_one, side, expected):
    config = InputConfig(stride=stride, plus_one=plus_one)
    assert network_size(side, side, config) == (expected, expected)


@pytest.mark.parametrize(
    ("config", "size", "expected"),
    [
        # Resized 481 x 641: the stride alone would give 481 = 15 * 32 + 1.
        (COCO, (480, 640), (641, 641)),
        (COCO, (640, 427), (641, 641)),
        (COCO, (3, 3), (641, 641)),
        # Nothing is resized; 100 -> 128 and 96 stays, 97 -> 128, 200 -> 224 = 7 * 32 beyond the 160.
        (InputConfig(pad_to=(96, 160)), (90, 100), (96, 160)),
        (InputConfig(pad_to=(96, 160)), (97, 100), (128, 160)),
        (InputConfig(pad_to=(96, 160)), (96, 200), (96, 224)),
    ],
)
def test_inputs_are_padded_to_a_least_size(config, size, expected):
    assert network_size(*size, config) == expected


def test_padding_to_a_least_size_moves_nothing():
    image = random_image(20, 30)
    prepared, valid_size = prepare(image, InputConfig(stride=16, pad_to=(64, 32), pad_value=3.0))
    assert prepared.shape == (64, 32, 3) and valid_size.numpy().tolist() == [20, 30]
    np.testing.assert_array_equal(prepared[:20, :30], image)
    assert (prepared[20:].numpy() == 3).all() and (prepared[:, 30:].numpy() == 3).all()


@pytest.mark.parametrize("config", [InputConfig(), LONG, SHORT, COCO, InputConfig(size=(64, 96))])
def test_ints_and_tensors_give_the_same_size(config):
    for height, width in np.random.default_rng(0).integers(1, 3000, (50, 2)).tolist():
        in_graph = network_size(tf.constant(height), tf.constant(width), config)
        assert tuple(int(side) for side in in_graph) == network_size(height, width, config)


def test_an_image_that_keeps_its_size_keeps_its_pixels():
    image = random_image(20, 30)
    prepared, valid_size = prepare(image, InputConfig(stride=16))
    assert prepared.shape == (32, 32, 3) and prepared.dtype == tf.float32
    assert valid_size.numpy().tolist() == [20, 30]
    np.testing.assert_array_equal(prepared[:20, :30], image)


def test_the_rest_of_the_input_is_the_pad_value():
    prepared, _ = prepare(random_image(20, 30), InputConfig(stride=16, pad_value=3.0))
    assert (prepared[20:].numpy() == 3).all() and (prepared[:, 30:].numpy() == 3).all()


def test_aligned_corners_keep_the_corners():
    # Two pixels 0 and 6 over four: steps of a third.
    image = np.array([[[0], [6]]] * 2, np.uint8).repeat(3, -1)
    prepared, _ = prepare(image, InputConfig(size=(4, 4), stride=4))
    np.testing.assert_allclose(prepared[0, :, 0], [0, 2, 4, 6], atol=1e-5)


def test_half_pixel_centres_agree_with_pillow():
    grey = random_image(9, 13)[..., 0].astype(np.float32)
    expected = np.asarray(Image.fromarray(grey).resize((39, 27), Image.Resampling.BILINEAR))
    config = InputConfig(size=(27, 39), stride=1, align_corners=False)
    prepared, _ = prepare(grey[..., None].repeat(3, -1), config)
    np.testing.assert_allclose(prepared[..., 1], expected, atol=1e-3)


def test_a_batch_is_its_images():
    images = np.stack([random_image(40, 30, seed) for seed in (1, 2)])
    config = InputConfig(long_side=65, plus_one=True)
    together, valid_size = prepare_batch(images, config)
    alone, alone_size = zip(*(prepare(image, config) for image in images), strict=True)
    np.testing.assert_array_equal(together, np.stack(alone))
    np.testing.assert_array_equal(valid_size, np.stack(alone_size))


@pytest.mark.parametrize("pad_to", [None, (65, 129)])
def test_a_graph_takes_any_size(pad_to):
    config = InputConfig(short_side=48, max_long_side=100, plus_one=True, pad_to=pad_to)
    function = tf.function(
        lambda images: prepare_batch(images, config), input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)]
    )
    for height, width in ((20, 30), (64, 17)):
        image = random_image(height, width)
        np.testing.assert_array_equal(function(image[None])[0][0], prepare(image, config)[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"short_side": 8, "long_side": 8}, "at most one of short_side, long_side and size"),
        ({"max_long_side": 8}, "max_long_side limits short_side"),
        ({"size": [0, 8]}, "two positive numbers"),
        ({"stride": 0}, "stride"),
        ({"pad_to": [640, 641], "plus_one": True}, r"sides must be k \* 32 \+ 1; the next is \[641, 641\]"),
        ({"pad_to": [0, 32]}, r"sides must be k \* 32; the next is \[32, 32\]"),
        ({"pad_value": 300}, "pad_value"),
        ({"side": 3}, "unknown key input.side"),
    ],
)
def test_a_wrong_policy_is_told_in_one_line(settings, message):
    with pytest.raises(InputError, match=message):
        validate(InputConfig, settings, "a.yaml", "input")
