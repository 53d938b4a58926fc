"""Scenes are drawn as text: g is grass (stuff), w water (stuff), A to M cats, N to Z dogs, a dot void."""

import numpy as np
import pytest

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.predict import joined_tiles
from tfpanoptic.predict.joined_tiles import JoinedTiles, Span, lowest_of_joined
from tfpanoptic.predict.tiles import spans
from tfpanoptic.segment_map import SegmentMap, extents, relabel, segment_rows

CATEGORIES = CategoryTable.from_coco(
    [
        {"id": 1, "name": "grass", "isthing": 0},
        {"id": 2, "name": "cat", "isthing": 1},
        {"id": 3, "name": "dog", "isthing": 1},
        {"id": 4, "name": "water", "isthing": 0},
    ]
)
# Two tiles of seven pixels that share four; each decides five.
PAIR = [Span(0, 7, 0, 5), Span(3, 10, 5, 10)]
ALONE = [Span(0, 3, 0, 3)]


def category_of(letter):
    return {"g": 1, "w": 4}.get(letter, 2 if letter < "N" else 3)


def drawn(*rows, scores=None):
    """The segment map of a scene; a letter's id is its code."""
    ids = np.array([[0 if letter == "." else ord(letter) for letter in row] for row in rows], np.int32)
    letters = sorted({*"".join(rows)} - {"."})
    areas = [int((ids == ord(letter)).sum()) for letter in letters]
    known = scores or {}
    table = segment_rows(
        [ord(letter) for letter in letters],
        [category_of(letter) for letter in letters],
        areas=areas,
        scores=[known.get(letter, 1.0) for letter in letters],
    )
    return SegmentMap(ids, table)


def joined(rows, columns, *tiles, stuff_area=0, **options):
    whole = JoinedTiles(rows, columns, CATEGORIES, **options)
    places = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
    for (row, column), tile in zip(places, tiles, strict=True):
        whole.add(row, column, tile)
    return whole.finish(stuff_area)


def assert_scene(result, *rows):
    """The result has the segments of a scene, whatever their ids, with categories and areas, numbered without gaps."""
    expected = drawn(*rows)
    pairs = {*zip(expected.ids.ravel().tolist(), result.ids.ravel().tolist())}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}), result.ids
    number = dict(pairs)
    assert number.get(0, 0) == 0
    assert sorted(result.segments["id"].tolist()) == list(range(1, len(expected.segments) + 1))
    found = {row["id"]: (row["category"], row["area"]) for row in result.segments}
    assert found == {number[row["id"]]: (row["category"], row["area"]) for row in expected.segments}


def test_an_instance_across_two_tiles_is_one():
    left = drawn(
        "ggggggg",
        "ggAAAAA",
        "ggggggg",
    )
    right = drawn(
        "ggggggg",
        "AAAAAgg",
        "ggggggg",
    )
    assert_scene(
        joined(ALONE, PAIR, left, right),
        "gggggggggg",
        "ggAAAAAAgg",
        "gggggggggg",
    )


def test_an_instance_across_four_tiles_is_one():
    tiles = [
        drawn(*(["ggggggg"] * 4), *(["ggggAAA"] * 3)),
        drawn(*(["ggggggg"] * 4), *(["gAAAggg"] * 3)),
        drawn("ggggggg", *(["ggggAAA"] * 3), *(["ggggggg"] * 3)),
        drawn("ggggggg", *(["gAAAggg"] * 3), *(["ggggggg"] * 3)),
    ]
    assert_scene(
        joined(PAIR, PAIR, *tiles),
        *(["gggggggggg"] * 4),
        *(["ggggAAAggg"] * 3),
        *(["gggggggggg"] * 3),
    )


def test_an_instance_is_joined_through_a_tile_in_which_it_decides_nothing():
    # The upper left and the lower right tile have it, and the upper right one sees it beyond its own pixels.
    tiles = [
        drawn(*(["......."] * 3), *(["...AAAA"] * 4)),
        drawn(*(["......."] * 3), "AAAA...", *(["AAAA..."] * 3)),
        drawn("...AA..", "...AA..", *(["......."] * 5)),
        drawn(*(["AAAA..."] * 4), *(["......."] * 3)),
    ]
    assert len(joined(PAIR, PAIR, *tiles).segments) == 1


def test_an_instance_along_many_tiles_is_one():
    columns = spans(100, 10, 4)
    assert len(columns) == 16
    assert_scene(joined(ALONE, columns, *([drawn("." * 10, "N" * 10, "g" * 10)] * 16)), "." * 100, "N" * 100, "g" * 100)


def test_two_instances_that_touch_at_the_cut_stay_two():
    left = drawn("ggAAABB", "ggAAABB", "ggggggg")
    right = drawn("AABBBgg", "AABBBgg", "ggggggg")
    assert_scene(
        joined(ALONE, PAIR, left, right),
        "ggAAABBBgg",
        "ggAAABBBgg",
        "gggggggggg",
    )


def test_instances_above_each_other_at_a_cut_are_told_apart():
    left = drawn("gggAAAA", "gggBBBB", "gggCCCC")
    right = drawn("BBBBggg", "CCCCggg", "DDDDggg")
    assert_scene(
        joined(ALONE, PAIR, left, right),
        "gggAAAAggg",
        "gggBBBBggg",
        "gggCCCCggg",
    )


def test_an_instance_that_only_one_tile_has_keeps_its_part():
    left = drawn("ggggggg", "ggAAAAA", "ggggggg")
    right = drawn(*(["ggggggg"] * 3))
    assert_scene(
        joined(ALONE, PAIR, left, right),
        "gggggggggg",
        "ggAAAggggg",
        "gggggggggg",
    )


