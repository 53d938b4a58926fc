"""A run in remapped categories, whose best weights other images choose than those that are reported."""

import contextlib
import copy
import io
import json
import shutil

import numpy as np
import pytest
from safetensors import safe_open

from tests.conftest import TINY
from tfpanoptic.data.coco_panoptic import write_coco_panoptic
from tfpanoptic.data.dataset import read_record_image, read_segment_map
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.options import EvaluateOptions
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.experiment import Experiment
from tfpanoptic.predict.evaluate import evaluate_run, truth_of_run
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.train import loop

REMAP = {"categories": {"cell": ["nucleus"]}, "drop": ["background"], "void": "rest"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six photos in the categories nucleus and background, in COCO format."""
    folder = tmp_path_factory.mktemp("photos")
    dataset = nuclei("train")
    scenes = [(r.image_path.stem, read_record_image(r), read_segment_map(r)) for r in dataset.records[:6]]
    write_coco_panoptic(folder, dataset.categories, scenes)
    return folder


def settings_of(photos, **data):
    """Settings of a run on these, without a validation part."""
    settings = copy.deepcopy(TINY)
    settings["training"] |= {"steps": 2, "evaluate_every": 1}
    split = {
        "images": str(photos / "images"),
        "annotations": str(photos / "panoptic.json"),
        "panoptic": str(photos / "panoptic"),
    }
    settings["data"] = {"name": "coco_panoptic", "train": split, "val_share": 0.3, "remap": REMAP, **data}
    return settings


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    """The folder of such a run, what it said, and the weights that it returned."""
    folder, told = tmp_path_factory.mktemp("runs") / "run", io.StringIO()
    with contextlib.redirect_stderr(told):
        segmenter = loop.train(Experiment.from_dict(settings_of(photos)), folder)
    return folder, told.getvalue().splitlines(), {w.path: w.numpy() for w in segmenter.trainable_weights}


def records(folder, key):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if key in line]


def test_every_image_is_for_one_thing(photos, finished):
    folder, lines, _ = finished
    images = json.loads((folder / "images.json").read_text())
    assert {split: part["use"] for split, part in images.items()} == {
        "train": "train",
        "select": "choose the best weights",
        "val": "are reported",
    }
    names = [name for part in images.values() for name in part["images"]]
    assert sorted(names) == sorted(path.name for path in (photos / "images").iterdir())
    counts = {split: len(part["images"]) for split, part in images.items()}
    assert f"images: {counts['train']} train (train), {counts['select']} choose the best weights (select)" in lines[0]


def test_the_run_keeps_the_remapped_categories(finished):
    assert [(c.name, c.isthing) for c in RunFolder(finished[0]).load_categories()] == [("cell", True), ("rest", False)]


def test_what_is_reported_chose_nothing_and_is_what_evaluate_gives(finished):
    folder, lines, _ = finished
    (reported,) = records(folder, "reported")
    step = RunFolder(folder).best_step()
    assert reported["step"] == step and [record["step"] for record in records(folder, "pq")] == [1, 2]
    evaluation, _ = evaluate_run(EvaluateOptions(run=folder))
    assert sorted(evaluation.images) == sorted(json.loads((folder / "images.json").read_text())["val"]["images"])
    assert summarize(evaluation)["pq"] == reported["reported"]
    assert lines[-1].startswith("val, which chose nothing: PQ ") and lines[-1].endswith(f"the weights of step {step}")


def test_the_report_leaves_the_last_weights(finished):
    with safe_open(str(finished[0] / "last.safetensors"), "numpy") as file:
        for path, values in finished[2].items():
            np.testing.assert_array_equal(values, file.get_tensor(path))


def test_truth_in_the_original_categories_is_remapped(photos, finished, capsys):
    """All six photos, as files: those of the three parts are among them."""
    files = (photos / "images", photos / "panoptic.json", photos / "panoptic")
    run = RunFolder(finished[0])
    experiment, categories = run.load_experiment(), run.load_categories()
    dataset = truth_of_run(run.config, experiment, categories, *files)
    assert f"{files[1]}: remapped by data.remap" in capsys.readouterr().err
    assert dataset.categories == categories and not dataset.unmatched()
    truth = {record.file_name: read_segment_map(record) for record in dataset.records}
    for record in experiment.load_data("val").records:
        own = read_segment_map(record)
        np.testing.assert_array_equal(truth[record.file_name].ids, own.ids)
        np.testing.assert_array_equal(truth[record.file_name].segments, own.segments)


@pytest.mark.parametrize(
    "changed", [{"remap": {**REMAP, "void": None}}, {"val_share": 0.5}, {"share_seed": 3}], ids=lambda c: next(iter(c))
)
def test_a_run_is_not_resumed_with_other_categories_or_parts(photos, finished, changed):
    with pytest.raises(InputError, match=r"cannot resume with other data: data\.\w+ has other images, annotations or"):
        loop.train(Experiment.from_dict(settings_of(photos, **changed)), finished[0], resume=True)


@pytest.mark.slow
def test_a_run_finds_its_parts_under_another_path(photos, finished, tmp_path, capsys):
    there = shutil.copytree(photos, tmp_path / "moved")
    loop.train(Experiment.from_dict(settings_of(there)), finished[0], resume=True)
    assert "already at step 2 of 2" in capsys.readouterr().err
