import json
from dataclasses import replace

import numpy as np
import pytest

from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.data.supervision import images_json, supervision_lines
from tfpanoptic.segment_map import segment_rows


@pytest.fixture(scope="module")
def one():
    """A function: (category, area) of each segment -> one image of 100 pixels; 1 is a thing, 2 is stuff."""
    dataset = nuclei("train")

    def make(*segments, split="train", **changes):
        categories, areas = zip(*segments, strict=True) if segments else ((), ())
        rows = segment_rows(range(1, len(segments) + 1), categories, areas=areas)
        record = replace(dataset.records[0], height=10, width=10, segments=rows)
        return replace(dataset, split=split, records=(record,), **changes)

    return make


def lines_of(train, val):
    return supervision_lines({"train": train, "val": val})


@pytest.fixture(scope="module")
def whole(one):
    """Images with nothing to say."""
    return {split: one((1, 10), (2, 90), split=split) for split in ("train", "select", "val")}


def test_a_run_says_what_its_images_are_for(whole):
    both = {split: whole[split] for split in ("train", "val")}
    assert supervision_lines(both) == ["images: 1 train (train), 1 choose the best weights and are reported (val)"]
    assert supervision_lines(whole) == [
        "images: 1 train (train), 1 choose the best weights (select), 1 are reported (val)"
    ]
    name = whole["train"].records[0].file_name
    assert json.loads(images_json(whole)) == {
        "train": {"use": "train", "images": [name]},
        "select": {"use": "choose the best weights", "images": [name]},
        "val": {"use": "are reported", "images": [name]},
    }


def test_void_where_there_is_no_stuff_is_told(one, whole):
    assert lines_of(one((1, 3)), whole["val"])[1:] == [
        "train: 97 % of the pixels are void and none is stuff: little says what is no thing; "
        "`data.remap.void=NAME` makes void a category",
        "train: no segment of background: nothing teaches them",
    ]


def test_much_void_beside_stuff_is_told(one, whole):
    assert lines_of(one((1, 20), (2, 20)), whole["val"])[1:] == [
        "train: 60 % of the pixels are void: no segment is taught there"
    ]


def test_much_void_that_is_evaluated_is_told(one, whole):
    val = one((1, 30), (2, 10), split="val")
    assert lines_of(whole["train"], val)[1:] == ["val: 60 % of the pixels are void: what is found there is not wrong"]


def test_stuff_alone_is_told(one, whole):
    assert lines_of(one((2, 100)), whole["val"])[1:] == [
        "train: no segment is an instance of a thing: nothing teaches instances",
        "train: no segment of nucleus: nothing teaches them",
    ]


def test_crowds_are_no_instances(one, whole):
    train = one((1, 10), (2, 90))
    rows = train.records[0].segments.copy()
    rows["iscrowd"] = [True, False]
    train = replace(train, records=(replace(train.records[0], segments=rows),))
    assert "nothing teaches instances" in lines_of(train, whole["val"])[1]


def test_categories_that_validation_does_not_measure_are_told(one, whole):
    val = one((2, 100), split="val")
    assert lines_of(whole["train"], val)[1:] == ["val: no segment of nucleus: their PQ is undefined"]
    # The evaluation says of these that they are left out.
    assert len(lines_of(whole["train"], replace(val, table_only=("nucleus",)))) == 1


def test_images_that_are_all_void_are_counted(one, whole):
    assert "val: 1 of 1 images are all void, without a segment" in lines_of(whole["train"], one(split="val"))


def test_a_segment_without_pixels_is_none(one, whole):
    val = one((1, 100), (2, np.float64(0)), split="val")
    assert lines_of(whole["train"], val)[1:] == ["val: no segment of background: their PQ is undefined"]
