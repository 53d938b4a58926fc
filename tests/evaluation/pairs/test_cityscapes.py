import json

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.cityscapes_ids import cityscapes_categories
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.counting import evaluate_files
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.evaluation.pairs.cityscapes import read_cityscapes_files
from tfpanoptic.evaluation.pairs.coco import read_coco_files
from tfpanoptic.segment_map import ids_to_rgb

KEY = "ulm_000001_000019"
# Road, two cars, a group of cars, a caravan and unlabelled pixels.
TRUTH = np.array([[7, 7, 7, 26000, 26000, 26001], [7, 26, 26, 29000, 0, 26001]], np.uint16)


@pytest.fixture
def layout(tmp_path):
    """(folder of the truth, folder of the prediction, function that writes a prediction's instance ids)."""
    gt, pred = tmp_path / "gtFine" / "val", tmp_path / "pred"
    for folder in (gt / "ulm", pred):
        folder.mkdir(parents=True)
    Image.fromarray(TRUTH).save(gt / "ulm" / f"{KEY}_gtFine_instanceIds.png")
    Image.fromarray(TRUTH.astype(np.uint8)).save(gt / "ulm" / f"{KEY}_gtFine_labelIds.png")

    def predict(values, name=f"{KEY}_pred.png"):
        Image.fromarray(np.asarray(values, np.uint16)).save(pred / name)

    return gt, pred, predict


def quality(files):
    evaluation = evaluate_files(files, ("pq",))
    return summarize_rows(evaluation.rows("pq"), evaluation.categories)["per_category"]


def test_there_are_eight_things_and_eleven_kinds_of_stuff():
    table = cityscapes_categories()
    assert (len(table.thing_ids), len(table.stuff_ids)) == (8, 11)
    assert table.by_name()["bicycle"].source_id == 33


def test_numbers_are_instances_and_ignored_labels_are_void(layout):
    gt, pred, predict = layout
    predict(TRUTH)
    truth = read_cityscapes_files(None, gt, None, pred).pairs[0].read()[0]
    rows = {int(r["id"]): (int(r["category"]), bool(r["iscrowd"]), int(r["area"])) for r in truth.segments}
    assert rows == {7: (1, False, 4), 26: (14, True, 2), 26000: (14, False, 2), 26001: (14, False, 2)}
    assert truth.ids[1].tolist() == [7, 26, 26, 0, 0, 26001]


def test_a_group_is_a_crowd_in_the_truth_and_a_segment_in_a_prediction(layout):
    gt, pred, predict = layout
    predict(TRUTH)
    found = quality(read_cityscapes_files(None, gt, None, pred))
    # The predicted group lies on the true one, which excuses it.
    assert (found["car"]["tp"], found["car"]["fp"], found["car"]["fn"]) == (2, 0, 0)
    assert found["road"]["pq"] == 1
    predict(np.where(TRUTH == 7, 26, TRUTH))
    # 4 of its 6 pixels are road: no longer excused.
    assert quality(read_cityscapes_files(None, gt, None, pred))["car"]["fp"] == 1


def test_predictions_as_panoptic_json_meet_the_instance_ids(layout, tmp_path):
    gt, pred, _ = layout
    ids = np.where(TRUTH == 26001, 5, 0) + np.where(TRUTH == 7, 6, 0)
    Image.fromarray(ids_to_rgb(ids)).save(pred / "p.png")
    segments = [{"id": 5, "category_id": 26}, {"id": 6, "category_id": 7}]
    annotation = {"image_id": KEY, "file_name": "p.png", "segments_info": segments}
    (tmp_path / "pred.json").write_text(json.dumps({"annotations": [annotation]}))
    files = read_cityscapes_files(None, gt, tmp_path / "pred.json", pred)
    assert (quality(files)["car"]["tp"], quality(files)["car"]["fn"]) == (1, 1)
    assert files.pairs[0].columns == {"city": "ulm"}


def as_panoptic_json(layout, tmp_path, ids, categories):
    """A prediction of segment ids as panoptic JSON, whose segments are of `{id: category_id}`; what reads it."""
    gt, pred, _ = layout
    Image.fromarray(ids_to_rgb(ids)).save(pred / "p.png")
    segments = [{"id": i, "category_id": category} for i, category in categories.items()]
    annotation = {"image_id": KEY, "file_name": "p.png", "segments_info": segments}
    (tmp_path / "pred.json").write_text(json.dumps({"annotations": [annotation]}))
    return lambda: read_cityscapes_files(None, gt, tmp_path / "pred.json", pred)


def test_category_ids_that_are_train_ids_are_refused_by_name(layout, tmp_path):
    read = as_panoptic_json(layout, tmp_path, np.where(TRUTH == 7, 5, np.where(TRUTH == 26001, 6, 0)), {5: 0, 6: 13})
    # 4 pixels of road and 2 of a car of 4 + 6 that are evaluated.
    with pytest.raises(InputError, match=r"pred\.json: looks like train ids, .* 60% of the pixels, as label ids in 0%"):
        read()


