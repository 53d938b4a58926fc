import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from safetensors import safe_open

from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.experiment import Experiment
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.train.loop import train


def records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(path: Path) -> dict[str, np.ndarray]:
    with safe_open(str(path), "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_a_run_leaves_everything_it_promises(tiny_run):
    names = {path.name for path in tiny_run.iterdir()}
    assert names == {
        "config.yaml",
        "categories.json",
        "environment.json",
        "data.json",
        "images.json",
        "metrics.jsonl",
        "checkpoints",
        "best.safetensors",
        "best.json",
        "last.safetensors",
        "pictures",
    }
    assert list((tiny_run / "pictures").glob("*.png"))


def test_the_logged_terms_add_up_to_the_loss(tiny_run):
    losses = [record for record in records(tiny_run) if "loss" in record]
    assert [record["step"] for record in losses] == [1, 2, 3, 4, 6]
    for record in losses:
        assert record["loss"] == pytest.approx(record["semantic"] + record["center"] + record["offset"], rel=1e-5)


def test_pq_is_logged_at_every_evaluation(tiny_run):
    assert [record["step"] for record in records(tiny_run) if "pq" in record] == [3, 6]


def test_a_run_that_exists_is_not_touched(tiny_run, tiny_experiment):
    before = (tiny_run / "last.safetensors").read_bytes()
    with pytest.raises(InputError, match="--resume to go on or --overwrite"):
        train(tiny_experiment, tiny_run)
    assert (tiny_run / "last.safetensors").read_bytes() == before


def test_a_folder_that_is_no_run_is_never_overwritten(tiny_experiment, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something else"):
        train(tiny_experiment, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def files_and_times(run: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in run.rglob("*")}


@pytest.mark.parametrize(
    "group, key, value, words",
    [
        ("model", "backbone", {"name": "resnet9"}, "model.backbone.name: .*found 'resnet9'"),
        ("training", "initial_weights", "none.safetensors", "none.safetensors: no such file"),
        ("training", "optimizer", {"groups": [{"match": "^nowhere/"}]}, r"training.optimizer.groups.0.match"),
    ],
)
def test_what_is_wrong_is_found_before_an_older_run_is_touched(tiny_settings, tiny_run, group, key, value, words):
    before = files_and_times(tiny_run)
    tiny_settings[group][key] = value
    with pytest.raises(InputError, match=words):
        train(Experiment.from_dict(tiny_settings), tiny_run, overwrite=True)
    assert files_and_times(tiny_run) == before


@pytest.mark.slow
def test_an_evaluation_that_was_interrupted_is_caught_up(tiny_experiment, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tfpanoptic.train.recorder.evaluate_with_pictures", interrupted)
        train(tiny_experiment, tmp_path / "run")
    train(tiny_experiment, tmp_path / "run", resume=True)
    # Interrupted in the evaluation after step 3: the checkpoint is of step 3, and the evaluation comes first.
    assert [record["step"] for record in records(tmp_path / "run") if "pq" in record] == [3, 6]


def test_a_run_says_which_initial_weights_do_not_fit(tiny_settings, tiny_run, tmp_path, monkeypatch, capsys):
    """The tiny run has no channel for void: of its semantic head's last layer, kernel and bias, void stays new."""

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    path = str(tiny_run / "last.safetensors")
    tiny_settings["training"] |= {"steps": 1, "initial_weights": path, "initial_weights_strict": False}
    tiny_settings["model"]["void_channel"] = True
    monkeypatch.setattr(PanopticSegmenter, "loss_shares", interrupted)  # in the first step: said before it
    with pytest.raises(KeyboardInterrupt):
        train(Experiment.from_dict(tiny_settings), tmp_path / "run")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"starts from {path}")]
    assert len(lines) == 1 and "2 in part (semantic_head" in lines[0]
    (kept,) = json.loads((tmp_path / "run" / "initial_weights.json").read_text())
    assert kept["partly"] == ["semantic_head/predict/bias", "semantic_head/predict/kernel"]
    assert len(kept["loaded"]) == len(weights(tiny_run / "last.safetensors")) - 2
    assert kept["left"] == kept["unused"] == []


def test_resume_and_overwrite_exclude_each_other(tiny_experiment, tiny_run):
    with pytest.raises(InputError, match="exclude each other"):
        train(tiny_experiment, tiny_run, resume=True, overwrite=True)


def test_resuming_with_other_settings_is_refused(tiny_run, tiny_settings):
    tiny_settings["training"]["batch_size"] = 4
    with pytest.raises(InputError, match="training.batch_size is 2 there and 4 here"):
        train(Experiment.from_dict(tiny_settings), tiny_run, resume=True)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(tiny_settings, tmp_path):
    tiny_settings["training"]["optimizer"] = {"name": "sgd", "learning_rate": 1e30}
    with pytest.raises(WorkFailed, match=r"step \d: loss term \w+ is (nan|inf)"):
        train(Experiment.from_dict(tiny_settings), tmp_path / "run")


KILLED = """
import sys
from tfpanoptic.experiment import Experiment
from tfpanoptic.train.loop import train
train(Experiment.from_yaml(sys.argv[1]), sys.argv[2], resume=len(sys.argv) > 3)
"""


def start(config: Path, run: Path, *resume: str) -> subprocess.Popen:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen([sys.executable, "-c", KILLED, str(config), str(run), *resume], env=environment)


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_killed_and_resumed_ends_with_the_same_bits(kills, tiny_settings, tmp_path):
    """Dropout, moving average, momentum: everything that has state is on. SIGKILL comes at random steps."""
    tiny_settings["model"]["aspp_dropout"] = 0.5
    steps = 16 * kills
    tiny_settings["training"] |= {"steps": steps, "ema": 0.9, "checkpoint_every": 3, "evaluate_every": 8}
    tiny_settings["training"]["log_every"] = 1
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(tiny_settings))
    assert start(config, tmp_path / "whole").wait() == 0

    random = np.random.default_rng(int(time.time()))
    killed_at = []
    for attempt in range(kills):
        process = start(config, tmp_path / "killed", *["--resume"] * (attempt > 0))
        goal = 16 * attempt + int(random.integers(4, 14))
        metrics = tmp_path / "killed" / "metrics.jsonl"
        while process.poll() is None and not (metrics.exists() and f'"step": {goal},' in metrics.read_text()):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed_at.append(goal)
    assert not (tmp_path / "killed" / "last.safetensors").exists(), f"ended before it was killed at {killed_at}"
    assert start(config, tmp_path / "killed", "--resume").wait() == 0

    whole, resumed = (weights(tmp_path / name / "last.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=f"{name}, killed at {killed_at}")
    for key in ("loss", "pq"):
        assert [r[key] for r in records(tmp_path / "whole") if key in r] == [
            r[key] for r in records(tmp_path / "killed") if key in r
        ]


def test_fit_has_the_gradients_of_the_loop(tiny_experiment):
    """Plain SGD with rate 1: one step moves every weight by its gradient."""
    from tfpanoptic.settings.training import TrainingConfig
    from tfpanoptic.train.updates import Updates

    categories = tiny_experiment.load_categories()
    start, fitted = (PanopticSegmenter(tiny_experiment, categories) for _ in range(2))
    fitted.set_weights(start.get_weights())
    before = start.get_weights()
    batches = start.batches("train").take(1)

    import keras

    fitted.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)
    fitted.fit(batches, verbose=0)

    sgd = {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}
    config = TrainingConfig.model_validate({"optimizer": sgd, "schedule": {"name": "constant"}})
    updates = Updates(config, start.trainable_variables)
    loss_weights = tiny_experiment.model.loss_weights.model_dump()
    for batch in batches:
        with tf.GradientTape() as tape:
            outputs = start(batch, training=True)
            experiment = start.experiment
            terms = experiment.architecture.loss(outputs, batch["targets"], experiment.model, start.categories)
            loss = tf.add_n([loss_weights[k] * tf.reduce_sum(v) / 2 for k, v in terms.items()])
        updates.apply(tape.gradient(loss, updates.trained))
    moved = 0.0
    for name, ours, theirs, old in zip(
        [w.path for w in start.weights], start.get_weights(), fitted.get_weights(), before
    ):
        moved = max(moved, float(np.abs(ours - old).max()))
        np.testing.assert_allclose(theirs, ours, atol=1e-5, rtol=1e-4, err_msg=name)
    assert moved > 0.01
