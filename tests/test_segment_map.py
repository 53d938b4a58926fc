import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfpanoptic import segment_map as sm
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError

TABLE = CategoryTable.from_coco(
    [
        {"id": 10, "name": "cat", "isthing": 1},
        {"id": 20, "name": "dog", "isthing": 1},
        {"id": 30, "name": "sky", "isthing": 0},
    ]
)


def segment_map(ids, rows):
    """rows: (id, category, iscrowd)."""
    ids = np.array(ids, np.int32)
    numbers = [row[0] for row in rows]
    return sm.SegmentMap(
        ids,
        sm.segment_rows(numbers, [r[1] for r in rows], [r[2] for r in rows], sm.extents(ids).of(numbers).areas),
    )


def test_things_are_numbered_within_their_category():
    scene = segment_map([[5, 7], [9, 3]], [(5, 1, 0), (7, 1, 0), (9, 2, 0), (3, 3, 0)])
    panoptic, merged = sm.to_panoptic_map(scene, TABLE)
    np.testing.assert_array_equal(panoptic, [[10_001, 10_002], [20_001, 30_000]])
    assert merged == []


def test_two_crowds_of_a_category_are_merged_and_named():
    scene = segment_map([[5, 7]], [(5, 1, 1), (7, 1, 1)])
    panoptic, merged = sm.to_panoptic_map(scene, TABLE)
    np.testing.assert_array_equal(panoptic, [[10_000, 10_000]])
    assert merged == ["2 crowds of cat share one label: segments [5, 7]"]


def test_stuff_in_two_segments_is_merged_and_named():
    _, merged = sm.to_panoptic_map(segment_map([[5, 7]], [(5, 3, 0), (7, 3, 0)]), TABLE)
    assert merged == ["2 stuff segments of sky share one label: segments [5, 7]"]


def test_pixels_of_no_segment_are_void():
    panoptic, _ = sm.to_panoptic_map(segment_map([[0, 4, 8]], [(4, 1, 0)]), TABLE)
    np.testing.assert_array_equal(panoptic, [[0, 10_001, 0]])


def test_a_map_without_segments_is_void():
    panoptic, _ = sm.to_panoptic_map(segment_map([[0, 4]], []), TABLE)
    np.testing.assert_array_equal(panoptic, [[0, 0]])


def test_the_way_to_a_segment_map_and_back_is_lossless():
    panoptic = np.array([[0, 10_001, 10_002], [10_000, 20_001, 30_000]], np.int32)
    back, merged = sm.to_panoptic_map(sm.from_panoptic_map(panoptic, TABLE), TABLE)
    # Label 10000 is a crowd: its row is iscrowd and it does not count as an instance.
    np.testing.assert_array_equal(back, panoptic)
    assert merged == []


def test_a_thing_without_an_instance_is_a_crowd():
    rows = sm.from_panoptic_map(np.array([[10_000, 30_000]]), TABLE).segments
    assert rows["iscrowd"].tolist() == [True, False]


@pytest.mark.parametrize("label, words", [(40_001, "no category"), (30_002, "stuff an instance number")])
def test_a_label_that_cannot_be_is_refused(label, words):
    with pytest.raises(InputError, match=words):
        sm.from_panoptic_map(np.array([[label]]), TABLE)


def test_more_instances_than_the_divisor_holds_are_refused():
    rows = sm.segment_rows(range(1, 10_001), [1] * 10_000)
    with pytest.raises(InputError, match="more than 9999 instances of cat"):
        sm.panoptic_labels(rows, TABLE)


def test_rgb_holds_the_low_byte_in_red():
    # 66051 = 3 + 2 * 256 + 1 * 65536
    rgb = sm.ids_to_rgb(np.array([[66_051, 0, 255, 256, 65_536, 2**24 - 1]]))
    assert rgb[0].tolist() == [[3, 2, 1], [0, 0, 0], [255, 0, 0], [0, 1, 0], [0, 0, 1], [255, 255, 255]]


