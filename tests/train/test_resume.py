import json
import shutil

import pytest
import yaml

from tests.train.test_failures import assert_same_weights, on_disk, run  # noqa: F401
from tfpanoptic.data.dataset_contents import contents_fingerprint
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.run_folder import RunFolder


@pytest.fixture
def half(tiny_settings, tmp_path):
    """A run of three steps under a constant rate that can be lengthened, its settings and its folder."""
    tiny_settings["training"] |= {"steps": 3, "schedule": {"name": "constant"}, "evaluate_every": 100}
    run(tiny_settings, tmp_path / "run")
    return tiny_settings, tmp_path / "run"


@pytest.mark.slow
def test_a_run_is_lengthened_and_its_intervals_change(half, tmp_path, capsys):
    """It ends with the bits of a run that had them from the start."""
    settings, folder = half
    settings["training"] |= {"steps": 5, "log_every": 1, "checkpoint_every": 1, "evaluate_every": 4}
    capsys.readouterr()
    run(settings, folder, resume=True)
    lines = capsys.readouterr().err.splitlines()
    assert "changed: training.log_every is 2 there and 1 here" in lines and "resumed after step 3" in lines
    run(settings, tmp_path / "whole")
    assert_same_weights(folder, tmp_path / "whole")
    assert RunFolder(folder).load_experiment().training.steps == 5
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if "pq" in record] == [3, 4, 5]


def test_a_run_at_its_end_says_so_and_stays_as_it_is(tiny_settings, tiny_run, capsys):
    before = {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}
    run(tiny_settings, tiny_run, resume=True)
    line = capsys.readouterr().err
    assert line.startswith(f"{tiny_run}: already at step 6 of 6; the schedule poly ends here") and line.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")} == before


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_a_schedule_that_depends_on_the_steps_cannot_be_lengthened(tiny_settings, tmp_path, schedule):
    tiny_settings["training"]["schedule"] = {"name": schedule}
    RunFolder(tmp_path / "run").create(Experiment.from_dict(tiny_settings))
    tiny_settings["training"]["steps"] = 7
    words = (
        f"training.steps is 6 there and 7 here; the schedule {schedule} .*training.initial_weights=.*last.safetensors"
    )
    with pytest.raises(InputError, match=words):
        run(tiny_settings, tmp_path / "run", resume=True)


@pytest.mark.parametrize("key, value", [("seed", 1), ("evaluate_images", 2), ("ema", 0.5), ("accumulate", 2)])
def test_settings_that_change_the_outcome_are_refused(tiny_settings, tmp_path, key, value):
    RunFolder(tmp_path / "run").create(Experiment.from_dict(tiny_settings))
    tiny_settings["training"] |= {key: value, "log_every": 1}
    with pytest.raises(InputError, match=f"cannot resume with other settings: training.{key} is [^,]*$"):
        run(tiny_settings, tmp_path / "run", resume=True)


def moved(settings, folder, place):
    shutil.copytree(folder, place)
    return json.loads(json.dumps(settings).replace(str(folder), str(place)))


@pytest.mark.slow
def test_data_may_lie_under_another_path(on_disk, tmp_path):  # noqa: F811
    settings, folder = on_disk
    settings["training"] |= {"steps": 2, "schedule": {"name": "constant"}}
    run(settings, tmp_path / "run")
    there = moved(settings, folder, tmp_path / "moved")
    there["training"]["steps"] = 3
    run(there, tmp_path / "run", resume=True)
    assert RunFolder(tmp_path / "run").load_experiment().data.train.images == str(tmp_path / "moved" / "images")


@pytest.mark.parametrize("what", ["annotations", "photos"])
def test_other_data_under_another_path_are_refused(on_disk, tmp_path, what):  # noqa: F811
    settings, folder = on_disk
    experiment, begun = Experiment.from_dict(settings), RunFolder(tmp_path / "run")
    begun.create(experiment)
    begun.data.write_text(json.dumps({s: contents_fingerprint(experiment.load_data(s)) for s in ("train", "val")}))
    there = moved(settings, folder, tmp_path / "moved")
    if what == "photos":
        shutil.copy(folder / "images" / "1.png", tmp_path / "moved" / "images" / "0.png")
    else:
        content = json.loads((folder / "panoptic.json").read_text())
        content["annotations"][0]["segments_info"][0]["iscrowd"] = 1
        (tmp_path / "moved" / "panoptic.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="cannot resume with other data: data.train has other images, annotations"):
        run(there, tmp_path / "run", resume=True)


def test_a_run_finds_its_data_from_any_folder(on_disk, tmp_path, monkeypatch):  # noqa: F811
    """The configuration names them from its own folder, and the run is evaluated from a third one."""
    settings, folder = on_disk
    for split in ("train", "val"):
        settings["data"][split] = {"images": "images", "annotations": "panoptic.json", "panoptic": "panoptic"}
    (folder / "c.yaml").write_text(yaml.safe_dump(settings))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    RunFolder("run").create(Experiment.from_yaml(folder / "c.yaml"))
    monkeypatch.chdir(tmp_path)
    assert len(RunFolder(elsewhere / "run").load_experiment().load_data("val")) == 6
