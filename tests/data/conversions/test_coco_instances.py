"""Instances JSONs in exactly COCO's form; masks are compared with those of pycocotools."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from tfpanoptic.errors import InputError

CATEGORIES = [
    {"id": 3, "name": "cat", "supercategory": "animal"},
    {"id": 90, "name": "tie", "supercategory": "accessory", "color": [1, 2, 3]},
]
HEIGHT, WIDTH = 30, 40


def rectangle(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


@pytest.fixture
def coco(tmp_path, photo):
    """A folder with one photo, and what writes its JSON: annotations -> the JSON's path."""

    class Folder:
        def __init__(self):
            self.path = tmp_path / "set"
            self.content = {
                "info": {"year": 2017},
                "licenses": [{"id": 1, "name": "CC BY"}],
                "images": [{"id": 7, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH, "license": 1}],
                "annotations": [],
                "categories": [dict(category) for category in CATEGORIES],
            }
            photo(self.path / "images/a.jpg", HEIGHT, WIDTH)

        def add(self, segmentation, category=3, **more):
            number = len(self.content["annotations"])
            entry = {"id": number, "image_id": 7, "category_id": category, "iscrowd": 0, "area": 12.5, "bbox": [0] * 4}
            self.content["annotations"].append({**entry, "segmentation": segmentation, **more})
            return self

        def write(self):
            path = self.path / "instances.json"
            path.write_text(json.dumps(self.content))
            return path

    return Folder()


def reference(segmentation):
    """As `COCO.annToMask` of pycocotools has it."""
    if isinstance(segmentation, list):
        rle = coco_masks.merge(coco_masks.frPyObjects(segmentation, HEIGHT, WIDTH))
    elif isinstance(segmentation["counts"], list):
        rle = coco_masks.frPyObjects(segmentation, HEIGHT, WIDTH)
    else:
        rle = segmentation
    return coco_masks.decode(rle).astype(bool)


def test_masks_of_every_form_are_those_of_pycocotools(coco, convert):
    random = np.random.default_rng(0)
    polygons = [(random.uniform(0, 1, (9, 2)) * [12, 14] + [1, 1]).ravel().round(2).tolist() for _ in range(2)]
    blob = np.zeros((HEIGHT, WIDTH), np.uint8)
    blob[16:28, 2:12] = random.integers(0, 2, (12, 10))
    compressed = coco_masks.encode(np.asfortranarray(blob))
    compressed["counts"] = compressed["counts"].decode()
    runs = [WIDTH * HEIGHT - 70, 65, 5]  # the last columns
    coco.add(polygons).add(compressed).add({"size": [HEIGHT, WIDTH], "counts": runs}, 90, iscrowd=1).write()
    found = convert("coco-instances", coco.path)
    masks = [reference(entry["segmentation"]) for entry in coco.content["annotations"]]
    assert (sum(masks) <= 1).all() and all(mask.any() for mask in masks)  # so that no rule of overlaps has a say
    expected = np.array([1, 2, 3]) @ np.array(masks).reshape(3, -1).astype(int)
    assert np.array_equal(found.ids("a.jpg").ravel(), expected)
    assert found.names("a.jpg") == {1: "cat", 2: "cat", 3: "tie*"}
    assert found.segments("a.jpg")


def test_photos_names_colours_and_licences_survive(coco, convert):
    coco.add([rectangle(2, 2, 9, 9)]).write()
    found = convert("coco-instances", coco.path)
    assert (found.folder / "images/a.jpg").read_bytes() == (coco.path / "images/a.jpg").read_bytes()
    assert found.images["a.jpg"] == {"id": 7, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH, "license": 1}
    assert found.json["info"] == {"year": 2017} and found.json["licenses"][0]["name"] == "CC BY"
    cat, tie = found.json["categories"]
    assert (cat["id"], cat["name"], cat["isthing"], cat["supercategory"]) == (3, "cat", 1, "animal")
    assert (tie["id"], tie["color"], tie["isthing"]) == (90, [1, 2, 3], 1)