def test_an_id_beyond_24_bits_is_refused():
    with pytest.raises(InputError, match="16777215"):
        sm.ids_to_rgb(np.array([[2**24]]))


def test_boxes_are_tight_and_end_one_past_the_last_pixel():
    ids = np.zeros((6, 8), np.int32)
    ids[1:3, 2:7] = 9
    assert sm.extents(ids).of([9, 4]).boxes.tolist() == [[1, 2, 3, 7], [0, 0, 0, 0]]


def test_a_segment_in_parts_has_one_area_and_one_box():
    ids = np.array([[7, 0, 0], [0, 0, 7], [0, 7, 7]], np.int32)
    numbers, areas, boxes = sm.extents(ids)
    assert (numbers.tolist(), areas.tolist()) == ([0, 7], [5, 4])
    assert boxes.tolist() == [[0, 0, 3, 3], [0, 0, 3, 3]]


def test_a_segment_that_goes_on_in_the_next_row_does_not_wrap_around():
    # Along the rows as one line, the fives are neighbours.
    numbers, areas, boxes = sm.extents(np.array([[0, 0, 5], [5, 0, 0]], np.int32))
    assert (numbers.tolist(), areas.tolist()) == ([0, 5], [4, 2])
    assert boxes[1].tolist() == [0, 0, 2, 3]


def test_maps_of_one_row_or_column_have_extents():
    line = np.array([4, 4, 0, 9, 4], np.int32)
    for ids, expected in (
        (line[None], [[0, 2, 1, 3], [0, 0, 1, 5], [0, 3, 1, 4]]),
        (line[:, None], [[2, 0, 3, 1], [0, 0, 5, 1], [3, 0, 4, 1]]),
    ):
        numbers, areas, boxes = sm.extents(ids)
        assert (numbers.tolist(), areas.tolist(), boxes.tolist()) == ([0, 4, 9], [1, 3, 1], expected)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_a_map_without_pixels_has_no_extents(shape):
    ids = np.zeros(shape, np.int32)
    assert [len(column) for column in sm.extents(ids)] == [0, 0, 0]
    assert sm.extents(ids).of([3]).areas.tolist() == [0]
    assert sm.relabel(ids, [3], [1]).shape == shape


def test_ids_at_the_ends_of_int32_are_told_apart():
    low, high = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    ids = np.array([[low, high, high], [low, 0, -1]], np.int32)
    found = sm.extents(ids)
    assert (found.ids.tolist(), found.areas.tolist()) == ([low, -1, 0, high], [2, 1, 1, 2])
    assert found.boxes.tolist() == [[0, 0, 2, 1], [1, 2, 2, 3], [1, 1, 2, 2], [0, 1, 1, 3]]
    assert sm.relabel(ids, [high, low], [low, 3]).tolist() == [[3, low, low], [3, 0, 0]]
    # Keys of pairs are int64, and must not wrap around.
    assert sm.rows_of(np.array([high, low], np.int32), np.array([low, high, 2**32 + high])).tolist() == [1, 0, -1]


def test_rows_of_ids_in_any_order_and_of_ids_that_are_absent():
    assert sm.rows_of([9, 4, 6], [[4, 5], [9, 10]]).tolist() == [[1, -1], [0, -1]]
    assert sm.rows_of([], [[4, 5]]).tolist() == [[-1, -1]]
    assert sm.rows_of([9, 4], []).tolist() == []


def test_of_equal_ids_the_first_row_counts():
    assert sm.rows_of([8, 3, 8, 3], [3, 8]).tolist() == [1, 0]


def test_rows_of_pixels_with_ids_in_any_order_and_ids_without_a_row():
    scene = sm.SegmentMap(np.array([[9, 4, 0, 77]], np.int32), sm.segment_rows([9, 4], [1, 2]))
    assert sm.rows_of_pixels(scene).tolist() == [[1, 2, 0, 0]]


def test_rows_of_pixels_of_a_map_without_segments_are_0():
    scene = sm.SegmentMap(np.array([[0, 77]], np.int32), sm.segment_rows([], []))
    assert sm.rows_of_pixels(scene).tolist() == [[0, 0]]


