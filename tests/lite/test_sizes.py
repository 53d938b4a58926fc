import numpy as np
import pytest

from tfpanoptic.data.input_size import prepare_batch
from tfpanoptic.lite.sizes import nearest_to_size, prepare, resize_bilinear
from tfpanoptic.ops import resize
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import Grid, InputPolicy

GRIDS = [Grid(16), Grid(32), Grid(16, plus_one=True), Grid(32, plus_one=True, align_corners=True)]
POLICIES = [
    InputConfig(),
    InputConfig(long_side=65),
    InputConfig(short_side=80, max_long_side=133),
    InputConfig(short_side=7),
    InputConfig(max_long_side=40),
    InputConfig(size=(70, 33)),
    InputConfig(size=(1, 1)),
    InputConfig(long_side=50, pad_to=(65, 129)),
    InputConfig(pad_to=(3, 90)),
]
# Among them a pixel, a row and a column.
SIZES = [(1, 1), (1, 50), (50, 1), (37, 52), (64, 64), (131, 97)]


def random_image(size, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *size]).integers(0, 256, (*size, 3)).astype(np.uint8)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("config", POLICIES, ids=lambda config: str(config.model_dump(exclude_defaults=True)))
def test_a_photo_is_prepared_as_in_the_graph(config, grid):
    for size in SIZES:
        image = random_image(size)
        expected, valid_size = prepare_batch(image[None], config, grid)
        prepared, part = prepare(image, InputPolicy(**config.model_dump()), grid, None)
        assert prepared.dtype == np.float32 and list(part) == valid_size[0].numpy().tolist()
        # Of 255; the graph may add and multiply in one step, which rounds once less.
        np.testing.assert_allclose(prepared, expected, rtol=0, atol=1e-4)


def test_a_photo_that_is_smaller_than_the_canvas_is_padded_to_it():
    image = random_image((20, 30))
    prepared, part = prepare(image, InputPolicy(pad_to=(33, 33)), Grid(32), (64, 96))
    assert prepared.shape == (1, 64, 96, 3) and part == (20, 30)
    np.testing.assert_array_equal(prepared[0, :20, :30], image)
    assert not prepared[0, 20:].any() and not prepared[0, :, 30:].any()


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_photo_that_is_larger_than_the_canvas_is_resized_once_to_fit_it(align_corners):
    """100 x 200 would be 150 x 300 by the policy; its width limits: 150 * 96 / 300 = 48."""
    image, grid = random_image((100, 200)), Grid(32, align_corners=align_corners)
    prepared, part = prepare(image, InputPolicy(long_side=300), grid, (64, 96))
    expected, _ = prepare_batch(image[None], InputConfig(size=(48, 96)), grid)
    assert prepared.shape == (1, 64, 96, 3) and part == (48, 96)
    np.testing.assert_allclose(prepared[:, :48], expected[:, :48], rtol=0, atol=1e-4)
    assert not prepared[0, 48:].any()


def test_an_image_of_the_size_keeps_its_pixels():
    image = random_image((5, 7))
    np.testing.assert_array_equal(resize_bilinear(image, (5, 7), align_corners=False), image)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("old", [(1, 1), (3, 17), (64, 33)])
@pytest.mark.parametrize("new", [(1, 1), (2, 5), (64, 33), (131, 200)])
def test_labels_are_enlarged_as_in_the_graph(old, new, align_corners):
    whole = np.random.default_rng(0).integers(0, 99, (1, old[0] + 2, old[1] + 3)).astype(np.int32)
    expected = resize.nearest_to_size(whole, old, new, align_corners)[0]
    found = nearest_to_size(whole[0, : old[0], : old[1]], new, align_corners)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int32
