"""Scenes drawn as text: a letter for an object, a dot for nothing."""

import numpy as np
import pytest

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.conversions.painting import VOID, Layer, cut_out, paint
from tfpanoptic.data.conversions.tally import Tally

KINDS = {"thing": 1, "sea": 0, "sky": 0}
TABLE = CategoryTable.from_coco([{"id": i, "name": n, "isthing": KINDS[n]} for i, n in enumerate(KINDS, start=1)])


def layer(category, *rows, iscrowd=False, key=None):
    mask, corner = cut_out(np.array([[c != "." for c in row] for row in rows]))
    return Layer(mask, corner, category, iscrowd, object() if key is None else key, "x")


def painted(*layers, overlap="smaller", background=None):
    tally = Tally()
    return paint(layers, (3, 4), TABLE, overlap, tally, background), dict(tally.counts)


def test_smaller_things_lie_on_larger_ones_these_on_crowds_and_all_on_stuff():
    found, _ = painted(
        layer(1, "....", ".a..", "...."),
        layer(1, "....", "bb..", "bb.."),
        layer(1, "c...", "....", "....", iscrowd=True),
        layer(2, "dddd", "dddd", "...."),
    )
    assert found.ids.tolist() == [[3, 4, 4, 4], [2, 1, 4, 4], [2, 2, 0, 0]]
    assert found.segments["category"].tolist() == [1, 1, 1, 2] and found.segments["iscrowd"].tolist() == [0, 0, 1, 0]
    assert found.segments["area"].tolist() == [1, 3, 1, 5]


def test_of_equal_things_the_later_one_lies_on_top():
    found, lost = painted(layer(1, "aa..", "....", "...."), layer(1, ".bb.", "....", "...."))
    assert found.ids[0].tolist() == [1, 2, 2, 0] and lost == {"partly-covered": 1}


def test_parts_of_one_object_that_overlap_cover_nothing():
    found, lost = painted(layer(1, "aa..", "....", "....", key=7), layer(1, ".aa.", "....", "....", key=7))
    assert found.ids[0].tolist() == [1, 1, 1, 0] and lost == {}


def test_the_background_joins_painted_stuff_and_leaves_void_alone():
    background = np.array([[2, 2, 3, 0]] * 3)
    found, lost = painted(
        layer(2, "a...", "....", "...."), layer(VOID, "....", "bb..", "...."), overlap="later", background=background
    )
    assert found.ids.tolist() == [[1, 1, 2, 0], [0, 0, 2, 0], [1, 1, 2, 0]]
    assert found.segments["category"].tolist() == [2, 3] and lost == {}


@pytest.mark.parametrize("overlap", ["smaller", "later"])
@pytest.mark.parametrize("seed", range(5))
def test_ids_count_from_1_and_areas_are_pixels(overlap, seed):
    random = np.random.default_rng(seed)
    layers = []
    for number in range(30):
        mask, corner = cut_out(random.random((3, 4)) < 0.4) or cut_out(np.ones((3, 4), bool))
        category = int(random.integers(0, 4))
        layers.append(Layer(mask, corner, category, category == 1 and number % 5 == 0, number, "x"))
    found, lost = painted(*layers, overlap=overlap, background=random.integers(2, 4, (3, 4)))
    ids, areas = np.unique(found.ids[found.ids > 0], return_counts=True)
    assert ids.tolist() == found.segments["id"].tolist() == list(range(1, len(ids) + 1))
    assert areas.tolist() == found.segments["area"].tolist()
    things = sum(layer.category == 1 for layer in layers)
    assert (found.segments["category"] == 1).sum() == things - lost.get("covered", 0)
    stuff = found.segments["category"][found.segments["category"] > 1]
    assert len(set(stuff)) == len(stuff)


def test_a_mask_without_a_pixel_has_no_box():
    assert cut_out(np.zeros((3, 4), bool)) is None
