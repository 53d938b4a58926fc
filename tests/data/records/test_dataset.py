"""Records as a dataset of a configuration, against the dataset of the files that they were made from."""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.data.coco_panoptic import CocoPanopticConfig, load_coco_panoptic
from tfpanoptic.data.dataset import read_segment_map
from tfpanoptic.data.dataset_contents import contents_fingerprint
from tfpanoptic.data.pipeline import training_batches, validation_batches
from tfpanoptic.data.records.dataset import RecordsConfig, load_records, records_categories
from tfpanoptic.data.records.tfds import TfdsConfig, load_tfds
from tfpanoptic.data.records.write import write_records
from tfpanoptic.data.segment_png import read_segment_ids
from tfpanoptic.doctor.ceiling import ceiling
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.dataset import evaluate_dataset
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.experiment import Experiment
from tfpanoptic.settings.augmentation import AugmentConfig
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import Grid
from tfpanoptic.train.loop import train

INPUT, GRID = InputConfig(long_side=33), Grid(16, plus_one=True, align_corners=True)


@pytest.fixture
def both(several, tmp_path):
    """Configurations of the files and of the records, training and validation from the same ones."""
    for entry in several.content["annotations"]:
        ids = read_segment_ids(several.panoptic / entry["file_name"])
        for segment in entry["segments_info"]:
            segment["area"] = int((ids == segment["id"]).sum())
    write_records(several.read(), tmp_path / "records", 3)
    part = {"images": str(several.images), "annotations": str(several.json), "panoptic": str(several.panoptic)}
    folder = str(tmp_path / "records")
    return CocoPanopticConfig(train=part, val=part), RecordsConfig(train=folder, val=folder)


@pytest.fixture
def datasets(both):
    return load_coco_panoptic(both[0], "val"), load_records(both[1], "val")


def test_batches_are_those_of_the_files(datasets):
    """Each image is read from its shard when it is wanted."""
    augment = AugmentConfig(crop=(17, 33), min_scale=0.5, max_scale=2)
    files, records = (
        [
            *itertools.islice(
                training_batches(
                    dataset, INPUT, GRID, augment, lambda example: {}, 4, 5, 2, memory_limit=0
                ).as_numpy_iterator(),
                4,
            ),
            *validation_batches(dataset, INPUT, GRID, lambda example: {}, 3, memory_limit=0)
            .as_numpy_iterator(),
        ]
        for dataset in datasets
    )  # fmt: skip
    assert len(files) == 4 + 3
    tf.nest.map_structure(np.testing.assert_array_equal, records, files)


def test_truth_against_the_files_is_perfect(datasets):
    files, records = datasets
    predictions = {record.file_name: read_segment_map(record) for record in files.records}
    pq = summarize(evaluate_dataset(records, files.categories, lambda record: predictions[record.file_name]))["pq"]
    assert pq["all"]["pq"] == 1.0


@pytest.mark.slow
def test_the_ceiling_is_that_of_the_files(both, tiny_settings):
    found = []
    for config in both:
        experiment = Experiment.from_dict({**tiny_settings, "data": config.model_dump()})
        data = experiment.load_data("val")
        found.append(ceiling(data, experiment.architecture, experiment.model, experiment.input, limit=2, cost_images=0))
    assert found[0]["pq"] == found[1]["pq"] and found[1]["images"] == 2


@pytest.mark.slow
def test_training_is_that_on_the_files(both, tiny_settings, tmp_path):
    lines = []
    for number, config in enumerate(both):
        settings = {**tiny_settings, "data": config.model_dump()}
        train(Experiment.from_dict(settings), tmp_path / f"run{number}")
        entries = map(json.loads, (tmp_path / f"run{number}" / "metrics.jsonl").read_text().splitlines())
        lines.append([{k: v for k, v in entry.items() if k == "step" or "loss" in k or "pq" in k} for entry in entries])
    assert lines[0] == lines[1] and any("loss" in entry for entry in lines[0])


