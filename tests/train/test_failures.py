import errno
import json
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors import safe_open

from tfpanoptic.data.coco_panoptic import write_coco_panoptic
from tfpanoptic.data.dataset import check_records, read_record_image, read_segment_map
from tfpanoptic.data.pipeline import records_of_batch, training_batches
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.experiment import Experiment
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.train import loop
from tfpanoptic.train.checkpoints import Checkpoints
from tfpanoptic.train.failures import reason

GRAPH_ERROR = """Graph execution error:

Detected at node Conv2D defined at (most recent call last):
  File "/usr/lib/python3/train.py", line 1, in <module>

OOM when allocating tensor with shape[8,256,800,1216] and type float on /device:GPU:0
\t [[{{node Conv2D}}]]
Hint: If you want to see a list of allocated tensors when OOM happens, add report_tensor_allocations_upon_oom."""


@pytest.mark.parametrize(
    "error, words",
    [
        (
            tf.errors.ResourceExhaustedError(None, None, GRAPH_ERROR),
            r"^out of memory \(OOM when .* on /device:GPU:0\); a",
        ),
        (MemoryError("Unable to allocate 9 GiB"), r"^out of memory \(Unable to allocate 9 GiB\); a smaller"),
        (
            tf.errors.ResourceExhaustedError(None, None, "run/ckpt-1; No space left on device"),
            "^run/ckpt-1; No space left",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "metrics.jsonl"), "^metrics.jsonl: No space left on device$"),
        (tf.errors.InternalError(None, None, "{{function_node __wrapped__X}} Blas failed [Op:X]"), "^Blas failed$"),
    ],
)
def test_the_cause_of_a_failure_is_one_phrase(error, words):
    assert re.search(words, reason(error)) and "\n" not in reason(error)


@pytest.fixture
def on_disk(tmp_path, tiny_settings):
    """The settings of a run on copies of six photos, which are decoded anew for every batch, and their folder."""
    dataset = nuclei("train")
    folder = tmp_path / "photos"
    folder.mkdir()
    records = dataset.records[:6]
    scenes = [(f"{i}", read_record_image(record), read_segment_map(record)) for i, record in enumerate(records)]
    write_coco_panoptic(folder, dataset.categories, scenes)
    split = {"images": "images", "annotations": "panoptic.json", "panoptic": "panoptic"}
    split = {key: str(folder / name) for key, name in split.items()}
    tiny_settings["data"] = {"name": "coco_panoptic", "train": split, "val": split}
    tiny_settings["training"] |= {"checkpoint_every": 100, "evaluate_every": 100}
    return tiny_settings, folder


def run(settings, out, **options):
    return loop.train(Experiment.from_dict(settings), out, **options)


