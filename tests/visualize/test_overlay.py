"""Overlays."""

import numpy as np
import pytest

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.visualize.overlay import draw_overlay, enlarge_labels, enlargement

CATEGORIES = CategoryTable.from_coco(
    [
        {"id": 1, "name": "sky", "isthing": 0, "color": [0, 0, 250]},
        {"id": 2, "name": "cat", "isthing": 1, "color": [230, 90, 40]},
    ]
)


def scene(height=60, width=80) -> tuple[np.ndarray, SegmentMap]:
    """A grey image: sky (id 9) in the upper half, a cat (id 4) in the lower left, void in the lower right."""
    ids = np.zeros((height, width), np.int32)
    ids[: height // 2] = 9
    ids[height // 2 :, : width // 2] = 4
    table = segment_rows([9, 4], [1, 2], areas=[height * width // 2, height * width // 4])
    return np.full((height, width, 3), 100, np.uint8), SegmentMap(ids, table)


def distance(first, second) -> float:
    return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).sum())


def test_without_opacity_the_picture_is_the_image():
    image, segments = scene()
    np.testing.assert_array_equal(draw_overlay(image, segments, CATEGORIES, alpha=0, labels=False, scale=1), image)


def test_things_have_alpha_and_stuff_less():
    image, segments = scene()
    picture = draw_overlay(image, segments, CATEGORIES, alpha=0.5, labels=False, scale=1)
    # Half-way from 100 to the colour; stuff 0.65 of the half: 100 + 0.325 * (0 - 100) = 67.5, blue 148.75.
    assert picture[45, 20].tolist() == [165, 95, 70]
    np.testing.assert_allclose(picture[10, 20], [67.5, 67.5, 148.75], atol=0.5)


def test_an_instance_has_a_lighter_contour_inside_its_border():
    image, segments = scene()
    picture = draw_overlay(image, segments, CATEGORIES, labels=False, scale=1).astype(int)
    assert picture[30, 20].sum() > picture[45, 20].sum() + 60  # first row of the cat, and its middle
    assert distance(picture[29, 20], picture[10, 20]) == 0  # last row of the sky, and its middle


def test_void_is_hatched():
    image, segments = scene()
    void = draw_overlay(image, segments, CATEGORIES, labels=False, scale=1)[30:, 40:]
    assert np.unique(void[..., 0]).size > 2
    assert (void[..., 0] == void[..., 1]).all() and (void[..., 1] == void[..., 2]).all()


def test_a_crowd_is_striped_and_has_no_contour():
    image, segments = scene()
    segments.segments["iscrowd"][1] = True
    crowd = draw_overlay(image, segments, CATEGORIES, labels=False, scale=1)[30:, :40]
    assert np.unique(crowd.reshape(-1, 3), axis=0).shape[0] > 2
    assert np.unique(crowd[0], axis=0).shape[0] > 2  # the first row too: no line along the border


@pytest.mark.parametrize("lines", [1, 7, 64])
@pytest.mark.parametrize("with_image", [True, False])
def test_strips_of_any_height_give_the_same_picture(lines, with_image, monkeypatch):
    image, segments = scene(500, 1000)  # contours of two pixels
    segments.ids[100:120, 300:700] = 5  # a crowd, with another cat on its border
    segments.ids[110:140, 400:420] = 6
    rows = np.concatenate([segments.segments, segment_rows([5, 6], [2, 2], [True, False], [8000, 600])])
    image[:] = np.random.default_rng(0).integers(0, 256, image.shape)
    scenes = [image if with_image else None, SegmentMap(segments.ids, rows), CATEGORIES, 0.5, False, 1]
    whole = draw_overlay(*scenes)
    monkeypatch.setattr("tfpanoptic.visualize.overlay._PIXELS_AT_ONCE", 1000 * lines)
    np.testing.assert_array_equal(draw_overlay(*scenes), whole)


def test_small_images_are_enlarged_and_large_ones_are_not():
    assert [enlargement(*size) for size in ((256, 256), (427, 640), (1024, 2048), (8, 8))] == [4, 2, 1, 4]


def test_the_picture_is_the_enlarged_image():
    image, segments = scene()
    assert draw_overlay(image, segments, CATEGORIES, labels=False).shape == (240, 320, 3)


def test_a_category_without_room_for_its_name_is_in_a_legend_below():
    image, segments = scene(256, 256)
    assert draw_overlay(image, segments, CATEGORIES).shape[0] > 1024  # the only kind of thing has no names


def test_no_legend_where_every_category_is_named():
    image, segments = scene(256, 256)
    only_sky = SegmentMap(np.where(segments.ids == 9, 9, 0).astype(np.int32), segments.segments[:1])
    assert draw_overlay(image, only_sky, CATEGORIES).shape == (1024, 1024, 3)


def test_without_an_image_the_segments_have_their_very_colors():
    picture = draw_overlay(None, scene()[1], CATEGORIES, labels=False, scale=1)
    assert picture[10, 20].tolist() == [0, 0, 250] and picture[45, 20].tolist() == [230, 90, 40]


def test_the_image_is_not_changed():
    image, segments = scene()
    draw_overlay(image, segments, CATEGORIES)
    assert (image == 100).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3), (17, 23)])
def test_tiny_images_are_drawn(size):
    image, segments = scene(*size)
    assert draw_overlay(image, segments, CATEGORIES, labels=False).shape == (4 * size[0], 4 * size[1], 3)
    with_legend = draw_overlay(image, segments, CATEGORIES)
    assert with_legend.shape[0] > 4 * size[0] and with_legend.shape[1] >= 4 * size[1]


def test_an_image_of_void_alone_is_drawn():
    nothing = SegmentMap(np.zeros((60, 80), np.int32), segment_rows([], []))
    assert draw_overlay(scene()[0], nothing, CATEGORIES).shape == (240, 320, 3)


def test_enlarging_rounds_a_stair():
    # Scale2x by hand: only the quarters of the two pixels at the step's inner corners change.
    large = enlarge_labels(np.array([[1, 1], [2, 1]]), 2)
    assert large.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [2, 1, 1, 1], [2, 2, 1, 1]]


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_enlarging_keeps_every_label_and_adds_none(scale):
    labels = np.random.default_rng(scale).integers(0, 6, (13, 9))
    large = enlarge_labels(labels, scale)
    assert large.shape == (13 * scale, 9 * scale)
    assert set(np.unique(large)) == set(np.unique(labels))


def test_a_single_pixel_loses_only_its_corners():
    labels = np.zeros((5, 5), int)
    labels[2, 2] = 1
    # The first doubling leaves it alone (above equals below), the second rounds the corners of the 2 x 2 block.
    assert enlarge_labels(labels, 2).sum() == 4
    assert enlarge_labels(labels, 4).sum() == 16 - 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((60, 81, 3), np.uint8)}, "image of 60 x 81 and segment map of 60 x 80"),
        ({"image": np.zeros((60, 80, 3), np.float32)}, "found float32"),
        ({"alpha": 1.5}, "alpha: expected 0 to 1, found 1.5"),
        ({"scale": 3}, "scale: expected a power of two, found 3"),
    ],
)
def test_bad_arguments_are_named(change, message):
    image, segments = scene()
    with pytest.raises(InputError, match=message):
        draw_overlay(**{"image": image, "segment_map": segments, "categories": CATEGORIES, **change})
