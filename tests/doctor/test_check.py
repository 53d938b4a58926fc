"""Every finding once, on a small dataset that is broken in one way."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.doctor.small_data import COW, GRASS, SCENE, Data
from tests.doctor.test_splits import BETWEEN_SPLITS
from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.dataset import check_records
from tfpanoptic.doctor.check import check, error_line
from tfpanoptic.doctor.findings import MOST_EXAMPLES, Findings
from tfpanoptic.doctor.kinds import KINDS
from tfpanoptic.doctor.sources import find_sources
from tfpanoptic.errors import InputError


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / "data")


def no_json(d):
    d.content = None


def instances(d):
    d.content["annotations"] = [{"image_id": 10, "bbox": [0, 0, 1, 1], "segmentation": [[0, 0, 1, 1, 0, 1]]}]


def without_lists(d):
    del d.content["annotations"], d.content["categories"]


def no_images(d):
    d.content["images"] = d.content["annotations"] = []


def without_isthing(d):
    del d.content["categories"][1]["isthing"]
    for number in range(3):
        del d.segments(number)[0]
        d.draw("abc"[number] + ".png", np.where(SCENE == 2, 0, SCENE))


def with_one_more(key, entry):
    return lambda d: d.content[key].append(entry)


def segment(**changes):
    """A change of the cow of the first image."""
    return lambda d: d.segments()[2].update(changes)


def one_more_image(d, name="d.png", **changes):
    """An image whose annotation was forgotten, unless `changes` mend it."""
    d.content["images"].append({"id": 13, "file_name": name, "height": 8, "width": 10, **changes})


def listed_twice(d):
    one_more_image(d, "a.png")


def same_id(d):
    one_more_image(d, id=10)


def broken_height(d):
    one_more_image(d, height="eight")


def shared_png(d):
    d.content["annotations"][1]["file_name"] = "a.png"


def unknown_annotation(d):
    d.content["annotations"].append({"image_id": 99, "file_name": "z.png", "segments_info": []})


def second_annotation(d):
    d.content["annotations"].append(d.content["annotations"][0])


def herd(d):
    ids = np.full((100, 101), 1)
    ids[:, 1:] = 2 + np.arange(10_000).reshape(100, 100)
    d.draw("a.png", ids)
    d.photo("a.png", 10, ids.shape)
    d.content["images"][0].update(height=100, width=101)
    cows = [{"id": 2 + i, "category_id": COW, "area": 1} for i in range(10_000)]
    d.content["annotations"][0]["segments_info"] = [{"id": 1, "category_id": GRASS, "area": 100}, *cows]


def cut_photo(d):
    path = d.images / "a.png"
    path.write_bytes(path.read_bytes()[:100])


def orient(data, orientation):
    """The EXIF orientation of a photo, whose pixels lie in the file as the JSON says."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(data.images / "a.png").save(data.images / "a.png", exif=exif)


def cut_truth(d):
    path = d.panoptic / "a.png"
    path.write_bytes(path.read_bytes()[:60])


def grey_truth(d):
    Image.fromarray((SCENE % 256).astype(np.uint8)).save(d.panoptic / "a.png")


def palette_truth(d):
    # Colours (1, 0, 0), (2, 0, 0) and (112, 17, 1) are the ids 1, 2 and 70000.
    image = Image.fromarray(np.select([SCENE == 1, SCENE == 2, SCENE == 70_000], [1, 2, 3], 0).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 1, 0, 0, 2, 0, 0, 112, 17, 1])
    image.save(d.panoptic / "a.png")


def unlisted_id(d):
    d.draw("a.png", np.where(SCENE == 0, 5, SCENE))


def absent_id(d):
    d.segments().append({"id": 6, "category_id": COW, "area": 0})


def stuff_in_pieces(d):
    ids = SCENE.copy()
    ids[4:, 8:] = 9
    d.draw("a.png", ids)
    d.segments()[1].update(area=12, bbox=[0, 4, 3, 4])
    d.segments().append({"id": 9, "category_id": GRASS, "area": 8, "bbox": [8, 4, 2, 4]})


