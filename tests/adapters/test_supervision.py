"""Detections of the real package where it is installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tests.adapters.scene import CAT, CATEGORIES, DOG, NAMES, Tensor, assert_same, result
from tfpanoptic.errors import InputError
from tfpanoptic.result import PanopticResult

LEFT = np.array([[1, 1, 1, 0]] * 2, bool)
RIGHT = np.array([[0, 0, 1, 1]] * 2, bool)


def detections(**changes):
    """Two that overlap, as a model of instances gives them."""
    given = {
        "mask": np.stack([LEFT, RIGHT]),
        "class_id": np.array([1, 2]),
        "confidence": np.array([0.5, 0.75], np.float32),
        "data": {},
    }
    return SimpleNamespace(**{**given, **changes})


@pytest.fixture(scope="module")
def supervision():
    return pytest.importorskip("supervision")


def test_the_package_takes_boxes_masks_classes_and_scores(supervision):
    found = result().to_supervision()
    assert isinstance(found, supervision.Detections) and len(found) == 4
    np.testing.assert_array_equal(found.mask[1], result().segmentation == 12)
    np.testing.assert_array_equal(found.xyxy, supervision.mask_to_xyxy(found.mask, "exclusive"))
    assert found.area.tolist() == [36, 12, 4, 4]
    assert found.class_id.tolist() == [0, 1, 1, 2]
    assert found["class_name"].tolist() == ["sky", "cat", "cat", "dog"]
    assert found[found["isthing"]].confidence.tolist() == [0.1 + 0.2, 0.5, 1.0]


def test_the_package_draws_them(supervision):
    image = np.zeros((9, 12, 3), np.uint8)
    drawn = supervision.MaskAnnotator().annotate(image.copy(), result().to_supervision())
    np.testing.assert_array_equal(drawn.any(axis=2), result().segmentation != 0)


def test_there_and_back_is_the_same(supervision):
    assert_same(PanopticResult.from_supervision(result().to_supervision(), CATEGORIES), result())
    ids = {5: "dog", 6: "sky", 8: "cat"}
    assert_same(PanopticResult.from_supervision(result().to_supervision(ids), CATEGORIES, ids), result())


def test_a_result_without_segments_goes_there_and_back(supervision):
    empty = PanopticResult.from_transformers({"segmentation": np.zeros((2, 3)), "segments_info": []}, CATEGORIES, NAMES)
    found = empty.to_supervision()
    assert len(found) == 0 and found.mask.shape == (0, 2, 3)
    assert_same(PanopticResult.from_supervision(found, CATEGORIES), empty)


def test_what_the_package_reads_from_transformers_is_the_same(supervision):
    """It takes tensors of PyTorch alone, so the array is wrapped."""
    prediction = result().to_transformers()
    prediction["segmentation"] = Tensor(prediction["segmentation"])
    theirs = supervision.Detections.from_transformers(prediction, id2label=dict(enumerate(NAMES)))
    ours = result().to_supervision()
    for key in ("mask", "class_id", "confidence"):
        np.testing.assert_array_equal(getattr(theirs, key), getattr(ours, key))
    assert theirs["class_name"].tolist() == ours["class_name"].tolist()


def test_masks_that_the_package_compresses_are_read(supervision):
    compact = pytest.importorskip("supervision.detection.compact_mask").CompactMask
    ours = result().to_supervision()
    ours.mask = compact.from_dense(ours.mask, ours.xyxy, ours.mask.shape[1:])
    assert_same(PanopticResult.from_supervision(ours, CATEGORIES), result())


def test_where_masks_overlap_the_better_score_has_the_pixel():
    found = PanopticResult.from_supervision(detections(), CATEGORIES, NAMES)
    assert found.segmentation.tolist() == [[1, 1, 2, 2]] * 2
    assert found.segment_map.segments.tolist() == [(1, CAT, False, 4, 0.5), (2, DOG, False, 4, 0.75)]


def test_without_scores_the_first_has_the_pixel_and_all_are_1():
    found = PanopticResult.from_supervision(detections(confidence=None), CATEGORIES, NAMES)
    assert found.segmentation.tolist() == [[1, 1, 1, 2]] * 2
    assert found.segment_map.segments["score"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("changes", "names", "message"),
    [
        ({"mask": None}, NAMES, r"detections have no mask; expected bool \[N, H, W\]"),
        ({"mask": LEFT}, NAMES, r"detections.mask: expected bool \[N, H, W\], found bool \[2, 4\]"),
        ({}, None, "detections have no class_name; id2label"),
        ({"class_id": None}, NAMES, "detections have no class_id"),
        ({"class_id": [1, 7]}, NAMES, r"detections\[1\]: class_id 7 has no name in id2label"),
        ({"data": {"class_name": ["cat", "cow"]}}, None, r"detections\[1\]: class_name is 'cow', which is no category"),
        ({"data": {"segment_id": [3, 3]}}, NAMES, r"detections\[1\]: segment_id 3 is of two detections, expected one"),
        ({"confidence": [0.5]}, NAMES, "detections have 2 masks and 1 values of score; expected equally many"),
        ({"confidence": [0.5, np.nan]}, NAMES, r"detections\[1\]: score must be a finite number"),
    ],
)
def test_another_structure_is_an_error_that_names_it(changes, names, message):
    with pytest.raises(InputError, match=message):
        PanopticResult.from_supervision(detections(**changes), CATEGORIES, names)


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="Detections need supervision, which is not installed: pip install supervis"):
        result().to_supervision()