def test_relative_folders_start_at_the_configuration(both, tiny_settings, tmp_path, monkeypatch):
    data = {"name": "records", "train": "records", "val": "records"}
    (tmp_path / "config.yaml").write_text(json.dumps({**tiny_settings, "data": data}))
    monkeypatch.chdir("/")
    assert len(Experiment.from_yaml(tmp_path / "config.yaml").load_data("val")) == 7


def test_an_evaluation_names_the_image_in_the_shard(datasets):
    """Whose area makes an IoU above 1."""
    _, records = datasets
    image = records.records[3]
    image.segments["area"][0] = 1
    with pytest.raises(
        InputError, match=f"{image.image_path.name}, image 3.png: truth gives segment 70000 an area of 1"
    ):
        evaluate_dataset(records, records.categories, read_segment_map)


def test_the_fingerprint_changes_with_the_records(both, several, tmp_path):
    before = contents_fingerprint(load_records(both[1], "val"))
    several.content["images"] = several.content["images"][:-1]
    several.content["annotations"] = several.content["annotations"][:-1]
    write_records(several.read(), tmp_path / "records", 3, overwrite=True)
    assert contents_fingerprint(load_records(both[1], "val")) != before


def test_categories_of_a_file_are_matched_by_name(both, tmp_path):
    """Those that the records lack are left out of the evaluation; those that it lacks are named."""
    table = [{"id": 1, "name": name, "isthing": thing} for name, thing in (("sky", 0), ("ground", 0), ("cell", 1))]
    path = tmp_path / "categories.json"
    path.write_text(json.dumps([{**entry, "id": number} for number, entry in enumerate(table, 1)]))
    config = both[1].model_copy(update={"categories": str(path)})
    dataset = load_records(config, "train")
    assert [c.name for c in dataset.categories] == ["sky", "ground", "cell"] and dataset.table_only == ("sky",)
    assert records_categories(config) == dataset.categories
    assert dataset.records[0].segments["category"].tolist() == [3, 2, 3]
    path.write_text(json.dumps(table[:2]).replace('"id": 1, "name": "sky"', '"id": 2, "name": "sky"'))
    with pytest.raises(InputError, match=r"data\.categories: .*categories\.json lacks the categories cell of "):
        load_records(config, "train")
    assert load_records(config, "val").truth_only == ("cell",)


def spoil(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: images[2].pop("offset"), "image 2.png: no place in a shard"),
        (lambda images: images[2].update(shard=3), "image 2.png: no place in a shard .shard must be an integer 0..2"),
        (lambda images: images.pop(2), "annotation of image id 102, not in images"),
    ],
)
def test_an_annotation_that_does_not_fit_is_named(both, tmp_path, change, words):
    folder = tmp_path / "records"
    spoil(folder / "panoptic.json", lambda content: change(content["images"]))
    size = (folder / "panoptic.json").stat().st_size
    spoil(folder / "manifest.json", lambda content: content["annotations"].update(bytes=size))
    with pytest.raises(InputError, match=f"panoptic.json: .*{words}"):
        load_records(both[1], "val")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content["shards"][0].update(name="../x"), "name must be that of a file in the folder"),
        (lambda content: content["shards"][0].pop("bytes"), "lacks bytes"),
        (lambda content: content.pop("shards"), "lacks shards"),
        (lambda content: content.update(images=8), "7 images, but the manifest says 8"),
    ],
)
def test_a_manifest_that_does_not_fit_is_named(both, tmp_path, change, words):
    spoil(tmp_path / "records" / "manifest.json", change)
    with pytest.raises(InputError, match=words):
        load_records(both[1], "val")


def test_a_folder_that_is_not_there_is_named(both):
    config = both[1].model_copy(update={"val": "/nowhere"})
    with pytest.raises(InputError, match=r"data\.val: /nowhere: no such folder; expected one with TFRecord shards"):
        load_records(config, "val")


def test_a_set_without_a_validation_part_says_so(both):
    with pytest.raises(InputError, match=r"data\.val: the set has no validation part; .* data\.val_share"):
        load_records(both[1].model_copy(update={"val": None}), "val")


def test_tensorflow_datasets_that_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match=r"data\.name: tfds needs tensorflow-datasets: pip install 'tfpanoptic.tfds.'"):
        load_tfds(TfdsConfig(data_dir=str(tmp_path)), "train")
