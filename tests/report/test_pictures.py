import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.scenes import CAR, DOG, GRASS, SKY, TABLE, segments
from tfpanoptic.evaluation.measures.attribution import CAUSES
from tfpanoptic.report.causes import STYLES
from tfpanoptic.report.pictures import MOST_BYTES, draw_scene, layer_png


def pixels(uri):
    """uint8 `[H, W, 4]` of a data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGBA"))


def test_error_picture_has_each_cause_in_its_colour():
    """32 x 32: grass, a car that is missed, a dog where none is, a car that is a dog, a sky with void beside it."""
    true, predicted = np.full((32, 32), 1), np.full((32, 32), 1)
    true[2:10, 2:10] = 2  # missed
    predicted[2:10, 16:24] = 3  # spurious
    true[16:24, 2:10] = predicted[16:24, 2:10] = 4  # of the wrong category
    true[14:26, 14:28] = predicted[14:26, 14:28] = 5
    true[28:], predicted[28:] = 0, 1  # void
    predicted[14:26, 28:30] = 5  # 24 pixels too many beside 168: imprecise
    truth = segments(true, {1: GRASS, 2: CAR, 4: CAR, 5: SKY})
    prediction = segments(predicted, {1: GRASS, 3: DOG, 4: DOG, 5: SKY})
    drawn = draw_scene("a", None, truth, prediction, TABLE)
    assert (drawn.height, drawn.width, drawn.photo) == (128, 128, None)  # enlarged four times, at most
    picture = pixels(drawn.layers["errors"])[2::4, 2::4]
    colors = {cause: tuple(int(STYLES[cause].color[i : i + 2], 16) for i in (1, 3, 5)) for cause in CAUSES}
    for cause, place in (
        ("missed", np.s_[2:10, 2:10]),
        ("spurious", np.s_[2:10, 16:24]),
        ("wrong_category", np.s_[16:24, 2:10]),
        ("imprecise", np.s_[15:25, 28:30]),
    ):
        assert (picture[place][..., :3] == colors[cause]).all(), cause
    for place in (np.s_[12, 2:12], np.s_[17:23, 17:25], np.s_[29:]):
        assert not {tuple(color[:3]) for color in picture[place].reshape(-1, 4).tolist()} & set(colors.values())


def test_small_and_thin_images_can_be_drawn():
    for shape in ((1, 1), (1, 300), (1700, 2)):
        truth = segments(np.full(shape, 1), {1: GRASS})
        drawn = draw_scene("a", np.zeros((*shape, 3), np.uint8), truth, truth, TABLE)
        assert pixels(drawn.layers["truth"]).shape == (drawn.height, drawn.width, 4)


def test_pictures_of_an_image_stay_within_their_bytes():
    """A photo of noise is the worst there is."""
    photo = np.random.default_rng(0).integers(0, 256, (600, 800, 3)).astype(np.uint8)
    truth = segments(np.full((600, 800), 1), {1: GRASS})
    drawn = draw_scene("a", photo, truth, truth, TABLE)
    assert len(drawn.photo) + sum(map(len, drawn.layers.values())) < MOST_BYTES * 4 / 3 + 200
    assert max(drawn.height, drawn.width) < 800


@pytest.mark.parametrize("count", [200, 300])
def test_layers_keep_every_colour(count):
    colors = np.random.default_rng(count).integers(0, 256, (count, 4)).astype(np.uint8)
    numbers = np.arange(count).reshape(10, -1)
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(layer_png(numbers, colors))).convert("RGBA")), colors[numbers]
    )
