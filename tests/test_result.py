"""PanopticResult and its files."""

import io
import itertools
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.atomic import replace_file
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.result import PanopticResult, save_results
from tfpanoptic.segment_map import SegmentMap, segment_rows

CATEGORIES = CategoryTable.from_coco([{"id": 30, "name": "sky", "isthing": 0}, {"id": 70, "name": "cat", "isthing": 1}])


def result(name: str | None = "street.jpg", image: bool = True) -> PanopticResult:
    """12 x 16 pixels: sky (id 300) above, a cat (id 70001) of 4 x 5 below, void elsewhere."""
    ids = np.zeros((12, 16), np.int32)
    ids[:6] = 300
    ids[7:11, 2:7] = 70_001
    table = segment_rows([300, 70_001], [1, 2], areas=[96, 20], scores=[0.75, 0.5])
    pixels = np.full((12, 16, 3), 90, np.uint8) if image else None
    return PanopticResult.from_segment_map(SegmentMap(ids, table), CATEGORIES, pixels, name)


def ids_of_png(png):
    """What the COCO format defines: id = R + 256 G + 65536 B."""
    return np.asarray(Image.open(png)).astype(int) @ [1, 256, 65_536]


def test_segments_info_has_names_and_the_datasets_own_ids():
    assert result().segments_info[1] == {
        "id": 70_001,
        "category_id": 70,
        "name": "cat",
        "isthing": True,
        "score": 0.5,
        "area": 20,
        "bbox": [2, 7, 5, 4],  # x, y, width, height
        "iscrowd": 0,
    }


def test_segmentation_holds_the_segment_ids():
    assert result().segmentation[8, 3] == 70_001 and result().segmentation[11, 15] == 0


def test_repr_tells_size_and_contents():
    assert repr(result()) == "PanopticResult('street.jpg', 12 x 16: 1 cat, sky)"


def test_to_coco_gives_native_numbers_and_a_png_of_the_ids():
    annotation, png = result().to_coco(5, "a.png")
    assert (annotation["image_id"], annotation["file_name"]) == (5, "a.png")
    assert json.loads(json.dumps(annotation)) == annotation
    np.testing.assert_array_equal(ids_of_png(io.BytesIO(png)), result().segmentation)


def test_save_writes_a_coco_file_that_names_its_png(tmp_path):
    paths = result().save(tmp_path / "new" / "out")
    written = json.loads(paths["json"].read_text())
    assert written["images"] == [{"id": 1, "file_name": "street.jpg", "height": 12, "width": 16}]
    assert [c["id"] for c in written["categories"]] == [30, 70]
    png = paths["json"].parent / written["annotations"][0]["file_name"]
    assert png == paths["panoptic"]
    np.testing.assert_array_equal(ids_of_png(png), result().segmentation)


def test_save_writes_three_files_and_nothing_else(tmp_path):
    result().save(tmp_path, "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x_overlay.png", "x_panoptic.png"]