def weights(out):
    with safe_open(str(out / "last.safetensors"), "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def assert_same_weights(one, other):
    theirs = weights(other)
    for name, value in weights(one).items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_a_file_damaged_in_the_middle_is_named_and_nothing_is_lost(on_disk, tmp_path, monkeypatch):
    """Only the images of the failing batch and of the next are looked at."""
    settings, folder = on_disk
    settings["training"]["steps"] = 200  # long enough to come to the photo again after what was read ahead
    monkeypatch.setattr(loop, "training_batches", partial(training_batches, memory_limit=0))
    seen, step_function = [], loop.make_step
    photo = folder / "images" / "3.png"

    def damaging(*arguments):
        step = step_function(*arguments)

        def then_damage(batch):
            losses = step(batch)
            photo.write_bytes(photo.read_bytes()[:2000])
            return losses

        return then_damage

    def check(dataset, *options):
        seen.extend(record.file_name for record in dataset.records)
        return check_records(dataset, *options)

    monkeypatch.setattr(loop, "make_step", damaging)
    monkeypatch.setattr(loop, "check_records", check)
    with pytest.raises(
        InputError, match=r"3\.png: .*; stopped, the latest checkpoint is of step \d+; --resume"
    ) as told:
        run(settings, tmp_path / "run")
    assert "\n" not in str(told.value) and 0 < len(seen) <= 2 * settings["training"]["batch_size"]


def test_images_that_copy_paste_lays_over_a_batch_are_looked_at_as_well(on_disk):
    settings, folder = on_disk
    settings["augment"] |= {"copy_paste": {"probability": 1}}
    settings["training"]["batch_size"] = 1
    experiment = Experiment.from_dict(settings)
    dataset = experiment.load_data("train")
    names = [record.file_name for record in records_of_batch(dataset, 1, experiment.training.seed, 4, pasted=True)]
    assert names[0] != names[1]
    photo = folder / "images" / names[1]
    photo.write_bytes(photo.read_bytes()[:2000])
    batches = training_batches(
        dataset,
        experiment.input,
        experiment.grid,
        experiment.augment,
        lambda example: {},
        1,
        experiment.training.seed,
        4,
        memory_limit=0,
    )
    with pytest.raises(InputError, match=names[1]):
        loop._next_batch(iter(batches), dataset, experiment, 5)


@pytest.mark.slow
def test_out_of_memory_in_a_step_is_told_at_once(tiny_settings, tmp_path, monkeypatch):
    """In step 4; checkpoints are of steps 2 and 4, and every file that is read again would be an error."""

    def failing(*arguments):
        step, done = step_function(*arguments), []

        def third(batch):
            done.append(1)
            if len(done) == 4:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
            return step(batch)

        return third

    step_function = loop.make_step
    monkeypatch.setattr(loop, "make_step", failing)
    monkeypatch.setattr(loop, "check_records", None)
    with pytest.raises(WorkFailed, match=r"^step 4: out of memory .*; stopped, the latest checkpoint is of step 2$"):
        run(tiny_settings, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints" / "ckpt-3.index").exists()


@pytest.mark.slow
def test_a_full_disk_loses_nothing(tiny_settings, tmp_path, monkeypatch):
    """The disk is full at the second record; once there is room, the run ends with the same bits."""
    run(tiny_settings, tmp_path / "whole")
    folder_log = loop.RunFolder.log

    def log(self, record):
        if record["step"] == 4:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.metrics))
        folder_log(self, record)

    with monkeypatch.context() as patch, pytest.raises(WorkFailed, match=r"metrics.jsonl: No space left .*--resume"):
        patch.setattr(loop.RunFolder, "log", log)
        run(tiny_settings, tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints" / "ckpt-4.index").is_file()
    run(tiny_settings, tmp_path / "run", resume=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "run")


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def save(self, checkpoint_number):
        (tmp_path / f"ckpt-{checkpoint_number}_temp").mkdir()
        (tmp_path / f"ckpt-{checkpoint_number}.index").touch()
        raise tf.errors.ResourceExhaustedError(None, None, "ckpt-2_temp/part; No space left on device")

    state = SimpleNamespace(variables=[keras.Variable(1.0)])
    checkpoints = Checkpoints(tmp_path, state, state)
    checkpoints.save(1)
    before = set(tmp_path.iterdir())
    monkeypatch.setattr(tf.train.CheckpointManager, "save", save)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        checkpoints.save(2)
    assert set(tmp_path.iterdir()) == before and checkpoints.latest_step() == 1


def test_an_evaluation_that_fails_leaves_a_checkpoint(tiny_settings, tmp_path, monkeypatch):
    def failing(*arguments, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr("tfpanoptic.train.recorder.evaluate_with_pictures", failing)
    with pytest.raises(WorkFailed, match=r"out of memory .*; stopped, the latest checkpoint is of step 3; --resume"):
        run(tiny_settings, tmp_path / "run")


def test_training_data_that_are_all_void_are_refused_before_anything_is_written(on_disk, tmp_path):
    settings, folder = on_disk
    content = json.loads((folder / "panoptic.json").read_text())
    for annotation in content["annotations"]:
        annotation["segments_info"] = []
    (folder / "panoptic.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="train: all void, none of its 6 images has a segment"):
        run(settings, tmp_path / "run")
    with pytest.raises(InputError, match="all void"):
        experiment = Experiment.from_dict(settings)
        PanopticSegmenter(experiment, experiment.load_categories()).batches("train")
    assert not (tmp_path / "run").exists()


def test_void_images_among_others_are_counted():
    dataset = nuclei("train")
    void = replace(dataset.records[0], segments=dataset.records[0].segments[:0])
    assert dataset.void_images() == []
    some = replace(dataset, records=(void, *dataset.records[:5]))
    assert some.void_images() == ["train: 1 of 6 images are all void, without a segment"]
