"""Names at segments."""

import numpy as np
from PIL import ImageFont

from tfpanoptic.categories import CategoryTable
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.visualize.labels import label_texts, place_labels

CATEGORIES = CategoryTable.from_coco(
    [
        {"id": 1, "name": "cat", "isthing": 1},
        {"id": 2, "name": "dog", "isthing": 1},
        {"id": 3, "name": "sky", "isthing": 0},
    ]
)
FONT = ImageFont.load_default(12)


def segments(categories, crowds=None, scores=None) -> SegmentMap:
    table = segment_rows(range(1, len(categories) + 1), categories, crowds, [1] * len(categories), scores)
    return SegmentMap(np.zeros((1, 1), np.int32), table)


def test_truth_has_names_without_scores():
    assert label_texts(segments([1, 3]), CATEGORIES) == [("cat",), ("sky",)]


def test_predicted_things_have_scores_and_stuff_has_none():
    texts = label_texts(segments([1, 3], scores=[0.875, 0.5]), CATEGORIES)
    assert texts == [("cat 0.88", "cat"), ("sky",)]


def test_a_crowd_says_so():
    assert label_texts(segments([2], [True]), CATEGORIES) == [("dog (crowd)", "dog")]


def test_a_category_of_many_segments_is_left_to_the_legend():
    texts = label_texts(segments([1] * 21 + [2]), CATEGORIES)
    assert texts == [()] * 21 + [("dog",)]


def test_the_name_of_the_only_kind_of_thing_is_left_to_the_legend():
    cells = CategoryTable.from_coco([{"id": 1, "name": "cell", "isthing": 1}, {"id": 2, "name": "bg", "isthing": 0}])
    assert label_texts(segments([1, 2]), cells) == [(), ("bg",)]
    assert label_texts(segments([1, 2], scores=[0.5, 1]), cells) == [("0.50",), ("bg",)]


def test_a_name_stands_in_the_middle_of_its_segment():
    rows = np.zeros((200, 300), np.int32)
    rows[40:140, 100:260] = 1
    label = place_labels(rows, [("cat",)], np.array([True]), FONT)[0]
    assert abs(label.y + label.height / 2 - 90) <= 4
    assert abs(label.x + label.width / 2 - 180) <= 4


def test_a_name_never_stands_outside_the_picture():
    rows = np.zeros((200, 300), np.int32)
    rows[:60, :40] = 1
    label = place_labels(rows, [("a long name",)], np.array([True]), FONT)[0]
    assert label.x >= 0 and label.y >= 0


def test_a_segment_smaller_than_its_name_has_none():
    rows = np.zeros((200, 300), np.int32)
    rows[100:108, 100:108] = 1
    assert place_labels(rows, [("cat",)], np.array([True]), FONT) == {}


def test_a_shorter_text_is_written_where_the_full_one_has_no_room():
    rows = np.zeros((200, 300), np.int32)
    rows[80:130, 100:140] = 1
    texts = [("elephant of the grey kind 0.97", "cat")]
    assert place_labels(rows, texts, np.array([True]), FONT)[0].text == "cat"


def test_names_do_not_touch():
    rows = np.ones((200, 300), np.int32)
    rows[60:140, 50:150], rows[60:140, 150:250] = 2, 3
    labels = place_labels(rows, [("sky",), ("cat",), ("dog",)], np.array([False, True, True]), FONT)
    assert sorted(labels) == [0, 1, 2]
    inside = np.zeros(rows.shape, int)
    for label in labels.values():
        inside[label.y : label.y + label.height, label.x : label.x + label.width] += 1
    assert inside.max() == 1


def test_the_name_of_stuff_does_not_cover_a_thing():
    rows = np.ones((120, 200), np.int32)
    rows[50:70, 60:140] = 2  # in the very middle of the stuff
    label = place_labels(rows, [("sky",), ()], np.array([False, True]), FONT)[0]
    assert (rows[label.y : label.y + label.height, label.x : label.x + label.width] == 2).mean() < 0.2