def empty_annotation(d):
    d.content["annotations"][0]["segments_info"] = []
    d.draw("a.png", 0 * SCENE)


def half_void(d):
    d.content["annotations"][0]["segments_info"] = d.segments()[1:]
    ids = np.where(SCENE == 2, 0, SCENE)
    ids[4, 0] = 0
    d.segments()[0].update(area=19)
    d.draw("a.png", ids)


def tiny_cow(d):
    ids = np.where(SCENE == 70_000, 1, SCENE)
    ids[4, 3:8] = 70_000
    d.draw("a.png", ids)
    d.segments()[1].update(area=35)
    d.segments()[2].update(area=5, bbox=[3, 4, 5, 1])


def only(isthing):
    def change(d):
        for category in d.content["categories"]:
            category["isthing"] = isthing

    return change


def many_categories(d):
    d.content["categories"] += [{"id": 100 + i, "name": f"c{i}", "isthing": 1} for i in range(1674)]


def photo_for_truth(d):
    shutil.copy(d.images / "a.png", d.panoptic / "a.png")


def swapped_truth(d):
    d.draw("a.png", SCENE // 65536 + SCENE // 256 % 256 * 256 + SCENE % 256 * 65536)


def coloured_truth(d):
    colors = [(0, 200, 0), (0, 0, 250), (90, 20, 30)]
    for category, color in zip(d.content["categories"], colors, strict=True):
        category["color"] = list(color)
    rgb = [red + 256 * green + 65536 * blue for red, green, blue in colors]
    d.draw("a.png", np.select([SCENE == 1, SCENE == 2, SCENE == 70_000], rgb, 0))


def blurred_truth(d):
    # 32 ids between those of sky and grass, each of a pixel or two.
    d.draw("a.png", np.where(SCENE == 70_000, 70_000, 1000 + np.arange(80).reshape(8, 10)))


def all_void(d):
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        d.content["annotations"][number]["segments_info"] = []
        d.draw(name, 0 * SCENE)


def blank_photo(d):
    Image.fromarray(np.full((8, 10, 3), 7, np.uint8)).save(d.images / "a.png")


def rename_photo(d, name, **arguments):
    """The first photo under another name, in the format of that."""
    Image.open(d.images / "a.png").convert(arguments.pop("mode", "RGB")).save(d.images / name, **arguments)
    (d.images / "a.png").unlink()
    d.content["images"][0]["file_name"] = name


def two_pages(d):
    rename_photo(d, "a.tif", save_all=True, append_images=[Image.new("RGB", (10, 8))])


def twelve_bits(d):
    values = np.arange(80, dtype=np.uint16).reshape(8, 10) * 51  # to 4029: the high bytes are 0 to 15
    Image.fromarray(values).save(d.images / "a.png")


def absolute_name(d):
    d.content["images"][0]["file_name"] = str((d.images / "a.png").absolute())


def long_photo(d):
    ids = np.full((8, 41), 1)
    d.draw("a.png", ids)
    d.photo("a.png", 10, ids.shape)
    d.content["images"][0].update(width=41)
    d.content["annotations"][0]["segments_info"] = [{"id": 1, "category_id": GRASS, "area": 8 * 41}]


def ten_single_things(d):
    for number in range(13, 20):
        name = f"{number}.png"
        d.content["images"].append({"id": number, "file_name": name, "height": 8, "width": 10})
        segments = [dict(segment) for segment in d.segments()]
        d.content["annotations"].append({"image_id": number, "file_name": name, "segments_info": segments})
        d.draw(name, SCENE)
        d.photo(name, number)


def copied_photo(d):
    shutil.copy(d.images / "a.png", d.images / "b.png")


# Code of a finding -> what makes it, and how often it is found then.
BREAKS = {
    "json-unreadable": (no_json, 1),
    "json-instances": (instances, 1),
    "json-other": (without_lists, 1),
    "folder-missing": (lambda d: shutil.rmtree(d.panoptic), 1),
    "no-images": (no_images, 1),
    "no-category": (lambda d: d.content["categories"].clear(), 1),
    "isthing-missing": (without_isthing, 1),
    "category-invalid": (with_one_more("categories", {"id": "8", "name": "pig", "isthing": 1}), 1),
    "category-twice": (with_one_more("categories", {"id": COW, "name": "pig", "isthing": 1}), 1),
    "image-invalid": (broken_height, 1),
    "image-id-twice": (same_id, 1),
    "file-name-twice": (listed_twice, 1),
    "annotation-invalid": (with_one_more("annotations", {"image_id": 13, "file_name": "d.png"}), 1),
    "annotation-twice": (second_annotation, 1),
    "image-without-annotation": (one_more_image, 1),
    "annotation-without-image": (unknown_annotation, 1),
    "png-shared": (shared_png, 1),
    "segment-invalid": (segment(iscrowd=2), 1),
    "segment-twice": (lambda d: d.segments().append(d.segments()[0]), 1),
    "category-unknown": (segment(category_id=3), 1),
    "stuff-crowd": (lambda d: d.segments()[0].update(iscrowd=1), 1),
    "too-many-instances": (herd, 1),
    "image-missing": (lambda d: (d.images / "b.png").unlink(), 1),
    "image-unreadable": (cut_photo, 1),
    "image-turned": (lambda d: orient(d, 6), 1),
    "image-orientation": (lambda d: orient(d, 3), 1),
    "image-size": (lambda d: d.photo("a.png", 10, (10, 8)), 1),
    "png-missing": (lambda d: [path.unlink() for path in d.panoptic.iterdir()], 3),
    "png-unreadable": (cut_truth, 1),
    "png-kind": (grey_truth, 1),
    "png-size": (lambda d: d.draw("a.png", SCENE.T), 1),
    "id-unlisted": (unlisted_id, 1),
    "id-absent": (absent_id, 1),
    "area-differs": (segment(area=21), 1),
    "bbox-differs": (segment(bbox=[3, 4, 8, 8]), 1),
    "png-palette": (palette_truth, 1),
    "stuff-pieces": (stuff_in_pieces, 1),
    "no-segment": (empty_annotation, 1),
    "much-void": (half_void, 1),
    "category-unseen": (with_one_more("categories", {"id": 8, "name": "pig", "isthing": 1}), 1),
    "image-copy": (copied_photo, 1),
    "too-many-categories": (many_categories, 1),
    "png-photo": (photo_for_truth, 1),
    "png-swapped": (swapped_truth, 1),
    "png-colors": (coloured_truth, 1),
    "png-blurred": (blurred_truth, 1),
    "nothing-labelled": (all_void, 1),
    "image-blank": (blank_photo, 1),
    "image-by-pillow": (lambda d: rename_photo(d, "a.jpg", mode="CMYK"), 1),
    "image-frames": (two_pages, 1),
    "image-few-levels": (twelve_bits, 1),
    "name-absolute": (absolute_name, 1),
    "sizes-differ": (long_photo, 1),
    "things-single": (ten_single_things, 1),
    "no-things": (only(0), 1),
    "no-stuff": (only(1), 1),
    "crowd": (segment(iscrowd=1), 1),
    "tiny": (tiny_cow, 1),
    "unlisted-file": (lambda d: d.photo("holiday.png", 99), 1),
}
# What follows from the break, beside the finding that it is for.
ALSO = {
    "no-images": {"category-unseen"},
    "file-name-twice": {"image-without-annotation"},
    "no-category": {"category-unknown"},
    "no-segment": {"much-void"},
    "nothing-labelled": {"no-segment", "much-void", "category-unseen"},
    "too-many-categories": {"category-unseen"},
    "image-frames": {"image-by-pillow"},
    "image-few-levels": {"image-by-pillow"},
    "name-absolute": {"unlisted-file"},
    "id-unlisted": {"tiny"},
    "too-many-instances": {"tiny", "sizes-differ"},
    "stuff-pieces": {"tiny"},
}
# Errors that the strict reader lets pass: it takes what it is told for true.
UNSEEN_BY_THE_READER = {"area-differs", "stuff-crowd", "png-shared", "nothing-labelled"}


def test_sound_data_have_no_finding(data):
    assert data.check()["findings"] == []


@pytest.mark.parametrize("code", BREAKS)
def test_every_break_is_found_as_what_it_is(code, data):
    change, count = BREAKS[code]
    change(data)
    codes = data.codes()
    assert codes.pop(code) == count
    assert set(codes) <= ALSO.get(code, set())


def test_every_kind_of_finding_is_tested():
    elsewhere = {"data-unreadable", "image-cut", "image-large", *BETWEEN_SPLITS}
    assert set(KINDS) == {*BREAKS, *elsewhere}


@pytest.mark.parametrize("code", sorted(set(BREAKS) - UNSEEN_BY_THE_READER))
def test_errors_are_what_the_reader_refuses(code, data):
    BREAKS[code][0](data)
    errors = [finding for finding in data.check()["findings"] if finding["level"] == "error"]
    try:
        dataset = read_coco_panoptic(data.images, data.json, data.panoptic)
        check_records(dataset)
    except InputError:
        assert errors
    else:
        assert not errors or code == "too-many-instances"  # which a panoptic map refuses


def test_several_breaks_are_all_found(data):
    for code in ("image-missing", "png-unreadable", "segment-twice", "annotation-without-image"):
        BREAKS[code][0](data)
    found = {"image-missing": 1, "png-unreadable": 1, "segment-twice": 1, "annotation-without-image": 1}
    assert data.codes() == found


def test_a_palette_whose_indices_are_meant_shows_as_unknown_ids(data):
    # The indices 1 and 2 of grass and sky are shown as (255, 0, 0) = 255 and (0, 255, 0) = 65280.
    image = Image.fromarray(np.where(SCENE == 70_000, 0, SCENE).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.save(data.panoptic / "a.png")
    assert data.codes() == {"png-palette": 1, "id-unlisted": 2, "id-absent": 3}


def test_sixteen_bits_are_told_by_the_header(data):
    # A 16-bit RGB PNG of one pixel: signature, IHDR with depth 16 and colour type 2, the rest does not matter.
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x0a\x00\x00\x00\x08\x10\x02\x00\x00\x00"
    (data.panoptic / "a.png").write_bytes(header)
    finding = data.check()["findings"][0]
    assert (finding["code"], finding["examples"]) == ("png-kind", ["a.png: 16-bit RGB"])


def test_a_finding_names_file_segment_and_numbers(data):
    BREAKS["area-differs"][0](data)
    finding = data.check()["findings"][0]
    assert finding["level"] == "error" and finding["examples"] == ["a.png: segment 70000: area 21, 20 pixels"]


def test_a_kind_that_is_not_known_is_an_error():
    with pytest.raises(KeyError, match="segment-odd"):
        Findings().add("segment-odd", "a.png")


@pytest.mark.parametrize(("key", "value"), [("id", "a\nb"), ("id", 1 << 70), ("height", 1 << 30)])
def test_an_image_that_the_reader_refuses_is_invalid(data, key, value):
    data.content["images"][0][key] = value
    finding = next(f for f in data.check()["findings"] if f["code"] == "image-invalid")
    assert finding["count"] == 1 and "a.png" in finding["examples"][0]


def test_many_cases_are_counted_and_the_first_are_named(data):
    data.content["annotations"][0]["segments_info"] += [{"id": 0, "category_id": COW, "area": 1}] * 50
    finding = next(f for f in data.check()["findings"] if f["code"] == "segment-invalid")
    assert finding["count"] == 50 and len(finding["examples"]) == MOST_EXAMPLES


def test_the_census_counts_what_is_there(data):
    data.segments(1)[2]["iscrowd"] = 1
    census = data.check()["splits"]["data"]
    # Three images of 80 pixels, of which 2 each are void; sky 38, grass 20, cow 20, once a crowd.
    assert (census["images"], census["images_read"], census["segments"], census["crowds"]) == (3, 3, 9, 1)
    assert census["void_share"] == pytest.approx(6 / 240)
    assert [row["file_name"] for row in census["most_void"]] == ["c.png", "b.png", "a.png"]
    cow = census["categories"][2]
    assert cow == {
        "id": COW,
        "name": "cow",
        "isthing": True,
        "images": 3,
        "segments": 3,
        "crowds": 1,
        "pixel_share": pytest.approx(60 / 240),
        "median_area": 20,
    }


def test_a_limit_spreads_over_the_images_and_checks_the_json_of_all(data):
    BREAKS["png-unreadable"][0](data)  # of the first image, which is among one of three
    BREAKS["segment-twice"][0](data)
    data.segments(2)[0]["area"] = 37  # only the pixels tell
    checked = data.check(limit=1)
    assert {f["code"] for f in checked["findings"]} == {"png-unreadable", "segment-twice"}
    census = checked["splits"]["data"]
    assert census["images"] == 3 and census["images_read"] == 1


def test_errors_are_summed_up_in_one_line(data):
    assert error_line(data.check()["findings"], "x.json") is None
    for code in ("image-missing", "png-unreadable", "area-differs", "segment-twice"):
        BREAKS[code][0](data)
    line = error_line(data.check()["findings"], "x.json")
    # a.png has no truth that could be read, so its areas are not compared.
    assert line == (
        "x.json: errors in the data: segment id used twice in an image (1); image file not found (1); "
        "truth PNG damaged (1)"
    )


def test_the_bundled_nuclei_are_sound():
    report = check(find_sources("nuclei", None), limit=5)
    assert report["findings"] == [] and list(report["splits"]) == ["train", "val"]


def test_no_tensorflow_is_needed():
    import subprocess
    import sys

    code = "import sys, tfpanoptic.doctor.check; print({'tensorflow', 'keras'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_a_turned_photo_whose_json_is_upright_is_sound(data):
    data.photo("a.png", 10, (10, 8))
    orient(data, 6)
    assert not [finding for finding in data.check()["findings"] if finding["code"].startswith("image")]


def test_the_findings_are_the_same_for_any_number_of_workers(data):
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        data.segments(number)[0]["area"] = 37 - number
        data.photo(name, number, (10, 8))
    assert data.check(workers=3) == data.check(workers=1)


def test_a_finding_names_the_images_that_it_is_about(data):
    BREAKS["image-size"][0](data)
    assert [found["images"] for found in data.check()["findings"]] == [["a.png"]]


def test_what_a_configuration_asks_of_sound_data_is_checked_last(data):
    def refuse():
        raise InputError("data.categories: x.json lacks the categories cow")

    source = replace(data.source(), load=refuse, configured=True)
    findings = check({"train": source})["findings"]
    assert [(found["code"], found["examples"]) for found in findings] == [
        ("data-unreadable", ["data.categories: x.json lacks the categories cow"])
    ]
    BREAKS["area-differs"][0](data)
    findings = check({"train": replace(data.source(), load=refuse, configured=True)})["findings"]
    assert [found["code"] for found in findings] == ["area-differs"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_json_in_any_unicode_encoding_is_read(encoding, data):
    data.content["categories"][2]["name"] = "Kühe"
    text, data.content = json.dumps(data.content, ensure_ascii=False), None
    data.json.write_bytes(text.encode(encoding))
    assert data.codes() == {}


def test_a_json_in_another_encoding_is_told(data):
    data.content["categories"][2]["name"] = "Kühe"
    text, data.content = json.dumps(data.content, ensure_ascii=False), None
    data.json.write_bytes(text.encode("latin-1"))
    [finding] = data.check()["findings"]
    assert finding["code"] == "json-unreadable" and "UTF-8" in finding["advice"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1 << 24])
def test_numbers_that_no_segment_has_are_invalid(value, data):
    data.segments()[2]["id"] = value
    assert data.codes() == {"segment-invalid": 1}


@pytest.mark.parametrize("box", [[0, 0, 10**400, 4], "0 0 1 1", [1, 2], {}])
def test_a_box_that_is_none_differs(box, data):
    data.segments()[0].update(bbox=box)
    assert data.codes() == {"bbox-differs": 1}
