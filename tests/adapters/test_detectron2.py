"""Pairs as Detectron2's models return them, made by hand from its documentation."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.adapters.scene import CAT, CATEGORIES, DOG, NAMES, SKY, Tensor, assert_same, result
from tfpanoptic.errors import InputError
from tfpanoptic.result import PanopticResult

# Of PanopticFPN: things and stuff are counted apart, and stuff 0 is all things.
SEPARATED = SimpleNamespace(thing_classes=["cat", "dog"], stuff_classes=["things", "sky"])
# Of Panoptic-DeepLab: both lists are those of all classes.
JOINT = SimpleNamespace(
    thing_classes=NAMES,
    stuff_classes=NAMES,
    label_divisor=1000,
    thing_dataset_id_to_contiguous_id={70: 1, 71: 2},
)


def test_entries_have_the_keys_of_the_format():
    ids, segments = result().to_detectron2(SEPARATED)
    np.testing.assert_array_equal(ids, result().segmentation)
    assert segments == [
        {"id": 300, "isthing": False, "category_id": 1, "score": 0.75, "area": 36},
        {"id": 12, "isthing": True, "category_id": 0, "score": 0.1 + 0.2, "area": 12},
        {"id": 13, "isthing": True, "category_id": 0, "score": 0.5, "area": 4},
        {"id": 7, "isthing": True, "category_id": 1, "score": 1.0, "area": 4, "iscrowd": 1},
    ]


def test_without_metadata_all_categories_are_counted_together():
    assert [segment["category_id"] for segment in result().to_detectron2()[1]] == [0, 1, 1, 2]


@pytest.mark.parametrize("metadata", [SEPARATED, JOINT])
def test_there_and_back_is_the_same(metadata):
    pair = result().to_detectron2(metadata)
    assert_same(PanopticResult.from_detectron2(pair, CATEGORIES, metadata), result())


def test_panoptic_fpn_has_no_score_of_stuff_and_its_unlisted_pixels_are_void():
    ids = Tensor(np.array([[1, 1, 2], [0, 5, 2]], np.int32))
    segments = [
        {"id": 1, "isthing": True, "score": 0.5, "category_id": 1, "instance_id": 3},
        {"id": 2, "isthing": False, "category_id": 1, "area": 2},
    ]
    found = PanopticResult.from_detectron2((ids, segments), CATEGORIES, SEPARATED)
    assert found.segmentation.tolist() == [[1, 1, 2], [0, 0, 2]]
    assert found.segment_map.segments.tolist() == [(1, DOG, False, 2, 0.5), (2, SKY, False, 2, 1.0)]


def test_without_a_list_pixels_say_category_and_instance():
    # Class 0 is sky, whose label 0 is not void here: ids become one more.
    ids = np.array([[0, 0, 1001], [-1, 2001, 1002]])
    found = PanopticResult.from_detectron2((ids, None), CATEGORIES, JOINT)
    assert found.segmentation.tolist() == [[1, 1, 1002], [0, 2002, 1003]]
    assert found.segment_map.segments["category"].tolist() == [SKY, CAT, CAT, DOG]


def entry(**changes):
    return {"id": 1, "isthing": True, "category_id": 0, **changes}


@pytest.mark.parametrize(
    ("pair", "metadata", "message"),
    [
        (([[1]], [entry(category_id=2)]), SEPARATED, r"\[0\]: category_id 2 has no name in metadata.thing_classes"),
        (
            ([[1]], [entry(isthing=False)]),
            SEPARATED,
            "category_id 0 of metadata.stuff_classes is 'things', which is no",
        ),
        (([[1]], [entry()]), JOINT, "isthing is True, but sky is stuff"),
        (([[1]], [entry(isthing=False, category_id=2)]), JOINT, "isthing is False, but dog is a thing"),
        (([[1]], [entry(), entry()]), SEPARATED, r"\[1\]: id 1 is of two segments, expected one"),
        (([[1]], [{"id": 1, "category_id": 0}]), SEPARATED, r"\[0\]: lacks isthing"),
        (([[1]], 3), SEPARATED, "segments_info must be a list or None, found int"),
        (([[1]], None), SEPARATED, "metadata has no label_divisor"),
        (([[-2]], None), JOINT, "expected values of at least -1, which is void, found -2"),
        (([[1]], [entry()]), None, "metadata has no thing_classes"),
        ([[1]], SEPARATED, r"expected a pair \(panoptic_seg, segments_info\), found \[\[1\]\]"),
    ],
)
def test_another_structure_is_an_error_that_names_it(pair, metadata, message):
    with pytest.raises(InputError, match=message):
        PanopticResult.from_detectron2(pair, CATEGORIES, metadata)
