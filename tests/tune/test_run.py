import json

import numpy as np
import pytest

from tests.tune.conftest import ALL_TOO_SMALL
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.state import Evaluation, ImageCounts
from tfpanoptic.experiment import Experiment
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.tune import run as tuning
from tfpanoptic.tune.options import TuneOptions
from tfpanoptic.tune.run import Search, tune_run

STUFF_AREA = "model.postprocess.stuff_area"


@pytest.fixture(scope="module")
def evaluations(background_run):
    """Counters of six images in which background is matched, and in which it is missed."""
    dataset = RunFolder(background_run).load_experiment().load_data("val")
    found = []
    for matched in (1.0, 0.0):
        rows = {"pq": np.array([[2.0, 0.8 * matched, matched, 0, 1 - matched]])}
        images = {r.file_name: ImageCounts(r.file_name, rows) for r in dataset.records[:6]}
        found.append(Evaluation(dataset.categories, ("pq",), images=images))
    return found


def searched(monkeypatch, found: Evaluation, evaluations) -> None:
    """In place of the work: a search that found no area to be best, with these counters."""

    def search(run, trials, start, values, tuned_on):
        return Search({STUFF_AREA: 0}, evaluations[1], found, {}, 2)

    monkeypatch.setattr(tuning, "Trials", lambda *arguments: None)
    monkeypatch.setattr(tuning, "_segmenter", lambda *arguments: None)
    monkeypatch.setattr(tuning, "_search", search)


def test_images_that_are_reported_choose_no_setting(tiny_settings, tmp_path):
    tiny_settings["data"] = {"name": "nuclei", "select_share": 0.1}
    experiment = Experiment.from_dict(tiny_settings)
    run = RunFolder(tmp_path)
    dataset = tuning._dataset(TuneOptions(run=tmp_path), run, experiment, experiment.load_categories())
    assert dataset.split == "select" and len(dataset) < 40


@pytest.mark.parametrize("options, written", [({}, False), ({"force": True}, True)])
def test_settings_that_gain_nothing_on_what_is_held_back_are_written_by_force_alone(
    options, written, untuned, photos, evaluations, monkeypatch
):
    searched(monkeypatch, evaluations[1], evaluations)
    result = tune_run(TuneOptions(run=untuned, sweeps=(f"{STUFF_AREA}=0",), **photos, **options))
    assert result["held_back"]["gain"] == 0 and result["settings"][STUFF_AREA] == {"from": ALL_TOO_SMALL, "to": 0}
    assert (result["written"] is not None) == written == RunFolder(untuned).tuned.is_file()


def test_a_dry_run_writes_nothing(untuned, photos, evaluations, monkeypatch):
    searched(monkeypatch, evaluations[0], evaluations)
    result = tune_run(TuneOptions(run=untuned, sweeps=(f"{STUFF_AREA}=0",), dry_run=True, **photos))
    # Background is the only category with segments here.
    assert result["held_back"]["gain"] == pytest.approx(0.8) and not RunFolder(untuned).tuned.exists()


def test_what_is_written_says_on_what_it_was_found(untuned, photos, evaluations, monkeypatch):
    searched(monkeypatch, evaluations[0], evaluations)
    before = sorted(untuned.iterdir())
    result = tune_run(TuneOptions(run=untuned, sweeps=(f"{STUFF_AREA}=0",), **photos))
    assert sorted(untuned.iterdir()) == sorted([*before, untuned / "tuned.json"])
    tuned = RunFolder(untuned).load_tuned()
    assert tuned.settings == {STUFF_AREA: 0} and tuned.trained == {STUFF_AREA: ALL_TOO_SMALL}
    assert tuned.step == json.loads((untuned / "best.json").read_text())["step"]
    assert tuned.found["held_back"] == result["held_back"] and tuned.found["images"] == 6


def test_the_halves_are_chosen_by_the_seed_and_share_no_image(untuned):
    dataset = RunFolder(untuned).load_experiment().load_data("val")
    part, halves = tuning._halves(dataset, None, 0)
    assert part.records == dataset.records and sorted([*halves[0], *halves[1]]) == list(range(40))
    assert len(halves[0]) == len(halves[1]) == 20 and halves == tuning._halves(dataset, None, 0)[1]
    assert halves != tuning._halves(dataset, None, 1)[1]
    part, halves = tuning._halves(dataset, 7, 0)
    assert len(part) == 7 and [len(half) for half in halves] == [4, 3]
    assert {r.file_name for r in part.records} < {r.file_name for r in dataset.records}


@pytest.mark.parametrize(
    "options, words",
    [
        ({"sweeps": ("model.postprocess.max_centers=3",)}, "max_centers: not a setting to tune of panoptic_deeplab"),
        ({"sweeps": ("training.steps=3",)}, r"training\.steps: not a setting to tune"),
        ({"sweeps": (f"{STUFF_AREA}=-1,0",)}, "stuff_area: Input should be greater than or equal to 0, found -1"),
        ({"sweeps": (f"{STUFF_AREA}=",)}, "expected key.path=value,value,... with the values to try"),
        ({"sweeps": (f"{STUFF_AREA}=0", f"{STUFF_AREA}=5")}, "stuff_area=5: a setting is given twice"),
        ({"data": "nowhere"}, "nowhere: no such file or folder"),
        ({"gt": "gt.json"}, "--images, --gt and --gt-dir belong together"),
        ({"data": "nuclei", "gt": "gt.json"}, "leave --images, --gt and --gt-dir out"),
        ({"json_file": "environment.json", "dry_run": True}, "environment.json: is read by this tuning"),
        ({"limit": 3}, "3 images with truth are too few"),
        ({"run": "panoptic_fpn_resnet50_coco"}, "a published model; tune a run folder of your own"),
        ({"run": "nowhere"}, "nowhere: no such folder; expected the run folder"),
    ],
)
def test_wrong_options_are_told_before_the_work(options, words, untuned):
    if "json_file" in options:
        options = {**options, "json_file": untuned / options["json_file"]}
    with pytest.raises(InputError, match=words):
        tune_run(TuneOptions(**{"run": untuned, **options}))


def test_values_are_read_as_the_configuration_reads_them(untuned):
    run = RunFolder(untuned)
    experiment = run.trained_experiment()
    tried = tuning.values_to_try(run, experiment, ("model.postprocess.nms_kernel=[9, 5.0, 9]", f"{STUFF_AREA}=0"))
    assert tried == {"model.postprocess.nms_kernel": (5, 7, 9), STUFF_AREA: (0, ALL_TOO_SMALL)}
    own = tuning.values_to_try(run, experiment, ())
    assert list(own) == [f"model.postprocess.{name}" for name in experiment.architecture.tunable]
    assert 7 in own["model.postprocess.nms_kernel"] and 0.001 in own["model.postprocess.center_threshold"]