@pytest.mark.parametrize("overlap, top", [(None, "tie"), ("smaller", "tie"), ("later", "cat")])
def test_the_rule_of_overlaps_says_which_object_is_on_top(overlap, top, coco, convert):
    coco.add([rectangle(10, 10, 12, 14)], 90).add([rectangle(5, 5, 25, 25)])  # a tie of 8 pixels, a cat of 400
    coco.add({"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * WIDTH]}, iscrowd=1).write()  # over all, and last
    found = convert("coco-instances", coco.path, overlap=overlap)
    by_name = dict(found.segments("a.jpg"))
    assert by_name["cat*"] == HEIGHT * WIDTH - 400
    if top == "tie":
        assert (by_name["tie"], by_name["cat"]) == (8, 392)
        assert found.changes == {"partly-covered": 2}  # the cat and the crowd
    else:
        assert by_name["cat"] == 400 and "tie" not in by_name
        assert found.changes == {"covered": 1, "partly-covered": 1}
        (covered,) = [change for change in found.report["changes"] if change["code"] == "covered"]
        assert covered["examples"] == ["a.jpg annotations[0] (tie), 8 pixels"]


def test_the_rest_is_void_or_a_category(coco, convert):
    coco.add([rectangle(5, 5, 25, 25)]).write()
    assert convert("coco-instances", coco.path).segments("a.jpg") == [("cat", 400)]
    found = convert("coco-instances", coco.path, {"overwrite": True}, rest="other")
    assert found.segments("a.jpg") == [("cat", 400), ("other", HEIGHT * WIDTH - 400)]
    other = found.json["categories"][-1]
    assert (other["id"], other["isthing"]) == (91, 0)
    with pytest.raises(InputError, match="--rest tie: a thing in .*instances.json"):
        convert("coco-instances", coco.path, rest="tie")


def test_a_set_of_crowds_is_told_and_may_be_taken_for_objects(coco, convert):
    coco.add({"size": [HEIGHT, WIDTH], "counts": [0, 60, 1140]}, iscrowd=1).write()
    found = convert("coco-instances", coco.path)
    assert found.segments("a.jpg") == [("cat*", 60)] and found.changes == {"mostly-crowds": 1}
    found = convert("coco-instances", coco.path, {"overwrite": True}, no_crowds=True)
    assert found.segments("a.jpg") == [("cat", 60)] and found.changes == {}


def test_stuff_is_one_segment_below_the_things(coco, convert):
    coco.content["categories"].append({"id": 4, "name": "road", "isthing": 0})
    coco.add([rectangle(10, 10, 20, 20)])
    coco.add([rectangle(0, 15, 40, 18)], 4).add([rectangle(0, 25, 40, 30)], 4).write()
    found = convert("coco-instances", coco.path)
    assert found.segments("a.jpg") == [("cat", 100), ("road", 3 * 30 + 5 * 40)]
    found = convert("coco-instances", coco.path, {"overwrite": True}, stuff=("cat",))
    assert [c["isthing"] for c in found.json["categories"]] == [0, 0, 1]
    with pytest.raises(InputError, match="--stuff dog: no such category"):
        convert("coco-instances", coco.path, stuff=("dog",))


def stuff_map(coco, values, dtype=np.uint8):
    (coco.path / "stuff").mkdir(exist_ok=True)
    Image.fromarray(values.astype(dtype)).save(coco.path / "stuff/a.png")
    path = coco.path / "stuff_categories.json"
    path.write_text(json.dumps([{"id": 100, "name": "grass"}, {"id": 183, "name": "other"}]))
    return {"stuff_maps": coco.path / "stuff", "stuff_categories": path}


def test_stuff_maps_fill_what_no_object_has(coco, convert):
    values = np.zeros((HEIGHT, WIDTH))
    values[10:, :20], values[10:, 20:] = 100, 183
    coco.add([rectangle(5, 5, 25, 25)]).write()
    options = stuff_map(coco, values)
    found = convert("coco-instances", coco.path, **options)
    # The cat has rows 5..24 and columns 5..24, of which 15 rows lie on each kind of stuff.
    assert found.segments("a.jpg") == [("cat", 400), ("grass", 400 - 15 * 15), ("other", 400 - 15 * 5)]
    found = convert("coco-instances", coco.path, {"overwrite": True}, void=(183,), rest="rest", **options)
    assert found.segments("a.jpg") == [("cat", 400), ("grass", 175), ("rest", 1200 - 400 - 175)]


def test_stuff_maps_of_another_numbering_or_size_are_named(coco, convert):
    coco.add([rectangle(5, 5, 25, 25)]).write()
    values = np.full((HEIGHT, WIDTH), 255)
    values[0], values[1] = 99, 2  # grass and, which is passed over, a cat, by COCO's stuffthingmaps
    options = stuff_map(coco, values)
    with pytest.raises(InputError, match=r"stuff/a.png: value 2 is of no category; .*--stuff-offset 1"):
        convert("coco-instances", coco.path, **options)
    found = convert("coco-instances", coco.path, stuff_offset=1, **options)
    assert found.segments("a.jpg") == [("cat", 400), ("grass", WIDTH)] and found.changes == {"thing-in-stuff-map": 1}
    options = stuff_map(coco, np.zeros((HEIGHT, WIDTH - 1)))
    with pytest.raises(InputError, match=r"a.png: 30 x 39 \(height x width\), its photo is 30 x 40"):
        convert("coco-instances", coco.path, {"overwrite": True}, **options)
    (coco.path / "stuff/a.png").unlink()
    with pytest.raises(InputError, match="stuff/a.png: no such file"):
        convert("coco-instances", coco.path, **options)


def test_what_cannot_be_drawn_is_dropped_and_counted(coco, convert):
    coco.add([rectangle(5, 5, 25, 25)])
    coco.add([])  # a box alone, as many tools write
    coco.add([[1, 1, 5, 5]])  # two points
    coco.add([rectangle(50, 5, 60, 9), rectangle(30, 0, 38, 5)], 90)  # one part outside
    coco.add([rectangle(-9, 26, 3, 50)])  # leaves the image at two sides
    coco.add([rectangle(8.1, 8.1, 8.2, 8.2)])  # smaller than a pixel
    coco.add([rectangle(1, 1, 2, 2)], image_id=8)
    coco.write()
    found = convert("coco-instances", coco.path)
    assert found.segments("a.jpg") == [("cat", 12), ("cat", 400), ("tie", 40)]
    assert found.changes == {
        "no-image": 1, "no-mask": 2, "no-pixels": 1, "few-points": 1, "outside": 1, "clipped": 1,
    }  # fmt: skip
    drawn = [coco.content["annotations"][number]["segmentation"] for number in (0, 3, 4)]
    assert np.array_equal(found.ids("a.jpg") > 0, np.any([reference(each) for each in drawn], axis=0))


def test_images_without_an_annotation_are_kept_and_counted(coco, convert, photo):
    photo(coco.path / "images/sub/b.png", 5, 6)
    coco.content["images"].append({"id": 8, "file_name": "sub/b.png", "height": 5, "width": 6})
    coco.add([rectangle(5, 5, 25, 25)]).write()
    found = convert("coco-instances", coco.path)
    assert found.segments("sub/b.png") == [] and found.ids("sub/b.png").shape == (5, 6)
    assert found.changes == {"no-segment": 1}


@pytest.mark.parametrize("side", ["upright", "stored"])
def test_truth_lies_on_the_upright_photo(side, coco, convert, photo):
    photo(coco.path / "images/a.jpg", HEIGHT, WIDTH, orientation=6)  # is turned right to be seen
    if side == "upright":
        coco.content["images"][0] |= {"height": WIDTH, "width": HEIGHT}
    coco.add([rectangle(0, 0, 4, 2)]).write()
    found = convert("coco-instances", coco.path)
    image = found.images["a.jpg"]
    assert (image["height"], image["width"]) == (WIDTH, HEIGHT)
    ids = found.ids("a.jpg")
    # What is drawn at the stored top left is at the upright top right, on its side.
    expected = np.zeros((WIDTH, HEIGHT), int)
    if side == "upright":
        expected[:2, :4] = 1
    else:
        expected[:4, -2:] = 1
    assert np.array_equal(ids, expected) and found.segments("a.jpg") == [("cat", 8)]
    assert found.changes == {"orientation" if side == "upright" else "turned": 1}


def test_truth_of_a_mirrored_photo_may_be_said_to_be_drawn_on_the_stored_one(coco, convert, photo):
    photo(coco.path / "images/a.jpg", HEIGHT, WIDTH, orientation=2)  # mirrored: the sides tell nothing
    coco.add([rectangle(0, 0, 4, 2)]).write()
    assert convert("coco-instances", coco.path).ids("a.jpg")[0, 0] == 1
    assert convert("coco-instances", coco.path, {"overwrite": True, "drawn_on": "stored"}).ids("a.jpg")[0, -1] == 1


RLE = {"size": [WIDTH, HEIGHT], "counts": [0, 1200]}


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c.add(RLE), r"instances.json: a.jpg annotations\[0\] \(cat\): .*has size \[40, 30\], .* \[30, 40\]"),
        (lambda c: c.add({"size": [30, 40], "counts": [0, 9]}), r"annotations\[0\].* do not add up to .* 1200 pixels"),
        (lambda c: c.add([[1, 2, 3]]), r"annotations\[0\].*polygon needs .*\[1, 2, 3\]"),
        (lambda c: c.add([["1", 2, 3, 4, 5, 6]]), r"annotations\[0\].*finite numbers.*\['1'"),
        (lambda c: c.add([rectangle(5, 5, 10**400, 9)]), r"annotations\[0\].*finite numbers"),
        (lambda c: c.add([rectangle(5, 5, 900, 9)]), r"annotations\[0\].*near the image, found 900"),
        (lambda c: c.add([rectangle(5, 5, 9, 9)], 4), r"json: annotations\[0\]: unknown category_id 4, .*\[3, 90\]"),
        (
            lambda c: [c.add([rectangle(5, 5, 9, 9)], 4) for _ in range(3)],
            r"annotations\[0\] and 2 more: unknown category_id 4",
        ),
        (lambda c: c.add([rectangle(5, 5, 9, 9)], -4), r"annotations\[0\]: category_id must be an integer 0\.\."),
        (lambda c: c.add([rectangle(5, 5, 9, 9)], iscrowd=2), r"annotations\[0\]: iscrowd must be 0 or 1, found 2"),
        (lambda c: c.content["categories"].append(CATEGORIES[0]), r"instances.json: categories\[2\]: id used twice: 3"),
        (lambda c: c.content["categories"].clear(), "instances.json: expected at least one category"),
        (lambda c: c.content["images"].clear(), "expected at least one image, found none"),
        (lambda c: c.content["images"].append(c.content["images"][0]), r"images\[1\] .*: id 7 used twice"),
        (lambda c: c.content["images"][0].pop("height"), r"images\[0\] \('a.jpg'\): lacks height"),
        (lambda c: c.content["images"][0].update(width=41), "a.jpg: 30 x 40 .*, its truth 30 x 41"),
        (lambda c: c.content.pop("categories"), "with the lists .*; lacks categories"),
        (lambda c: c.content["annotations"].append({"segments_info": []}), "a panoptic JSON .* needs no conversion"),
        (lambda c: c.content["annotations"].clear(), "no annotation of a listed image has a segmentation"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change, words, coco, convert, tmp_path):
    change(coco)
    if coco.content["annotations"] == [] and "no annotation" not in words:
        coco.add([rectangle(5, 5, 9, 9)])
    coco.write()
    with pytest.raises(InputError) as error:
        convert("coco-instances", coco.path)
    assert re.search(words, str(error.value)) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("content, words", [("{}", "lacks images"), ("", "not valid JSON"), ("[]", "found a list")])
def test_another_json_is_named(content, words, coco, convert):
    coco.write().write_text(content)
    with pytest.raises(InputError, match=f"instances.json: .*{words}"):
        convert("coco-instances", coco.path)


def test_a_folder_may_have_its_json_below_annotations(coco, convert):
    path = coco.add([rectangle(0, 0, 4, 4)]).write()
    (coco.path / "annotations").mkdir()
    path.rename(coco.path / "annotations/instances_default.json")
    assert len(convert("coco-instances", coco.path).segments("a.jpg")) == 1


def test_another_kind_of_json_is_told_before_folders_are_missed(coco, convert, tmp_path):
    path = coco.path / "elsewhere/panoptic_val2017.json"
    path.parent.mkdir()
    coco.content["annotations"] = [{"image_id": 7, "file_name": "a.png", "segments_info": []}]
    path.write_text(json.dumps(coco.content))
    with pytest.raises(InputError, match="a panoptic JSON .annotations have segments_info"):
        convert("coco-instances", path)
    path.write_text(json.dumps({**coco.content, "annotations": [{"segmentation": []}]}))
    with pytest.raises(InputError, match="panoptic_val2017.json: an instances JSON"):
        convert("coco-panoptic", path)


def test_names_that_lead_out_of_the_folder_are_cut(coco, convert, photo, tmp_path):
    photo(tmp_path / "elsewhere/b.jpg", 5, 6)
    coco.content["images"].append({"id": 8, "file_name": "../../elsewhere/b.jpg", "height": 5, "width": 6})
    coco.add([rectangle(5, 5, 25, 25)]).write()
    assert set(convert("coco-instances", coco.path).images) == {"a.jpg", "b.jpg"}
