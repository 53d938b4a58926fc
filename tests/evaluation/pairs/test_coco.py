import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.evaluation.conftest import FIXTURE, PanopticFiles
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.counting import count_image, evaluate_files
from tfpanoptic.evaluation.measures import FAST
from tfpanoptic.evaluation.pairs.coco import read_coco_files
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.segment_map import ids_to_rgb


def refused(files, words):
    with pytest.raises(InputError, match=words):
        evaluate_files(read_coco_files(*files.paths()))


def png(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", **options)
    return buffer.getvalue()


def sixteen_bits(height, width):
    """A PNG of 16 bits a channel, which Pillow can read but not write."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\0\1" * 3 * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def first(files):
    """The PNG of the first prediction, its ids and its segments."""
    path = files.pred_dir / files.pred["annotations"][0]["file_name"]
    rgb = np.asarray(Image.open(path)).astype(int)
    return path, rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2], files.pred["annotations"][0]["segments_info"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "00.png: not an image"),
        (b"\x89PNG\r\n\x1a\n", "00.png: "),
        (png(np.zeros((9, 9), np.uint8)), "expected an RGB PNG of segment ids, 8 bits a channel, found Pillow mode L"),
        (
            png(np.zeros((9, 9), np.uint16)),
            "expected an RGB PNG of segment ids, 8 bits a channel, found Pillow mode I;16",
        ),
        (sixteen_bits(9, 9), "8 bits a channel, found 16 bits a channel"),
        (png(np.zeros((9, 9, 3), np.uint8)), r"the prediction is 9 x 9 \(height x width\), the truth is "),
    ],
    ids=["empty", "signature", "grey", "grey16", "rgb16", "size"],
)
def test_a_png_of_another_kind_is_named(files, first, content, words):
    first[0].write_bytes(content)
    refused(files, words)


def test_the_colours_of_a_palette_are_ids(files, first):
    path, _, _ = first
    pair = next(p for p in read_coco_files(*files.paths()).pairs if p.prediction.path == path)
    before = pair.prediction.read().ids
    with Image.open(path) as image:
        image.convert("RGB").quantize(16, dither=Image.Dither.NONE).save(path)
    np.testing.assert_array_equal(pair.prediction.read().ids, before)


def test_a_palette_of_other_colours_is_named_as_the_reason(files, first):
    path, ids, _ = first
    indices = Image.fromarray(np.unique(ids, return_inverse=True)[1].reshape(ids.shape).astype(np.uint8), "L")
    indices.putpalette([channel for k in range(256) for channel in (k, 255 - k, 7)])
    indices.save(path)
    refused(files, "00.png: prediction has pixels of segment .*; a palette PNG, whose colours were read as ids")


def test_pixels_of_a_segment_that_the_json_lacks_are_named(files, first):
    _, _, segments = first
    gone = segments.pop()["id"]
    refused(files, rf"00\.png: prediction has pixels of segment {gone}, which its table does not list")


def test_a_segment_without_pixels_is_named(files, first):
    first[2].append({"id": 77, "category_id": 3})
    refused(files, r"00\.png: prediction lists segment 77, which has no pixel")


def test_the_truth_is_checked_as_well(files):
    gone = files.gt["annotations"][2]["segments_info"].pop()["id"]
    refused(files, rf"gt/02\.png: truth has pixels of segment {gone}, which its table does not list")


def test_a_size_other_than_the_annotation_says_is_named(files):
    files.gt["images"][0]["height"] += 1
    refused(files, r"gt/00\.png: the PNG is \d+ x \d+ \(height x width\), the annotation says ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.pred["annotations"].pop(3), "no prediction for 1 of 16 images, first 03.jpg; --allow-missing"),
        (
            lambda f: f.pred["annotations"].append(f.pred["annotations"][3]),
            r"\('03.png'\): image_id 997 used twice",
        ),
        (
            lambda f: f.pred["annotations"][3].update(image_id=5),
            "1 predictions of images that the truth does not have, first 5; --subset",
        ),
        (lambda f: f.pred["annotations"][3].update(file_name="x.png"), "x.png: no such file, but .*pred.json lists it"),
        (lambda f: f.pred["annotations"][3].update(file_name="a\0b.png"), "file_name must be a text of one line"),
        (lambda f: f.pred["annotations"][3].pop("segments_info"), "lacks segments_info"),
        (
            lambda f: f.pred["annotations"][3]["segments_info"][0].update(category_id=4),
            "unknown category_id 4, not in cat",
        ),
        (
            lambda f: f.pred["annotations"][3]["segments_info"][0].update(id=1 << 24),
            "id must be an integer 0..16777215",
        ),
        (lambda f: f.gt["annotations"][3]["segments_info"][0].update(id=0), "id must be an integer 1..16777215"),
        (lambda f: f.pred["annotations"][3]["segments_info"][0].update(score="1"), "score must be a finite number"),
        (lambda f: f.pred["annotations"][3]["segments_info"][0].update(score=10**400), "score must be a finite number"),
        (lambda f: f.pred["annotations"][3]["segments_info"][0].update(score=1e39), "score must be a finite number"),
        (lambda f: f.gt["images"][3].update(height=1 << 20, width=1 << 20), "expected at most 178956970 in all"),
        (lambda f: f.pred["annotations"].__setitem__(3, {"segmentation": [], "bbox": []}), "of an instances JSON"),
        (
            lambda f: f.gt["annotations"].pop(3),
            r"1 images of the truth without an annotation, first image 03.jpg \(id 997\) .* --subset",
        ),
        (lambda f: f.gt["images"].pop(3), "1 annotations of the truth without an image .*03.png; .*--subset"),
        (lambda f: f.gt["annotations"][3]["segments_info"][0].update(area=-1), "area must be a finite number of at le"),
        (lambda f: f.gt["annotations"][3]["segments_info"][0].update(area=None), "area must be a finite number"),
        (lambda f: f.gt["annotations"][3]["segments_info"][0].update(area=1e9), r"area must be at most \d+ pixels"),
        (lambda f: f.gt.update(images=[], annotations=[]), "predictions of images|no image to evaluate"),
    ],
)
def test_what_is_wrong_in_a_json_is_named(files, change, words):
    change(files)
    refused(files, words)


def test_a_prediction_that_numbers_its_images_anew_is_paired_by_file_name(files):
    """`tfpanoptic predict` knows nothing of the truth's ids."""
    expected = [pair.prediction.path for pair in read_coco_files(*files.paths()).pairs]
    new_ids = {image["id"]: 986 + (7 * k) % 16 for k, image in enumerate(files.gt["images"])}
    files.pred["images"] = [{**image, "id": new_ids[image["id"]]} for image in files.gt["images"]]
    for annotation in files.pred["annotations"]:
        annotation["image_id"] = new_ids[annotation["image_id"]]
    found = read_coco_files(*files.paths())
    assert [pair.prediction.path for pair in found.pairs] == expected
    assert len(found.notes) == 1 and "paired by the file names" in found.notes[0]
    files.pred["images"][0]["file_name"] = "other.jpg"
    refused(files, "1 predictions of images that the truth does not have, first 986; --subset")


def test_ids_that_agree_pair_images_whatever_their_files_are_called(files):
    expected = [pair.prediction.path for pair in read_coco_files(*files.paths()).pairs]
    for name in ("{:02}.png", "frames/{:02}.jpeg", "photo {}"):
        files.pred["images"] = [{"id": 1000 - k, "file_name": name.format(k)} for k in range(16)]
        found = read_coco_files(*files.paths())
        assert ([pair.prediction.path for pair in found.pairs], found.notes) == (expected, ())


def test_names_of_other_images_are_noted_where_ids_agree(files):
    expected = [pair.prediction.path for pair in read_coco_files(*files.paths()).pairs]
    files.pred["images"] = [{"id": 985 + k, "file_name": f"{k:02}.jpg"} for k in range(16)]
    found = read_coco_files(*files.paths())
    assert [pair.prediction.path for pair in found.pairs] == expected
    (note,) = found.notes
    assert "image 1000 is 15.jpg, in the truth 00.jpg, and 15 more; paired by image id" in note


def test_a_mere_count_of_images_is_paired_by_file_name_even_where_ids_agree(files):
    expected = [pair.prediction.path for pair in read_coco_files(*files.paths()).pairs]
    files.pred["info"] = {"image_ids": "counted"}  # as `tfpanoptic predict` writes it
    files.pred["images"] = [{"id": 985 + k, "file_name": f"{k:02}.jpg"} for k in range(16)]
    for annotation in files.pred["annotations"]:
        annotation["image_id"] = 1985 - annotation["image_id"]
    found = read_coco_files(*files.paths())
    assert [pair.prediction.path for pair in found.pairs] == expected
    assert len(found.notes) == 1 and "paired by the file names" in found.notes[0]


def test_images_of_one_file_name_are_told_apart_by_their_ids(files):
    """Frames of several videos are called alike."""
    for image in files.gt["images"]:
        image["file_name"] = "frame_000001.jpg"
    files.pred["images"] = files.gt["images"]
    found = read_coco_files(*files.paths())
    assert [pair.name for pair in found.pairs] == [f"frame_000001.jpg (id {1000 - k})" for k in range(16)]
    numbers = panoptic_quality(evaluate_files(found, ("pq",)))
    assert numbers == pytest.approx(files.expected["all"], abs=1e-12)


@pytest.mark.parametrize("other", ["frame_000001.jpg (id 999)", "frame_000001.jpg (id 1000)"])
def test_images_of_one_file_name_beside_one_that_is_called_as_they_are_told_apart(files, other):
    for image, name in zip(files.gt["images"], ["frame_000001.jpg"] * 2 + [other]):
        image["file_name"] = name
    found = read_coco_files(*files.paths())
    assert len({pair.name for pair in found.pairs}) == 16
    numbers = summarize(evaluate_files(found, ("pq",)))
    assert numbers["pq"]["all"] == pytest.approx(files.expected["all"], abs=1e-12)
    names = {row["image_id"]: row["file_name"] for row in numbers["per_image"]}
    assert names == {image["id"]: image["file_name"] for image in files.gt["images"]}


def panoptic_quality(evaluation):
    return summarize(evaluation)["pq"]["all"]


def test_a_subset_is_evaluated_on_purpose(files):
    """The truth annotates two of its images less, and lacks the entry of a third: 13 are left."""
    expected = panoptic_quality(evaluate_files(kept(read_coco_files(*files.paths()), slice(3, None)), ("pq",)))
    del files.gt["annotations"][:2], files.gt["images"][2]
    found = read_coco_files(*files.paths(), subset=True)
    assert panoptic_quality(evaluate_files(found, ("pq",))) == expected
    assert len(found.pairs) == 13 and len(found.notes) == 3
    for note, words in zip(found.notes, ("2 images of the truth", "1 annotations of the truth", "3 predictions of")):
        assert words in note and note.endswith("; passed over")


def kept(found, places):
    return replace(found, pairs=found.pairs[places])


def official_count(truth, true_rows, predicted, predicted_rows):
    """IoU sum, TP, FP and FN of one category, by hand: every id that a table lists is a segment, whatever it is."""
    iou, matched, found = 0.0, set(), set()
    for t, area in true_rows.items():
        for p in predicted_rows:
            both = np.sum((truth == t) & (predicted == p))
            void = 0 if 0 in true_rows else np.sum((truth == 0) & (predicted == p))
            union = area + np.sum(predicted == p) - both - void
            if both > 0.5 * union:
                iou, matched, found = iou + both / union, matched | {t}, found | {p}
    wrong = [
        p
        for p in predicted_rows
        if p not in found and np.sum((predicted == p) & (truth == 0)) <= np.sum(predicted == p) / 2
    ]
    return iou, len(matched), len(wrong), len(set(true_rows) - matched)


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_a_listed_segment_of_id_0_is_counted_as_the_official_tool_counts_it(tmp_path, shift):
    truth = np.zeros((6, 9), int)
    truth[:3, :4], truth[4:] = 1, 2
    predicted = np.ones((6, 9), int)
    predicted[:3, shift : 4 + shift] = 0
    predicted[5] = 2
    areas = {1: 12, 2: 18}
    paths = written_pair(tmp_path, truth, areas, predicted, [0, 1, 2])
    found = read_coco_files(*paths)
    assert "lists a segment of id 0 in 1 images, first a.jpg; counted as a segment" in found.notes[0]
    row = evaluate_files(found, ("pq", "boundary", "causes", "size", "miou", "covering")).rows("pq")[0, 1:]
    assert tuple(row) == pytest.approx(official_count(truth, areas, predicted, [0, 1, 2]))


def test_a_segment_of_id_0_without_a_pixel_is_named(tmp_path):
    paths = written_pair(tmp_path, np.ones((2, 2), int), {1: 4}, np.ones((2, 2), int), [0, 1])
    with pytest.raises(InputError, match="pred/a.png: lists segment 0, which has no pixel"):
        evaluate_files(read_coco_files(*paths))


def written_pair(folder, truth, areas, predicted, predicted_ids, category=None):
    """Truth and prediction of one image of cells as files; the four paths."""
    sides = {"gt": (truth, [{"id": i, "area": area} for i, area in areas.items()])}
    sides["pred"] = predicted, [{"id": i} for i in predicted_ids]
    for side, (ids, rows) in sides.items():
        (folder / side).mkdir()
        Image.fromarray(ids_to_rgb(ids)).save(folder / side / "a.png")
        rows = [{**row, "category_id": 1} for row in rows]
        image = {"id": 1, "file_name": "a.jpg", "height": ids.shape[0], "width": ids.shape[1]}
        annotation = {"image_id": 1, "file_name": "a.png", "segments_info": rows}
        categories = [category or {"id": 1, "name": "cell", "isthing": 1}]
        content = {"images": [image], "annotations": [annotation], "categories": categories}
        (folder / f"{side}.json").write_text(json.dumps(content))
    return folder / "gt.json", folder / "gt", folder / "pred.json", folder / "pred"


@pytest.mark.parametrize("areas", [{1: 11.5, 2: 18.25}, {1: 12.7, 2: 17.0}, {1: 1023.5 / 80, 2: 19.999}])
def test_areas_with_a_fraction_are_taken_as_the_official_tool_takes_them(tmp_path, areas):
    truth = np.zeros((6, 9), int)
    truth[:3, :4], truth[4:] = 1, 2
    predicted = np.roll(truth, 1, axis=1)
    found = read_coco_files(*written_pair(tmp_path, truth, areas, predicted, [1, 2]))
    evaluation = evaluate_files(found, ("pq", "size"))
    assert tuple(evaluation.rows("pq")[0, 1:]) == pytest.approx(official_count(truth, areas, predicted, [1, 2]))
    assert summarize(evaluation)["wrong_areas"] == sum(area != pixels for area, pixels in zip(areas.values(), (12, 18)))


def test_whole_numbers_pass_in_any_form(files):
    expected = panoptic_quality(evaluate_files(read_coco_files(*files.paths()), ("pq",)))
    for side in (files.gt, files.pred):
        for annotation in side["annotations"]:
            annotation["image_id"] = float(annotation["image_id"])
            for segment in annotation["segments_info"]:
                for key in ("id", "category_id", "area", "iscrowd"):
                    segment.update({key: float(segment[key])} if key in segment else {})
                segment.update({"iscrowd": segment["iscrowd"] == 1} if side is files.gt else {"score": None})
    for image in files.gt["images"]:
        image.update({key: float(image[key]) for key in ("id", "height", "width")})
    for category in files.gt["categories"]:
        category.update(id=float(category["id"]), isthing=float(category["isthing"]))
    assert panoptic_quality(evaluate_files(read_coco_files(*files.paths()), ("pq",))) == expected


def test_names_and_colours_of_categories_do_not_matter(files):
    expected = panoptic_quality(evaluate_files(read_coco_files(*files.paths()), ("pq",)))
    for category, name, color in zip(
        files.gt["categories"], ["a", "a", "", None, 5, "a\nb"], ["#ff0000", [1, 2], 7, [0.5] * 3, [1, 2, 300], {}]
    ):
        category.update(name=name, color=color)
    found = read_coco_files(*files.paths())
    assert panoptic_quality(evaluate_files(found, ("pq",))) == expected
    ids = [category["id"] for category in files.gt["categories"]]
    names = {c.source_id: c.name for c in found.categories}
    assert [names[i] for i in ids] == [f"a ({ids[0]})", f"a ({ids[1]})", *(f"category {i}" for i in ids[2:])]
    assert len(found.notes) == 1 and "categories get names of their own" in found.notes[0]


def test_categories_of_one_name_beside_one_that_is_called_as_they_are_told_apart(files):
    expected = panoptic_quality(evaluate_files(read_coco_files(*files.paths()), ("pq",)))
    first, second, third, fourth, *_ = files.gt["categories"]
    for category in (first, second, fourth):
        category["name"] = "cell"
    third["name"] = f"cell ({first['id']})"
    found = read_coco_files(*files.paths())
    assert panoptic_quality(evaluate_files(found, ("pq",))) == expected
    assert len({category.name for category in found.categories}) == len(files.gt["categories"])


def test_more_categories_than_a_panoptic_map_holds_are_evaluated(files):
    expected = panoptic_quality(evaluate_files(read_coco_files(*files.paths()), FAST))
    files.gt["categories"] += [{"id": 1000 + i, "name": f"more {i}", "isthing": i % 2} for i in range(2000)]
    assert panoptic_quality(evaluate_files(read_coco_files(*files.paths()), FAST)) == expected


def test_segments_without_a_score_are_counted(files):
    assert read_coco_files(*files.paths()).without_score == 0
    for segment in files.pred["annotations"][0]["segments_info"][:2]:
        del segment["score"]
    assert read_coco_files(*files.paths()).without_score == 2


def test_a_wrong_truth_entry_is_the_only_problem(files):
    files.gt["annotations"][3]["segments_info"][0]["area"] = -1
    with pytest.raises(InputError) as error:
        read_coco_files(*files.paths())
    assert "area must be" in str(error.value) and "problems" not in str(error.value)


def test_wrong_entries_of_the_truth_are_told_together_without_what_follows(files):
    files.gt["images"][3]["height"] = "tall"
    files.gt["images"][5]["id"] = None
    files.gt["annotations"][7]["segments_info"] = 0
    with pytest.raises(InputError) as error:
        read_coco_files(*files.paths())
    message = str(error.value)
    assert "gt.json: images[3] ('03.jpg'): height must be an integer" in message and "found 'tall'" in message
    assert "images[5] ('05.jpg'): id must be an integer or a text, found None" in message
    assert "annotations[7] ('07.png'): segments_info must be a list, found 0" in message
    assert "pred.json" not in message


def test_wrong_segments_of_both_sides_are_told_together(files):
    for side, key, value in ((files.gt, "area", -1), (files.pred, "score", "high")):
        side["annotations"][3]["segments_info"][0][key] = value
    with pytest.raises(InputError) as error:
        read_coco_files(*files.paths())
    message = str(error.value)
    assert message.startswith("2 problems in the files:")
    assert "gt.json" in message and "found -1" in message and "pred.json" in message and "found 'high'" in message


@pytest.mark.parametrize(
    "images",
    [
        *(None, 7, "text", [], {}, [7, None, []]),
        *([{"id": 1000}], [{"file_name": "00.jpg"}], [{"id": 1000, "file_name": ["x"]}]),
        *([{"id": [1], "file_name": "x"}], [{"id": float("nan"), "file_name": "x"}]),
    ],
)
def test_an_odd_list_of_images_beside_the_prediction_does_not_matter(files, images):
    files.pred["images"] = images
    found = read_coco_files(*files.paths())
    assert [pair.prediction.path.name for pair in found.pairs] == [f"{k:02}.png" for k in range(16)]
    assert found.notes == ()


def test_an_empty_set_is_told(files):
    files.gt.update(images=[], annotations=[])
    files.pred.update(annotations=[])
    refused(files, "no image to evaluate: the truth lists none")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not valid JSON"),
        ("[]", "expected a COCO panoptic JSON with the list annotations, found a list"),
        ('[{"image_id": 1, "segmentation": {}}]', "a list is the format of instance results"),
        ('{"images": []}', "expected a COCO panoptic JSON with the list annotations"),
        ("null", "expected a COCO panoptic JSON with the list annotations"),
        ("[" * 100_000, "not valid JSON"),
        ("9" * 5_000, "not valid JSON"),
        ('{"annotations": [{"image_id": 1, "fi', "not valid JSON"),
        ('{"annotations": "\xe9"}'.encode("latin-1"), "not valid JSON"),
        (b"\x00\x01\xff", "not valid JSON"),
    ],
)
def test_a_prediction_that_is_no_panoptic_json_is_told(files, content, words):
    paths = files.paths()
    paths[2].write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words):
        read_coco_files(*paths)