def test_tables_become_rows_of_the_segments_that_have_pixels():
    ids = np.array([[3, 3, 0], [1, 3, 3]], np.int32)
    labels = np.array([20_001, 10_001, 30_000], np.int32)  # dog 1, cat 1, sky
    made = sm.from_tables(ids, labels, np.array([0.25, 1.0, 0.5], np.float32))
    assert made.ids is ids
    # id, category, iscrowd, area, score
    assert made.segments.tolist() == [(1, 2, False, 1, 0.25), (3, 3, False, 4, 0.5)]


def test_tables_without_scores_give_scores_of_1():
    made = sm.from_tables(np.array([[1]], np.int32), np.array([10_001], np.int32))
    assert made.segments.tolist() == [(1, 1, False, 1, 1.0)]


def test_tables_of_a_void_map_give_no_segment():
    void = np.zeros((2, 3), np.int32)
    for labels in (np.zeros(0, np.int32), np.array([10_001, 0], np.int32)):
        assert len(sm.from_tables(void, labels, np.zeros(len(labels), np.float32)).segments) == 0


# Few ids on small maps, so that they meet, and the ends of int32.
IDS = st.sampled_from([0, 1, 2, 3, 2**24 - 1, -1, -(2**31), 2**31 - 1])
MAPS = hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=7), elements=IDS)


@settings(deadline=None)
@given(MAPS, st.lists(IDS, unique=True))
def test_extents_are_those_of_a_look_at_each_pixel(ids, wanted):
    found = sm.extents(ids)
    assert found.ids.tolist() == sorted(set(ids.ravel().tolist()))
    for number, area, box in [*zip(*found), *zip(*found.of(wanted))]:
        y, x = np.nonzero(ids == number)
        assert area == len(y)
        assert box.tolist() == ([y.min(), x.min(), y.max() + 1, x.max() + 1] if len(y) else [0, 0, 0, 0])


@settings(deadline=None)
@given(MAPS, st.dictionaries(IDS, st.integers(-(2**31), 2**31 - 1)))
def test_relabelling_is_a_look_up_of_each_pixel(ids, table):
    new = sm.relabel(ids, list(table), list(table.values()))
    assert (new.dtype, new.shape) == (np.int32, ids.shape)
    assert new.ravel().tolist() == [table.get(number, 0) for number in ids.ravel().tolist()]


@settings(deadline=None)
@given(st.lists(IDS), MAPS)
def test_rows_are_the_places_in_the_list(ids, wanted):
    rows = sm.rows_of(np.array(ids, np.int64), wanted)
    assert (rows.dtype, rows.shape) == (np.int64, wanted.shape)
    assert rows.ravel().tolist() == [ids.index(w) if w in ids else -1 for w in wanted.ravel().tolist()]


def test_coco_segments_carry_native_numbers_and_the_datasets_ids():
    import json

    scene = segment_map([[5, 5], [0, 7]], [(5, 1, 0), (7, 3, 0)])
    first, second = json.loads(json.dumps(sm.to_coco_segments(scene, TABLE)))
    assert (first["category_id"], first["area"], first["bbox"]) == (10, 2, [0, 0, 2, 1])
    assert (second["category_id"], second["area"], second["bbox"]) == (30, 1, [1, 1, 1, 1])


def test_coco_segments_without_pixels_have_an_empty_box():
    scene = segment_map([[5, 5]], [(7, 3, 0), (5, 1, 0)])
    assert [segment["bbox"] for segment in sm.to_coco_segments(scene, TABLE)] == [[0, 0, 0, 0], [0, 0, 2, 1]]


def test_segments_are_numbered_as_they_appear():
    start, number, ids = sm.by_appearance(np.array([[7, 7, 0], [3, 7, 7]]))
    # Runs: 7 at pixel 0, void at 2, then 3 at 3 and 7 at 4.
    assert (start.tolist(), number.tolist(), ids.tolist()) == ([0, 2, 3, 4], [0, 1, 2, 0], [7, 0, 3])
