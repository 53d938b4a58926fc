import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpanoptic.data.input_size import prepare_batch, prepare_labels
from tfpanoptic.ops.resize import nearest_to_size
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import Grid

PLUS_ONE = Grid(32, plus_one=True, align_corners=True)


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def prepare(image, config=InputConfig(), grid=Grid(16)):  # noqa: B008
    images, valid_size = prepare_batch(image[None], config, grid)
    return images[0], valid_size[0].numpy().tolist()


@pytest.mark.parametrize(("pad_to", "size"), [(None, (32, 32)), ((64, 32), (64, 32))])
def test_an_image_that_keeps_its_size_keeps_its_pixels_and_the_rest_is_0(pad_to, size):
    image = random_image(20, 30)
    prepared, valid_size = prepare(image, InputConfig(pad_to=pad_to))
    assert prepared.shape == (*size, 3) and prepared.dtype == tf.float32 and valid_size == [20, 30]
    np.testing.assert_array_equal(prepared[:20, :30], image)
    assert not prepared[20:].numpy().any() and not prepared[:, 30:].numpy().any()


@pytest.mark.parametrize(("grid", "size"), [(Grid(16), (20, 60)), (PLUS_ONE, (19, 59))])
def test_a_view_is_the_image_at_a_multiple_of_its_size(grid, size):
    # Twice 10 and 30 pixels, or twice the distances of 9 and 29 between the outermost, and 1 more.
    image = random_image(10, 30)
    prepared, valid_size = prepare_batch(image[None], InputConfig(), grid, 2.0)
    expected, _ = prepare(image, InputConfig(size=size), grid)
    assert valid_size[0].numpy().tolist() == list(size)
    np.testing.assert_array_equal(prepared[0], expected)


def test_aligned_corners_keep_the_corners():
    # Two pixels 0 and 6 over four: steps of a third.
    image = np.array([[[0], [6]]] * 2, np.uint8).repeat(3, -1)
    prepared, _ = prepare(image, InputConfig(size=(4, 4)), Grid(4, align_corners=True))
    np.testing.assert_allclose(prepared[0, :, 0], [0, 2, 4, 6], atol=1e-5)


def test_half_pixel_centres_agree_with_pillow():
    grey = random_image(9, 13)[..., 0].astype(np.float32)
    expected = np.asarray(Image.fromarray(grey).resize((39, 27), Image.Resampling.BILINEAR))
    prepared, _ = prepare(grey[..., None].repeat(3, -1), InputConfig(size=(27, 39)), Grid(1))
    np.testing.assert_allclose(prepared[..., 1], expected, atol=1e-3)


def test_a_batch_is_its_images():
    images = np.stack([random_image(40, 30, seed) for seed in (1, 2)])
    config = InputConfig(long_side=65)
    together, valid_size = prepare_batch(images, config, PLUS_ONE)
    alone, alone_size = zip(*(prepare(image, config, PLUS_ONE) for image in images), strict=True)
    np.testing.assert_array_equal(together, np.stack(alone))
    np.testing.assert_array_equal(valid_size, np.stack(alone_size))


@pytest.mark.parametrize("pad_to", [None, (65, 129)])
def test_a_graph_takes_any_size(pad_to):
    config = InputConfig(short_side=48, max_long_side=100, pad_to=pad_to)
    function = tf.function(
        lambda images: prepare_batch(images, config, PLUS_ONE),
        input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)],
    )
    for height, width in ((20, 30), (64, 17)):
        image = random_image(height, width)
        np.testing.assert_array_equal(function(image[None])[0][0], prepare(image, config, PLUS_ONE)[0])


@pytest.mark.parametrize("grid", [PLUS_ONE, Grid(32)])
@pytest.mark.parametrize("config", [InputConfig(long_side=50), InputConfig(size=(70, 33)), InputConfig()])
def test_labels_lie_where_their_pixels_do(config, grid):
    labels = np.random.default_rng(0).integers(0, 9, (37, 52)).astype(np.int32)
    prepared = prepare_labels(labels, config, grid).numpy()
    image, (height, width) = prepare(labels[..., None].repeat(3, -1), config, grid)
    assert prepared.shape == tuple(image.shape[:2])
    np.testing.assert_array_equal(
        prepared[:height, :width], nearest_to_size(labels[None], labels.shape, (height, width), grid.align_corners)[0]
    )
    assert not prepared[height:].any() and not prepared[:, width:].any()
