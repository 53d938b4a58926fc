"""Colours of segments."""

import numpy as np
import pytest

from tfpanoptic.categories import CategoryTable
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.visualize import colors
from tfpanoptic.visualize.colors import category_shades, oklab_to_rgb, rgb_to_oklab, segment_colors

CATEGORIES = CategoryTable.from_coco(
    [
        {"id": 7, "name": "cell", "isthing": 1, "color": [200, 60, 60]},
        {"id": 9, "name": "glass", "isthing": 0, "color": [10, 20, 30]},
    ]
)


def cells_in_a_row(count: int) -> SegmentMap:
    """Cells 4 pixels wide, side by side, on glass (id 1000)."""
    ids = np.full((8, 4 * count), 1000, np.int32)
    ids[:6] = np.repeat(np.arange(1, count + 1), 4)
    return SegmentMap(ids, segment_rows([*range(1, count + 1), 1000], [1] * count + [2], areas=[24] * count + [8]))


# Ottosson 2020, table of example values, gives OKLab of XYZ; these sRGB ones are worked out from the
# definition: white is L = 1 without colour, black 0.
@pytest.mark.parametrize(("rgb", "lab"), [((255, 255, 255), (1, 0, 0)), ((0, 0, 0), (0, 0, 0))])
def test_oklab_of_white_and_black(rgb, lab):
    np.testing.assert_allclose(rgb_to_oklab(np.array(rgb)), lab, atol=1e-4)


def test_oklab_and_back_gives_the_same_color():
    rgb = np.random.default_rng(0).integers(0, 256, (200, 3)).astype(np.uint8)
    np.testing.assert_array_equal(oklab_to_rgb(rgb_to_oklab(rgb)), rgb)


def test_stuff_has_the_color_of_its_category():
    assert segment_colors(cells_in_a_row(3), CATEGORIES)[3].tolist() == [10, 20, 30]


def test_the_first_instance_has_the_color_of_its_category():
    assert segment_colors(cells_in_a_row(1), CATEGORIES)[0].tolist() == [200, 60, 60]


def test_a_crowd_has_the_color_of_its_category():
    crowd = SegmentMap(np.full((4, 4), 5, np.int32), segment_rows([5], [1], [True], [16]))
    assert segment_colors(crowd, CATEGORIES).tolist() == [[200, 60, 60]]


def test_adjacent_instances_look_different():
    # 0.1 in OKLab is about five just noticeable differences (0.02 each).
    lab = rgb_to_oklab(segment_colors(cells_in_a_row(100), CATEGORIES)[:100])
    assert np.linalg.norm(np.diff(lab, axis=0), axis=1).min() > 0.1


def test_the_smallest_of_very_many_instances_take_shades_in_turn(monkeypatch):
    before = segment_colors(cells_in_a_row(30), CATEGORIES)
    monkeypatch.setattr(colors, "_MOST_TOLD_APART", 10)
    found = segment_colors(cells_in_a_row(30), CATEGORIES)
    np.testing.assert_array_equal(found[:10], before[:10])
    shades = category_shades((200, 60, 60), 1)
    np.testing.assert_array_equal(found[10:30], np.resize(shades, (20, 3)))


def test_colors_do_not_depend_on_the_ids():
    scene = cells_in_a_row(12)
    renamed = SegmentMap(scene.ids * 1000, scene.segments.copy())
    renamed.segments["id"] *= 1000
    np.testing.assert_array_equal(segment_colors(scene, CATEGORIES), segment_colors(renamed, CATEGORIES))


def test_shades_stay_near_their_hue_where_there_are_many_thing_categories():
    lab = rgb_to_oklab(category_shades((200, 60, 60), num_thing_categories=80))
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1]))
    assert np.ptp(hue) < 2 * 16 + 8  # the span, and what cutting to the screen's range moves


def test_shades_of_black_are_light_enough_to_show():
    assert rgb_to_oklab(category_shades((0, 0, 0), 1))[:, 0].min() > 0.4


def test_no_segments_have_no_colors():
    assert segment_colors(SegmentMap(np.zeros((4, 4), np.int32), segment_rows([], [])), CATEGORIES).shape == (0, 3)
