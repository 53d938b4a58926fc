"""Label maps: categories 3 (cell), 7 (nucleus), both things, and 12 (ground)."""

import json

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.counting import evaluate_files
from tfpanoptic.evaluation.pairs.instances import with_panoptic_things
from tfpanoptic.evaluation.pairs.label_maps import read_label_maps
from tfpanoptic.evaluation.summary import summarize

CELL, NUCLEUS, GROUND = 3, 7, 12
ENTRIES = [
    {"id": CELL, "name": "cell", "isthing": 1},
    {"id": NUCLEUS, "name": "nucleus", "isthing": 1},
    {"id": GROUND, "name": "ground", "isthing": 0},
]
CATEGORY = np.array(
    [
        [3, 3, 0, 3, 3, 255],
        [3, 3, 0, 3, 3, 255],
        [12, 12, 12, 7, 7, 7],
        [12, 12, 12, 7, 7, 7],
    ]
)
INSTANCE = np.array(
    [
        [1, 1, 0, 300, 300, 0],
        [1, 1, 0, 300, 300, 0],
        [5, 5, 6, 1, 1, 1],
        [5, 5, 6, 1, 1, 1],
    ]
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "categories.json").write_text(json.dumps(ENTRIES))
    return tmp_path


def two_images(folder, name, category, instance, suffix="png"):
    for part, values, dtype in (("semantic", category, np.uint8), ("instance", instance, np.uint16)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(dtype)).save(folder / part / f"{name}.{suffix}")


