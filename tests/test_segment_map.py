import numpy as np
import pytest

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
        sm.segment_rows(numbers, [r[1] for r in rows], [r[2] for r in rows], sm.pixel_areas(ids, np.array(numbers))),
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


def test_rgb_gives_the_ids_back():
    ids = np.array([[0, 1, 255, 256, 65_536, 2**24 - 1]], np.int32)
    np.testing.assert_array_equal(sm.rgb_to_ids(sm.ids_to_rgb(ids)), ids)


def test_rgb_holds_the_low_byte_in_red():
    # 66051 = 3 + 2 * 256 + 1 * 65536
    assert sm.ids_to_rgb(np.array([[66_051]]))[0, 0].tolist() == [3, 2, 1]


def test_an_id_beyond_24_bits_is_refused():
    with pytest.raises(InputError, match="16777215"):
        sm.ids_to_rgb(np.array([[2**24]]))


def test_boxes_are_tight_and_end_one_past_the_last_pixel():
    ids = np.zeros((6, 8), np.int32)
    ids[1:3, 2:7] = 9
    assert sm.boxes(ids, np.array([9, 4])).tolist() == [[1, 2, 3, 7], [0, 0, 0, 0]]


def test_coco_segments_carry_native_numbers_and_the_datasets_ids():
    import json

    scene = segment_map([[5, 5], [0, 7]], [(5, 1, 0), (7, 3, 0)])
    first, second = json.loads(json.dumps(sm.to_coco_segments(scene, TABLE)))
    assert (first["category_id"], first["area"], first["bbox"]) == (10, 2, [0, 0, 2, 1])
    assert (second["category_id"], second["area"], second["bbox"]) == (30, 1, [1, 1, 1, 1])
