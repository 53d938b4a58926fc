"""The walk over a panoptic JSON goes past every problem that its sink takes."""

import json

import numpy as np
import pytest

from tfpanoptic.categories import read_coco_categories
from tfpanoptic.data.coco_json import predicted_segments, read_images, read_lists
from tfpanoptic.errors import InputError, Problems, raise_first

CATEGORY_IDS = {7: 1, 3: 2}


@pytest.fixture
def problems():
    """The (code, message) pairs that a sink got."""
    return []


@pytest.fixture
def sink(problems):
    return lambda code, message: problems.append((code, message))


def test_what_is_sound_has_no_problem_and_keeps_boxes_and_other_keys(coco, problems, sink):
    coco.content["images"][0]["kind"] = "stained"
    coco.content["annotations"][0]["segments_info"][1]["bbox"] = [0, 1, 6, 2]
    coco.write()
    (entry,) = read_images(read_lists(coco.json, sink), CATEGORY_IDS, sink)
    assert problems == []
    assert (entry.file_name, entry.png_name, entry.image_id, entry.height, entry.width) == ("0.png", "0.png", 100, 4, 6)
    assert entry.segments["category"].tolist() == [1, 2, 1] and entry.complete
    assert (entry.boxes, entry.extra) == ([None, [0, 1, 6, 2], None], {"kind": "stained"})


def test_every_problem_is_reported_and_the_rest_comes_back(several, problems, sink):
    images, annotations = several.content["images"], several.content["annotations"]
    images[0]["width"] = -1
    images[1]["id"] = images[2]["id"]
    annotations[3]["segments_info"] = None
    segments = annotations[4]["segments_info"]
    segments[0]["id"], segments[1]["category_id"], segments[2]["area"] = "5", 9, 10_000
    segments.append(dict(segments[2]))
    several.write()
    entries = list(read_images(read_lists(several.json, sink), CATEGORY_IDS, sink))
    assert [entry.file_name for entry in entries] == ["1.png", "4.png", "5.png", "6.png"]
    # Segment 6, whose area alone is wrong, is kept.
    assert entries[1].segments["id"].tolist() == [6] and not entries[1].complete
    # The annotations of images 0 and 1 (101) have no image any more, image 3 (103) has no annotation.
    assert [code for code, _ in problems] == [
        "annotation-invalid",
        "image-invalid",
        "image-id-twice",
        "image-without-annotation",
        "segment-invalid",
        "category-unknown",
        "area-differs",
        "segment-twice",
        "annotation-without-image",
        "annotation-without-image",
    ]
    messages = dict(problems)
    assert "images[0] ('0.png')" in messages["image-invalid"] and "width" in messages["image-invalid"]
    assert "annotation 4.png, segments_info[2]" in messages["area-differs"] and "10000" in messages["area-differs"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{", "json-unreadable"),
        ("[]", "json-other"),
        ('{"images": [], "annotations": []}', "json-other"),
        ('{"annotations": [{"segmentation": []}]}', "json-instances"),
    ],
)
def test_a_file_that_is_no_panoptic_json_has_no_entry(tmp_path, problems, sink, content, code):
    (tmp_path / "a.json").write_text(content)
    lists = read_lists(tmp_path / "a.json", sink)
    assert lists == {"images": [], "annotations": [], "categories": []}
    assert [code for code, _ in problems] == [code]


def test_categories_that_can_be_used_come_in_the_order_of_the_files_ids(problems, sink):
    entries = [
        {"id": 9, "name": "sky", "isthing": 0},
        {"id": 4, "name": "cow", "isthing": 1},
        {"id": 5, "name": "pig"},
        {"id": 4, "name": "hen", "isthing": 1},
        {"id": 6, "name": "sky", "isthing": 0},
        7,
    ]
    categories = read_coco_categories(entries, sink)
    assert [(c.id, c.source_id, c.name) for c in categories] == [(1, 4, "cow"), (2, 9, "sky")]
    assert [code for code, _ in problems] == ["isthing-missing", "category-twice", "category-twice", "category-invalid"]


def test_predicted_segments_need_no_area_and_may_have_a_score(problems, sink):
    segments = [{"id": 1, "category_id": 7, "score": 0.5}, {"id": 2, "category_id": 3}, {"id": 3, "category_id": "3"}]
    rows = predicted_segments({"file_name": "p.png", "segments_info": segments}, CATEGORY_IDS, sink)
    assert rows.tolist() == [(1, 1, False, 0, 0.5), (2, 2, False, 0, 1.0)]
    assert rows["score"].dtype == np.float64  # float32 would tie scores that differ
    ((code, message),) = problems
    assert code == "segment-invalid" and "p.png" in message and "category_id" in message and "'3'" in message


def test_one_sink_raises_the_first_problem_and_one_collects_them(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"images": [1, 2], "annotations": [], "categories": []}))
    lists = read_lists(tmp_path / "a.json", raise_first("a.json"))
    with pytest.raises(InputError, match=r"^a\.json: images\[0\]: .*found 1$"):
        list(read_images(lists, {}, raise_first("a.json")))
    problems = Problems("in the files")
    assert list(read_images(lists, {}, problems.of("a.json"))) == []
    assert len(problems.messages) == 2 and all(m.startswith("a.json: images[") for m in problems.messages)