def test_save_into_a_file_is_an_input_error_that_names_it(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken: is a file"):
        result().save(tmp_path / "taken")


def test_save_results_writes_one_coco_set(tmp_path):
    assert save_results((result(name) for name in ("a.jpg", "b.png")), tmp_path / "out") == 2
    written = json.loads((tmp_path / "out" / "panoptic.json").read_text())
    assert written["info"] == {"image_ids": "counted"}  # who reads it pairs images by name
    assert [i["file_name"] for i in written["images"]] == ["a.jpg", "b.png"]
    assert [(a["image_id"], a["file_name"]) for a in written["annotations"]] == [(1, "a.png"), (2, "b.png")]
    files = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert files == ["overlay/a.png", "overlay/b.png", "panoptic.json", "panoptic/a.png", "panoptic/b.png"]


def listed(folder):
    """Names that the JSON lists; it must be those of the files."""
    names = sorted(a["file_name"] for a in json.loads((folder / "panoptic.json").read_text())["annotations"])
    for part in ("panoptic", "overlay"):
        assert sorted(str(p.relative_to(folder / part)) for p in (folder / part).rglob("*.*")) == names
    return names


@pytest.mark.parametrize("error", [InputError("c.jpg: not an image"), MemoryError(), KeyboardInterrupt()])
def test_results_before_an_error_stay_and_are_listed(tmp_path, error):
    def results():
        yield result("a.jpg")
        yield result("b.jpg")
        raise error

    with pytest.raises(type(error)):
        save_results(results(), tmp_path / "out")
    assert listed(tmp_path / "out") == ["a.png", "b.png"]


def test_results_are_listed_while_others_are_made(tmp_path):
    def results():
        yield result("a.jpg")
        assert listed(tmp_path / "out") == ["a.png"]
        yield result("b.jpg")

    save_results(results(), tmp_path / "out")
    assert listed(tmp_path / "out") == ["a.png", "b.png"]


# Two files an image and the list, which is written with every image while the clock stands, and with the first and at
# the end where a list takes long.
EVERY_LIST, TWO_LISTS = ((0, number) for number in range(1, 13)), ((1, number) for number in range(1, 11))


@pytest.mark.parametrize(("seconds", "full_at"), [*EVERY_LIST, *TWO_LISTS])
def test_a_full_disk_leaves_a_list_of_what_is_there(tmp_path, monkeypatch, seconds, full_at):
    """The disk is full from one of the writes on; deleting makes no room."""
    monkeypatch.setattr("tfpanoptic.result.time", SimpleNamespace(monotonic=itertools.count(1, seconds).__next__))
    writes = iter(range(1, 1000))

    def write(path, content):
        if next(writes) >= full_at:
            raise InputError(f"{path}: cannot be written (No space left on device)")
        replace_file(path, content)

    monkeypatch.setattr("tfpanoptic.result.replace_file", write)
    names = [f"{letter}.jpg" for letter in "abcd"]
    with pytest.raises(InputError, match="No space left"):
        save_results((result(name) for name in names), tmp_path / "out")
    if (tmp_path / "out/panoptic.json").exists():
        assert listed(tmp_path / "out")
    else:
        assert not list(tmp_path.rglob("*.*"))


def test_an_error_before_the_first_result_leaves_older_ones(tmp_path):
    def failing():
        raise InputError("b.jpg: not an image")
        yield

    save_results([result("a.jpg")], tmp_path / "out")
    with pytest.raises(InputError, match=r"b\.jpg"):
        save_results(failing(), tmp_path / "out", overwrite=True)
    assert listed(tmp_path / "out") == ["a.png"]


def test_images_of_sub_folders_keep_their_paths(tmp_path):
    save_results([result("1/a.jpg"), result("2/a.jpg"), result("../b.jpg"), result("/c.jpg")], tmp_path / "out")
    assert listed(tmp_path / "out") == ["1/a.png", "2/a.png", "b.png", "c.png"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="something else .mine.txt"):
        save_results([result()], tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_older_results_are_replaced_when_asked_and_none_is_left(tmp_path):
    save_results([result("a.jpg"), result("b.jpg")], tmp_path / "out")
    with pytest.raises(InputError, match="--overwrite"):
        save_results([result("a.jpg")], tmp_path / "out")
    save_results([result("a.jpg")], tmp_path / "out", overwrite=True)
    assert [path.name for path in (tmp_path / "out/panoptic").iterdir()] == ["a.png"]


def test_two_images_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"a.jpg and a.png would both be written as a.png"):
        save_results([result("a.jpg"), result("a.png")], tmp_path / "out")


def test_no_results_are_refused(tmp_path):
    with pytest.raises(InputError, match="no results"):
        save_results([], tmp_path / "out")


def test_notebooks_get_the_overlay_as_a_png():
    picture = np.asarray(Image.open(io.BytesIO(result()._repr_png_())))
    np.testing.assert_array_equal(picture, result().overlay())


def test_a_result_without_image_or_name_is_saved(tmp_path):
    assert result(None, image=False).save(tmp_path)["json"].name == "result.json"


def test_plot_draws_into_the_given_axes():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    _, ax = pyplot.subplots()
    assert result().plot(ax) is ax
    assert len(ax.images) == 1 and ax.get_title() == "street.jpg"
    pyplot.close("all")


def test_plot_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install tfpanoptic\[viz\]"):
        result().plot()


def test_an_image_of_another_size_is_refused():
    ours = result()
    with pytest.raises(InputError, match=r"a.jpg: expected uint8 \[12, 16, 3\], found uint8 \[12, 17, 3\]"):
        PanopticResult.from_segment_map(ours.segment_map, CATEGORIES, np.zeros((12, 17, 3), np.uint8), "a.jpg")


def test_an_unknown_category_is_refused():
    segments = SegmentMap(np.ones((2, 2), np.int32), segment_rows([1], [3]))
    with pytest.raises(InputError, match="category 3 is not in 1..2"):
        PanopticResult.from_segment_map(segments, CATEGORIES)


def test_a_segment_id_twice_is_refused():
    segments = SegmentMap(np.ones((2, 2), np.int32), segment_rows([1, 1], [1, 2]))
    with pytest.raises(InputError, match="expected distinct segment ids"):
        PanopticResult.from_segment_map(segments, CATEGORIES)