def test_the_first_problems_are_listed_with_their_number(files):
    for annotation in files.pred["annotations"]:
        annotation["segments_info"][0]["category_id"] = 99
    with pytest.raises(InputError) as error:
        read_coco_files(*files.paths())
    lines = str(error.value).splitlines()
    assert lines[0] == "16 problems in the files:" and lines[-1].strip() == "and 8 more" and len(lines) == 10


def test_another_name_for_a_category_id_is_noted(files):
    files.pred["categories"] = [{**c, "name": "bus" if c["id"] == 7 else c["name"]} for c in files.gt["categories"]]
    (note,) = read_coco_files(*files.paths()).notes
    assert "category 7 is 'bus', in the truth it is 'car'" in note


def test_what_the_file_says_of_an_image_becomes_its_columns(files):
    assert {pair.columns["scene"] for pair in read_coco_files(*files.paths()).pairs} == {"day", "night"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
FUZZ = settings(max_examples=60, deadline=2000, suppress_health_check=list(HealthCheck))


def _places(node, path=()):
    """Every place in a JSON, as a path of keys."""
    yield path
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield from _places(value, (*path, key))


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """One copy of the files for all examples: their JSONs are written anew by each."""
    import shutil

    return PanopticFiles(shutil.copytree(FIXTURE, tmp_path_factory.mktemp("fuzzed") / "files"))


@pytest.mark.parametrize("side", ["gt", "pred"])
@FUZZ
@given(data=st.data())
def test_no_json_makes_it_crash(fuzzed, side, data):
    content = json.loads((FIXTURE / f"{side}.json").read_text())
    *path, last = data.draw(st.sampled_from([place for place in _places(content) if place]))
    node = content
    for key in path:
        node = node[key]
    node[last] = data.draw(VALUES)
    fuzzed.gt, fuzzed.pred = (json.loads((FIXTURE / name).read_text()) for name in ("gt.json", "pred.json"))
    setattr(fuzzed, side, content)
    try:
        files = read_coco_files(*fuzzed.paths())
        for pair in files.pairs[:2]:
            count_image(pair, files.categories, ("pq",))
    except InputError as error:
        assert str(error)


@FUZZ
@given(data=st.data())
def test_no_png_makes_it_crash(fuzzed, data):
    fuzzed.gt, fuzzed.pred = (json.loads((FIXTURE / name).read_text()) for name in ("gt.json", "pred.json"))
    files = read_coco_files(*fuzzed.paths())
    pair = files.pairs[0]
    good = (FIXTURE / "pred" / pair.prediction.path.name).read_bytes()
    start = data.draw(st.integers(0, len(good)))
    length = data.draw(st.integers(0, 40))
    broken = good[:start] + data.draw(st.binary(max_size=40)) + good[start + length :]
    pair.prediction.path.write_bytes(
        broken[: data.draw(st.integers(0, len(broken)))] if data.draw(st.booleans()) else broken
    )
    try:
        count_image(pair, files.categories, ("pq",))
    except InputError as error:
        assert pair.prediction.path.name in str(error)
