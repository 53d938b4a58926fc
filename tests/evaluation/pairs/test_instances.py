import io
import json
import re
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.counting import evaluate_files
from tfpanoptic.evaluation.pairs.cityscapes import read_cityscapes_files
from tfpanoptic.evaluation.pairs.coco import read_coco_files
from tfpanoptic.evaluation.pairs.instances import with_cityscapes_instances, with_coco_instances, with_panoptic_things
from tfpanoptic.evaluation.state_file import merged_states
from tfpanoptic.evaluation.summary import summarize


def encoded(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.fixture
def as_instances(files, tmp_path):
    """The fixture's files as instances: (pairs, path of the results, path of the instances truth)."""
    pairs = read_coco_files(*files.paths())
    things = {c.id: c.source_id for c in pairs.categories if c.isthing}
    results, annotations = [], []
    for pair in pairs.pairs:
        truth, prediction = pair.read()
        for segment_map, entries in ((truth, annotations), (prediction, results)):
            for row in segment_map.segments[np.isin(segment_map.segments["category"], list(things))]:
                entry = {
                    "image_id": pair.image_id,
                    "category_id": things[int(row["category"])],
                    "segmentation": encoded(segment_map.ids == row["id"]),
                    "score": float(row["score"]),
                }
                extra = {"id": len(annotations), "area": int(row["area"]), "iscrowd": int(row["iscrowd"])}
                entries.append(entry | (extra if entries is annotations else {}))
    (tmp_path / "results.json").write_text(json.dumps(results))
    truth = {"images": files.gt["images"], "annotations": annotations, "categories": files.gt["categories"]}
    (tmp_path / "instances.json").write_text(json.dumps(truth))
    return pairs, tmp_path / "results.json", tmp_path / "instances.json"


def test_panoptic_segments_written_as_instances_give_their_own_ap(as_instances):
    pairs, results, truth = as_instances
    own = summarize(evaluate_files(pairs, ("pq", "ap")))["ap"]
    assert own["ap"] > 0
    for other in (None, truth):
        separate = evaluate_files(with_coco_instances(pairs, results, other), ("pq", "ap"), workers=2)
        assert summarize(separate)["ap"] == own


def cocoeval_ap(results, instances):
    """AP and AP50 by pycocotools of the files as they are."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):
        truth = COCO(str(instances))
        evaluator = COCOeval(truth, truth.loadRes(str(results)), "segm")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats[:2]


def numbered(files, new_id):
    """The files with other image ids, and predictions without scores, or with a few scores that are close or equal."""
    ids = {image["id"]: new_id(place) for place, image in enumerate(files.gt["images"])}
    for image in files.gt["images"]:
        image["id"] = ids[image["id"]]
    for annotation in (*files.gt["annotations"], *files.pred["annotations"]):
        annotation["image_id"] = ids[annotation["image_id"]]
    files.pred.pop("images", None)
    for annotation in files.pred["annotations"]:
        for place, segment in enumerate(annotation["segments_info"]):
            segment["score"] = 0.5 + place % 2 * 1e-12  # equal in float32


@pytest.mark.parametrize(
    "new_id",
    [
        lambda place: 7 * place % 16 + 3,
        lambda place: f"{7 * place % 16}",
        lambda place: 9 - place,
    ],
    ids=["numbers", "texts", "backwards"],
)
def test_equal_scores_count_in_the_order_of_image_ids(new_id, files, request, tmp_path):
    numbered(files, new_id)
    pairs, results, instances = request.getfixturevalue("as_instances")
    expected = pytest.approx(cocoeval_ap(results, instances), abs=1e-12)
    for each in (pairs, with_coco_instances(pairs, results), with_coco_instances(pairs, results, instances)):
        ap = summarize(evaluate_files(each, ("ap",)))["ap"]
        assert (ap["ap"], ap["ap50"]) == expected
    for part in range(3):
        shard = replace(pairs, pairs=pairs.pairs[part::3])
        evaluate_files(shard, ("ap",), state=tmp_path / f"{part}.jsonl")
    merged = summarize(merged_states([tmp_path / f"{part}.jsonl" for part in (2, 0, 1)]))["ap"]
    assert (merged["ap"], merged["ap50"]) == expected


def test_ids_that_an_older_state_lacks_come_from_the_files(files, request, tmp_path, capsys):
    numbered(files, lambda place: 9 - place)
    pairs, _, _ = request.getfixturevalue("as_instances")
    first = summarize(evaluate_files(pairs, ("ap",), state=tmp_path / "s.jsonl"))
    content = (tmp_path / "s.jsonl").read_text()
    (tmp_path / "s.jsonl").write_text(re.sub(r'"id":-?\d+,"missing"', '"missing"', content))
    assert summarize(evaluate_files(pairs, ("ap",), state=tmp_path / "s.jsonl")) == first
    merged_states([tmp_path / "s.jsonl"])
    assert "has no image ids; equal scores count by file name" in capsys.readouterr().err


def test_a_state_of_panoptic_ap_does_not_go_on_with_separate_results(as_instances, tmp_path):
    pairs, results, _ = as_instances
    evaluate_files(pairs, ("pq", "ap"), state=tmp_path / "s.jsonl")
    with pytest.raises(InputError, match="holds an evaluation of other files"):
        evaluate_files(with_coco_instances(pairs, results), ("pq", "ap"), state=tmp_path / "s.jsonl")


def test_cityscapes_results_take_the_place_of_the_panoptic_ones(tmp_path):
    gt, pred, results = (tmp_path / name for name in ("gt", "pred", "results"))
    for folder in (gt, pred, results):
        folder.mkdir()
    truth = np.full((20, 20), 7, np.uint16)
    truth[:12, :12] = 26000
    for folder, name in ((gt, "ulm_000000_000001_gtFine_instanceIds.png"), (pred, "ulm_000000_000001_p.png")):
        Image.fromarray(truth if folder == gt else np.full_like(truth, 7)).save(folder / name)
    Image.fromarray((truth == 26000).astype(np.uint8) * 255).save(results / "car.png")
    (results / "ulm_000000_000001.txt").write_text("car.png 26 0.9\n")
    files = read_cityscapes_files(None, gt, None, pred)
    # The panoptic result has no car at all; the separate one has it whole.
    assert summarize(evaluate_files(files, ("cityscapes_ap",)))["cityscapes_ap"]["ap"] == 0
    separate = evaluate_files(with_cityscapes_instances(files, results), ("cityscapes_ap",))
    assert summarize(separate)["cityscapes_ap"]["ap"] == 1
    (results / "ulm_000000_000001.txt").unlink()
    with pytest.raises(InputError, match="results: no text file of results for 1 of 1 images, first ulm_000000_000001"):
        with_cityscapes_instances(files, results)
    separate = evaluate_files(with_cityscapes_instances(files, results, allow_missing=True), ("cityscapes_ap",))
    assert summarize(separate)["cityscapes_ap"]["ap"] == 0


def test_a_single_caravan_excuses_no_prediction(tmp_path):
    """The benchmark of instances takes labels for void by their plain ids; the panoptic one drops them all."""
    gt, pred, results = (tmp_path / name for name in ("gt", "pred", "results"))
    for folder in (gt, pred, results):
        folder.mkdir()
    truth = np.zeros((20, 40), np.uint16)
    truth[:12, :12] = 26000
    truth[:, 20:] = 29001
    Image.fromarray(truth).save(gt / "ulm_000000_000001_gtFine_instanceIds.png")
    Image.fromarray(truth).save(pred / "ulm_000000_000001_p.png")
    for name, label in (("car", 26000), ("caravan", 29001)):
        Image.fromarray((truth == label).astype(np.uint8)).save(results / f"{name}.png")
    (results / "ulm_000000_000001.txt").write_text("car.png 26 0.5\ncaravan.png 26 0.9\n")
    files = read_cityscapes_files(None, gt, None, pred)
    rows = evaluate_files(with_cityscapes_instances(files, results), ("cityscapes_ap",)).rows("cityscapes_ap")
    wrong = rows[rows[:, 3] > 0]
    assert wrong[:, 1].tolist() == [0.9] and wrong[0, 3] == 2**10 - 1  # at all ten thresholds

    # The same of a panoptic result that has the caravan as a car.
    Image.fromarray(np.where(truth == 29001, 26001, truth)).save(pred / "ulm_000000_000001_p.png")
    rows = evaluate_files(with_panoptic_things(files), ("cityscapes_ap",)).rows("cityscapes_ap")
    assert rows[rows[:, 3] > 0][:, 3].tolist() == [2**10 - 1]
    assert (
        evaluate_files(files, ("cityscapes_ap",)).rows("cityscapes_ap")[:, 3].max() == 0
    )  # void to the panoptic rules


def test_a_panoptic_truth_says_that_it_lacks_the_caravans(files):
    (note,) = with_panoptic_things(read_coco_files(*files.paths())).notes
    assert "single caravans and trailers are void in it" in note


def test_results_without_a_detection_are_noted(as_instances):
    pairs, results, _ = as_instances
    results.write_text("[]")
    (note,) = with_coco_instances(pairs, results).notes
    assert "holds no detection of these images" in note


def test_results_of_unknown_images_are_refused(as_instances, tmp_path):
    pairs, results, _ = as_instances
    entries = json.loads(results.read_text())
    entries[0]["image_id"] = 7
    results.write_text(json.dumps(entries))
    with pytest.raises(InputError, match=r"results.json: \[0\]: unknown image_id 7"):
        with_coco_instances(pairs, results)