def test_train_ids_are_refused_by_name_where_the_truth_is_a_panoptic_json_too(layout, tmp_path):
    as_panoptic_json(layout, tmp_path, np.where(TRUTH == 7, 5, np.where(TRUTH == 26001, 6, 0)), {5: 0, 6: 13})
    # As the Cityscapes scripts convert it; the group and the ignored label are left out here: 4 + 2 of 8 pixels.
    ids = np.where(np.isin(TRUTH, (7, 26000, 26001)), TRUTH, 0)
    Image.fromarray(ids_to_rgb(ids)).save(tmp_path / "t.png")
    labels = {7: 7, 26000: 26, 26001: 26}
    segments = [{"id": i, "category_id": c, "area": int((ids == i).sum()), "iscrowd": 0} for i, c in labels.items()]
    truth = {
        "images": [{"id": KEY, "file_name": f"{KEY}.png", "height": 2, "width": 6}],
        "annotations": [{"image_id": KEY, "file_name": "t.png", "segments_info": segments}],
        "categories": cityscapes_categories().to_coco(),
    }
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    with pytest.raises(InputError, match=r"pred\.json: looks like train ids, .* 75% of the pixels, as label ids in 0%"):
        read_coco_files(tmp_path / "gt.json", tmp_path, tmp_path / "pred.json", tmp_path / "pred")


def test_a_category_id_of_no_label_is_named_where_train_ids_do_not_agree(layout, tmp_path):
    read = as_panoptic_json(layout, tmp_path, np.where(TRUTH == 7, 5, 6), {5: 7, 6: 0})
    with pytest.raises(InputError, match=r"unknown category_id 0, not in categories, which have \[7, 8, 11"):
        read()


def test_a_listed_segment_of_id_0_is_noted(layout, tmp_path):
    files = as_panoptic_json(layout, tmp_path, np.where(TRUTH == 7, 0, 6), {0: 7, 6: 26})()
    assert f"lists a segment of id 0 in 1 images, first {KEY}; counted as a segment" in files.notes[0]
    assert quality(files)["road"]["pq"] == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [(TRUTH + 40_000 - 26_000, "is no Cityscapes label"), (TRUTH[:, :3], "the prediction is 2 x 3")],
)
def test_a_prediction_of_another_encoding_or_size_is_named(layout, values, words):
    gt, pred, predict = layout
    predict(values)
    with pytest.raises(InputError, match=rf"{KEY}_pred.png: .*{words}"):
        evaluate_files(read_cityscapes_files(None, gt, None, pred))


def test_a_missing_a_second_and_a_strange_prediction_are_told(layout):
    gt, pred, predict = layout
    predict(TRUTH)
    predict(TRUTH, f"{KEY}_again.png")
    with pytest.raises(InputError, match=f"a second file for image {KEY}"):
        read_cityscapes_files(None, gt, None, pred)
    (pred / f"{KEY}_again.png").rename(pred / "bern_000000_000001_x.png")
    with pytest.raises(
        InputError, match="1 predictions of images that the truth does not have, first 'bern_000000_000001'; --subset"
    ):
        read_cityscapes_files(None, gt, None, pred)
    files = read_cityscapes_files(None, gt, None, pred, subset=True)
    assert len(files.pairs) == 1 and "1 predictions of images that the truth does not have" in files.notes[0]
    (pred / f"{KEY}_pred.png").unlink()
    with pytest.raises(InputError, match=f"no prediction for 1 of 1 images, first {KEY}"):
        read_cityscapes_files(None, gt, None, pred)


def test_folders_without_such_files_are_told(layout, tmp_path):
    gt, pred, _ = layout
    with pytest.raises(InputError, match=r"pred: no file CITY_SEQUENCE_FRAME_\*\.png in it or below"):
        read_cityscapes_files(None, gt, None, pred)
    with pytest.raises(InputError, match=r"nowhere: cannot list this folder \(No such file"):
        read_cityscapes_files(None, tmp_path / "nowhere", None, pred)


def test_a_panoptic_json_of_the_truth_gets_its_cities(files):
    for image in files.gt["images"]:
        image["file_name"] = f"ulm_000000_{image['id']:06d}_gtFine_leftImg8bit.png"
    pairs = read_cityscapes_files(*files.paths()).pairs
    assert {pair.columns["city"] for pair in pairs} == {"ulm"}


@pytest.mark.parametrize("folder", ["", "ulm/", "val/ulm/"])
def test_a_city_is_named_alike_with_and_without_its_folder(folder, files):
    for number, image in enumerate(files.gt["images"]):
        image["file_name"] = f"{folder}ulm_{number:06d}_000019_leftImg8bit.png"
    files.pred.pop("images", None)
    pairs = read_cityscapes_files(*files.paths()).pairs
    assert {pair.columns["city"] for pair in pairs} == {"ulm"}