def test_masks_that_hardly_overlap_are_two_instances():
    # In the four columns that both see the left mask has 4 pixels, the right one 6, and 2 are of both: IoU 2 / 8.
    left = drawn("ggggggg", "gggAAAA", "ggggggg")
    right = drawn("ggAAggg", "ggAAggg", "ggAAggg")
    apart, together = (
        ("gggggBBggg", "gggAABBggg", "gggggBBggg"),
        ("gggggAAggg", "gggAAAAggg", "gggggAAggg"),
    )
    assert_scene(joined(ALONE, PAIR, left, right, least_iou=0.3), *apart)
    assert_scene(joined(ALONE, PAIR, left, right, least_iou=0.2), *together)


def test_an_instance_that_the_neighbour_splits_is_joined_with_the_best_of_its_parts():
    # IoU 4 / 12 and 8 / 12.
    left = drawn("ggAAAAA", "ggAAAAA", "ggAAAAA")
    right = drawn("BBBBggg", "CCCCggg", "CCCCggg")
    assert_scene(
        joined(ALONE, PAIR, left, right),
        "ggAAABBggg",
        "ggAAAAAggg",
        "ggAAAAAggg",
    )


def test_categories_that_disagree_are_two_segments():
    left = drawn("ggggggg", "ggAAAAA", "ggggggg")
    right = drawn("ggggggg", "NNNNNgg", "ggggggg")
    assert_scene(
        joined(ALONE, PAIR, left, right),
        "gggggggggg",
        "ggAAANNNgg",
        "gggggggggg",
    )


def test_stuff_is_one_segment_even_apart_and_void_stays_void():
    left = drawn("gg.wwww", "gg.wwww", "gg.wwww")
    right = drawn("wwww.gg", "wwww.gg", "wwww.gg")
    assert_scene(joined(ALONE, PAIR, left, right), *(["gg.wwww.gg"] * 3))


def test_pixels_are_decided_by_the_tile_in_which_they_lie_deepest():
    left, right = drawn(*(["ggggggg"] * 3)), drawn(*(["wwwwwww"] * 3))
    assert_scene(joined(ALONE, PAIR, left, right), *(["gggggwwwww"] * 3))


def test_stuff_of_the_whole_map_that_is_too_small_becomes_void():
    left, right = drawn("gggwwww", "ggggggg", "ggggggg"), drawn("wwwwggg", "ggggggg", "ggggggg")
    assert_scene(joined(ALONE, PAIR, left, right, stuff_area=4), "gggwwwwggg", "gggggggggg", "gggggggggg")
    assert_scene(joined(ALONE, PAIR, left, right, stuff_area=5), "ggg....ggg", "gggggggggg", "gggggggggg")


def test_the_score_of_an_instance_is_the_mean_over_its_pixels():
    left = drawn("ggggggg", "ggAAAAA", "ggggggg", scores={"A": 0.9, "g": 0.5})
    right = drawn("ggggggg", "AAAAAgg", "ggggggg", scores={"A": 0.6, "g": 1.0})
    result = joined(ALONE, PAIR, left, right)
    # The left tile decides 3 pixels of the cat and 12 of grass, the right one 3 and 12.
    scores = dict(zip(result.segments["category"].tolist(), result.segments["score"].tolist()))
    assert scores == pytest.approx({2: (3 * 0.9 + 3 * 0.6) / 6, 1: (12 * 0.5 + 12 * 1.0) / 24})


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tile, overlap, step", [(16, 4, 1), (17, 8, 1), (24, 20, 2), (32, 6, 4)])
def test_tiles_cut_from_a_map_give_it_back(seed, tile, overlap, step):
    random = np.random.default_rng(seed)
    points = random.integers(0, [50, 61], (12, 2))  # Voronoi cells: each is connected
    y, x = np.mgrid[:50, :61]
    nearest = ((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2).argmin(-1)
    ids = np.array([0, 1, 1, *range(5, 14)], np.int32)[nearest]  # a cell of void, two of grass, nine cats and dogs
    number, areas = np.unique(ids[ids > 0], return_counts=True)
    category = np.where(number == 1, 1, 2 + number % 2)
    truth = SegmentMap(ids, segment_rows(number, category, areas=areas))
    rows, columns = spans(50, tile, overlap, step), spans(61, tile, overlap, step)
    whole = JoinedTiles(rows, columns, CATEGORIES)
    for row, down in enumerate(rows):
        for column, across in enumerate(columns):
            part = ids[down.start : down.stop, across.start : across.stop]
            seen = np.unique(part[part > 0])
            new = np.where(seen == 1, 1, random.permutation(len(seen)) + 2)  # another numbering in each tile
            table = segment_rows(new, category[np.searchsorted(number, seen)], areas=extents(part).of(seen).areas)
            whole.add(row, column, SegmentMap(relabel(part, seen, new), table))
    result = whole.finish()
    pairs = {*zip(truth.ids.ravel().tolist(), result.ids.ravel().tolist())}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


def test_more_segments_than_a_png_can_number_are_refused(monkeypatch):
    monkeypatch.setattr(joined_tiles, "MOST_SEGMENTS", 2)
    tile = drawn("AA.BB.N", ".......", ".......")
    with pytest.raises(InputError, match="3 segments are more than the 2 "):
        joined(ALONE, [Span(0, 7, 0, 7)], tile)


def test_members_of_a_group_have_its_lowest_member():
    # 5-3, 3-4, 1-4: one group {1, 3, 4, 5}; 0 and 2 are alone.
    assert lowest_of_joined(np.array([[5, 3, 1], [3, 4, 4]]), 6).tolist() == [0, 1, 2, 1, 1, 1]
