"""The legend below a picture."""

from dataclasses import replace

import numpy as np
import pytest

from tfpanoptic.categories import CategoryTable
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.visualize.legend import add_legend, legend_entries, legend_strip

CATEGORIES = CategoryTable.from_coco(
    [
        {"id": 1, "name": "sky", "isthing": 0},
        {"id": 2, "name": "cat", "isthing": 1},
        {"id": 3, "name": "dog", "isthing": 1},
        {"id": 4, "name": "sea", "isthing": 0},
    ]
)
# 10 x 10: sky 50 pixels, two cats of 5, a crowd of cats of 5, a dog of 25, void 10.
IDS = np.repeat([1, 2, 3, 4, 5, 0], [50, 5, 5, 5, 25, 10]).reshape(10, 10).astype(np.int32)
SCENE = SegmentMap(
    IDS, segment_rows([1, 2, 3, 4, 5], [1, 2, 2, 2, 3], [False, False, False, True, False], [50, 5, 5, 5, 25])
)
COLORS = np.arange(15, dtype=np.uint8).reshape(5, 3)


def test_things_come_first_and_larger_before_smaller():
    assert [e.name for e in legend_entries(SCENE, CATEGORIES, COLORS)] == ["dog", "cat", "sky", "void"]


def test_instances_are_counted_without_crowds():
    amounts = {e.name: e.amount for e in legend_entries(SCENE, CATEGORIES, COLORS)}
    assert amounts == {"dog": "1", "cat": "2", "sky": "", "void": "10.0 %"}


def test_a_category_shows_the_shades_of_its_segments():
    cat = next(e for e in legend_entries(SCENE, CATEGORIES, COLORS) if e.name == "cat")
    assert cat.shades == [(3, 4, 5), (6, 7, 8), (9, 10, 11)]


def test_the_strip_is_as_wide_as_the_picture():
    assert legend_strip(SCENE, CATEGORIES, COLORS, (300, 400)).shape[1:] == (400, 3)


def test_the_strip_gets_more_lines_where_the_picture_is_narrow():
    wide = legend_strip(SCENE, CATEGORIES, COLORS, (200, 800))
    narrow = legend_strip(SCENE, CATEGORIES, COLORS, (800, 200))
    assert narrow.shape[0] > wide.shape[0]


@pytest.mark.parametrize("size", [(800, 256), (800, 40), (1200, 1), (3, 3)])
def test_no_entry_is_cut_off_where_the_picture_is_narrow(size):
    names = ("a thing with quite a long name", "building-other-merged", "sky", "sea")
    categories = CategoryTable(tuple(replace(c, name=name) for c, name in zip(CATEGORIES, names, strict=True)))
    strip = legend_strip(SCENE, categories, COLORS, size)
    wide = legend_strip(SCENE, categories, COLORS, (100, 2000))  # a line of all entries, with the same font
    assert (strip != strip[0, 0]).any(axis=2).sum() == (wide != wide[0, 0]).any(axis=2).sum()
    assert strip.shape[1] >= size[1]


def test_a_picture_narrower_than_its_legend_stands_on_the_left():
    picture = np.full((300, 20, 3), 200, np.uint8)
    whole = add_legend(picture, SCENE, CATEGORIES, COLORS)
    strip = legend_strip(SCENE, CATEGORIES, COLORS, (300, 20))
    assert strip.shape[1] > 20
    np.testing.assert_array_equal(whole[:300, :20], picture)
    np.testing.assert_array_equal(whole[300:], strip)
    assert (whole[:300, 20:] == strip[0, 0]).all()


def test_a_swatch_of_each_shade_is_drawn():
    strip = legend_strip(SCENE, CATEGORIES, COLORS, (300, 400)).reshape(-1, 3)
    for color in COLORS:
        assert (strip == color).all(axis=1).any(), color