def two_channels(folder, name, category, instance):
    folder.mkdir(exist_ok=True)
    rgb = np.stack([category, instance % 256, instance // 256], axis=-1).astype(np.uint8)
    Image.fromarray(rgb).save(folder / f"{name}.png")


def rows(segment_map):
    """(category, crowd, area) of the segments, sorted."""
    return sorted(segment_map.segments[["category", "iscrowd", "area"]].tolist())


def pq(files):
    return summarize(evaluate_files(files, ("pq",)))["pq"]


@pytest.mark.parametrize("write", [two_images, two_channels])
def test_both_forms_hold_the_same_segments(folder, write):
    for side in ("gt", "pred"):
        write(folder / side, "a", CATEGORY, INSTANCE)
    files = read_label_maps(folder / "categories.json", folder / "gt", folder / "pred")
    (pair,) = files.pairs
    truth, prediction = pair.read()
    # Our ids are 1, 2, 3; two cells of four pixels, one nucleus, one ground whatever its instance numbers say.
    assert rows(truth) == rows(prediction) == [(1, False, 4), (1, False, 4), (2, False, 6), (3, False, 6)]
    assert (truth.ids == 0).sum() == 4 and len(set(truth.ids[:2, :2].ravel().tolist())) == 1
    assert pq(files)["all"] == {"pq": 1.0, "sq": 1.0, "rq": 1.0, "n": 3}


def test_categories_may_be_yaml_as_for_the_converter(folder):
    for side in ("gt", "pred"):
        two_images(folder / side, "a", CATEGORY, INSTANCE)
    kinds = "".join(f"{e['id']}: {{name: {e['name']}, thing: {str(bool(e['isthing'])).lower()}}}\n" for e in ENTRIES)
    (folder / "categories.yaml").write_text(kinds)
    found, expected = (
        read_label_maps(folder / f"categories.{end}", folder / "gt", folder / "pred").categories
        for end in ("yaml", "json")
    )
    assert [(c.source_id, c.name, c.isthing) for c in found] == [(c.source_id, c.name, c.isthing) for c in expected]


def test_the_numbers_are_those_of_the_official_rules(folder):
    """A cell moved by a pixel: 2 of 6 pixels, no match. The ground lacks two of six: IoU 4/6. The nucleus is right."""
    two_images(folder / "gt", "a", CATEGORY, INSTANCE)
    category, instance = CATEGORY.copy(), INSTANCE.copy()
    category[:2, :3], instance[:2, :3] = [12, 3, 3], [0, 1, 1]
    category[2:, 2] = 0
    two_channels(folder / "pred", "a", category, instance)
    found = pq(read_label_maps(folder / "categories.json", folder / "gt", folder / "pred"))["per_category"]
    # The moved cell: of its 4 pixels 2 are void in the truth, so 2 / (4 + 4 - 2 - 2) = 0.5 is no match; exactly half of
    # it is void, so it is wrong.
    assert (found["cell"]["tp"], found["cell"]["fp"], found["cell"]["fn"]) == (1, 1, 1)
    # The ground has 2 pixels on the cell and 4 of its own 6: 4 / (6 + 6 - 4).
    assert found["ground"]["tp"] == 0 and found["nucleus"]["pq"] == 1


def test_a_thing_without_a_number_is_a_crowd_in_the_truth_and_a_segment_in_a_prediction(folder):
    for side in ("gt", "pred"):
        two_images(folder / side, "a", CATEGORY, np.where(CATEGORY == NUCLEUS, 0, INSTANCE))
    (pair,) = read_label_maps(folder / "categories.json", folder / "gt", folder / "pred").pairs
    truth, prediction = pair.read()
    assert (2, True, 6) in rows(truth) and (2, False, 6) in rows(prediction)


def test_connected_components_are_instances_on_request(folder):
    category = np.where(CATEGORY == 255, 7, CATEGORY)  # the nucleus reaches up; the cells stay apart
    category[0, 2] = 3  # and now touch
    for side in ("gt", "pred"):
        (folder / side).mkdir()
        Image.fromarray(category.astype(np.uint8)).save(folder / side / "a.png")
    files = read_label_maps(folder / "categories.json", folder / "gt", folder / "pred", components=True)
    truth, _ = files.pairs[0].read()
    assert rows(truth) == [(1, False, 9), (2, False, 8), (3, False, 6)]
    with pytest.raises(InputError, match="gt/a.png: has one channel, category ids; .* --components"):
        evaluate_files(read_label_maps(folder / "categories.json", folder / "gt", folder / "pred"))


def test_zero_and_255_are_categories_where_the_list_has_them(folder):
    entries = [*ENTRIES, {"id": 0, "name": "background", "isthing": 0}, {"id": 255, "name": "debris", "isthing": 0}]
    (folder / "categories.json").write_text(json.dumps({"categories": entries}))
    for side in ("gt", "pred"):
        two_images(folder / side, "a", CATEGORY, INSTANCE)
    (pair,) = read_label_maps(folder / "categories.json", folder / "gt", folder / "pred").pairs
    assert (pair.read()[0].ids > 0).all()


@pytest.mark.parametrize("listed", [False, True])
def test_65535_is_void_in_16_bits_where_no_category_has_it(listed, folder):
    entries = [*ENTRIES, *([{"id": 65535, "name": "debris", "isthing": 0}] if listed else [])]
    (folder / "categories.json").write_text(json.dumps(entries))
    values = np.where(np.isin(CATEGORY, (0, 255)), 65535, CATEGORY)
    for side in ("gt", "pred"):
        two_images(folder / side, "a", CATEGORY, INSTANCE)
        Image.fromarray(values.astype(np.uint16)).save(folder / side / "semantic/a.png")
    (pair,) = read_label_maps(folder / "categories.json", folder / "gt", folder / "pred").pairs
    for each in pair.read():
        assert (each.ids == 0).sum() == (0 if listed else 4)


def test_cityscapes_ap_of_label_maps_has_no_note_on_panoptic_pngs(folder):
    for side in ("gt", "pred"):
        two_images(folder / side, "a", CATEGORY, INSTANCE)
    files = read_label_maps(folder / "categories.json", folder / "gt", folder / "pred")
    assert with_panoptic_things(files).notes == ()


def test_what_is_wrong_in_label_maps_is_named(folder):
    two_images(folder / "gt", "a", CATEGORY, INSTANCE)
    two_images(folder / "pred", "a", np.where(CATEGORY == 7, 8, CATEGORY), INSTANCE)
    read = (folder / "categories.json", folder / "gt", folder / "pred")
    with pytest.raises(InputError, match=r"pred/semantic/a.png: value 8 is of no category; expected one of \[3, 7, 12"):
        evaluate_files(read_label_maps(*read))
    two_images(folder / "pred", "a", CATEGORY, INSTANCE[:3])
    with pytest.raises(InputError, match=r"pred/instance/a.png: 3 x 6 \(height x width\), .*semantic/a.png is 4 x 6"):
        evaluate_files(read_label_maps(*read))
    (folder / "pred/instance/a.png").rename(folder / "pred/instance/b.png")
    with pytest.raises(InputError, match="semantic/a.png: no image of this name in .*instance"):
        read_label_maps(*read)
    with pytest.raises(InputError, match="nowhere: cannot list this folder"):
        read_label_maps(*read[:2], folder / "nowhere")
    with pytest.raises(InputError, match="no label map in this folder"):
        read_label_maps(folder / "categories.json", folder, folder / "pred")
    (folder / "categories.json").write_text("7")
    with pytest.raises(InputError, match="categories.json: expected a list of categories"):
        read_label_maps(*read)


def test_images_without_a_partner_end_it_unless_allowed(folder):
    for side, names in (("gt", "ab"), ("pred", "bc")):
        for name in names:
            two_channels(folder / side, name, CATEGORY, INSTANCE)
    read = (folder / "categories.json", folder / "gt", folder / "pred")
    with pytest.raises(InputError) as error:
        read_label_maps(*read)
    assert "1 predictions of images that the truth does not have, first 'c'; --subset" in str(error.value)
    assert "no prediction for 1 of 2 images, first a.png; --allow-missing" in str(error.value)
    files = read_label_maps(*read, allow_missing=True, subset=True)
    assert [pair.name for pair in files.pairs] == ["a.png", "b.png"] and len(files.notes) == 2


def test_a_state_notices_a_changed_image_of_instances(folder, tmp_path):
    for side in ("gt", "pred"):
        two_images(folder / side, "a", CATEGORY, INSTANCE)
    (pair,) = read_label_maps(folder / "categories.json", folder / "gt", folder / "pred").pairs
    before = pair.stamp()
    two_images(folder / "pred", "a", CATEGORY, np.arange(24).reshape(4, 6) + 700)
    assert pair.stamp() != before
