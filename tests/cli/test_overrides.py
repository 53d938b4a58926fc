"""`model.postprocess.key=value` and `test_time.key=value` at the verbs that use a trained model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from PIL import Image

from tfpanoptic.data.sets import nuclei
from tfpanoptic.export.saved_model import open_saved_model
from tfpanoptic.photo.pixels import read_image
from tfpanoptic.segmenter import PanopticSegmenter

# No centre is left, and without one there is no thing.
NO_CENTER = "model.postprocess.center_threshold=2.0"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def few(monkeypatch):
    """The run's validation images are two."""
    from tfpanoptic.experiment import Experiment

    dataset = nuclei.nuclei("val")
    dataset = replace(dataset, records=dataset.records[:2])
    monkeypatch.setattr(Experiment, "load_data", lambda self, split: dataset)


def test_predict_groups_by_the_changed_settings(run, tiny_run, photo, tmp_path):
    assert run("predict", tiny_run, photo, "--out", tmp_path / "own")[0] == 0
    assert np.asarray(Image.open(tmp_path / "own/panoptic/photo.png")).any()
    no_stuff = "model.postprocess.stuff_area=1000000"  # the photo has fewer pixels
    assert run("predict", tiny_run, NO_CENTER, photo, no_stuff, "--out", tmp_path / "changed")[0] == 0
    assert not np.asarray(Image.open(tmp_path / "changed/panoptic/photo.png")).any()


def test_evaluate_measures_the_changed_settings(run, tiny_run, few, tmp_path):
    options = ["--json", tmp_path / "pq.json", "--report", tmp_path / "r.html"]
    assert run("evaluate", tiny_run, NO_CENTER, *options)[0] == 0
    nucleus = json.loads((tmp_path / "pq.json").read_text())["pq"]["per_category"]["nucleus"]
    assert nucleus["tp"] == nucleus["fp"] == 0 and nucleus["fn"] > 0
    assert NO_CENTER in (tmp_path / "r.html").read_text()


def test_a_state_of_other_settings_is_not_continued(run, tiny_run, few, tmp_path):
    state = ["--state", tmp_path / "s.jsonl"]
    assert run("evaluate", tiny_run, NO_CENTER, *state)[0] == 0
    before = (tmp_path / "s.jsonl").read_bytes()
    for other in ([], ["model.postprocess.center_threshold=3.0"], [NO_CENTER, "model.postprocess.stuff_area=9"]):
        code, _, err = run("evaluate", tiny_run, *other, *state)
        assert code == 2 and "s.jsonl: holds an evaluation of other files, another model or other settings" in err
    # The same setting, written in another way, is the same model.
    assert run("evaluate", tiny_run, NO_CENTER.replace("2.0", "2"), *state)[0] == 0
    assert (tmp_path / "s.jsonl").read_bytes() == before


def test_settings_as_they_are_leave_a_state_as_it_is(run, tiny_run, few, tmp_path):
    as_it_is = yaml.safe_load((tiny_run / "config.yaml").read_text())["model"]["postprocess"]["max_centers"]
    state = ["--state", tmp_path / "s.jsonl"]
    assert run("evaluate", tiny_run, *state)[0] == 0
    assert run("evaluate", tiny_run, f"model.postprocess.max_centers={as_it_is}", *state)[0] == 0


def test_export_writes_the_changed_settings(run, tiny_run, tmp_path):
    assert run("export", tiny_run, NO_CENTER, "--out", tmp_path / "sm")[0] == 0
    image = read_image(nuclei.nuclei("val").records[0].image_path)
    assert not [s for s in open_saved_model(tmp_path / "sm")(image).segments_info if s["isthing"]]
    config = yaml.safe_load((tmp_path / "sm/assets/config.yaml").read_text())
    assert config["model"]["postprocess"]["center_threshold"] == 2.0


VIEWS = ["test_time.flip=true", "test_time.scales=[0.75,1]"]


def test_evaluate_averages_views_and_says_so(run, tiny_run, few, tmp_path):
    state = ["--state", tmp_path / "s.jsonl"]
    code, _, err = run("evaluate", tiny_run, *VIEWS, *state, "--json", tmp_path / "pq.json")
    assert code == 0 and "4 views: scales 0.75, 1, as it is and mirrored" in err
    assert json.loads((tmp_path / "pq.json").read_text())["command"][2:4] == VIEWS
    code, _, err = run("evaluate", tiny_run, *state)
    assert code == 2 and "4 views" not in err and "another model or other settings" in err


@pytest.mark.slow
def test_export_averages_views_as_the_model_does(run, tiny_run, tmp_path):
    assert run("export", tiny_run, VIEWS[0], "--out", tmp_path / "sm")[0] == 0
    image = read_image(nuclei.nuclei("val").records[0].image_path)
    with_views = PanopticSegmenter.from_preset(tiny_run, VIEWS[:1]).segment(image)
    np.testing.assert_array_equal(open_saved_model(tmp_path / "sm")(image).segmentation, with_views.segmentation)
    config = yaml.safe_load((tmp_path / "sm/assets/config.yaml").read_text())
    assert config["test_time"] == {"flip": True, "scales": [1.0]}


def test_predict_averages_views(run, tiny_run, photo, tmp_path):
    for name, overrides in (("own", []), ("views", VIEWS[:1])):
        assert run("predict", tiny_run, *overrides, photo, "--out", tmp_path / name)[0] == 0
    own, views = (np.asarray(Image.open(tmp_path / name / "panoptic/photo.png")) for name in ("own", "views"))
    assert own.shape == views.shape and (own != views).any()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.postprocess.threshold=1", "config.yaml: unknown key model.postprocess.threshold"),
        ("model.postprocess.max_centers=many", "config.yaml: model.postprocess.max_centers: "),
        ("model.postprocess.max_centers=0", "config.yaml: model.postprocess.max_centers: "),
        ("test_time.flips=true", "config.yaml: unknown key test_time.flips; known here: flip, scales"),
        ("test_time.scales=[1,1]", "config.yaml: test_time.scales: "),
        ("training.steps=3", "'training.steps=3': expected model.postprocess.key=value, test_time.key=value or "),
        ("model.backbone.name=resnet50", "'model.backbone.name=resnet50': expected model.postprocess.key=value, "),
    ],
)
@pytest.mark.parametrize("verb", ["evaluate", "predict", "export"])
def test_a_wrong_override_is_one_line_and_exit_code_2(verb, override, words, run, tiny_run, photo, tmp_path):
    out = {"evaluate": [], "predict": [photo, "--out", tmp_path / "out"], "export": ["--out", tmp_path / "out"]}[verb]
    code, _, err = run(verb, tiny_run, override, *out)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1 and words in lines[0], err
    assert not (tmp_path / "out").exists()


def test_a_limit_of_the_longer_side_shrinks_what_the_network_sees(run, tiny_run, photo, tmp_path):
    for name, override in (("own", []), ("limited", ["input.max_long_side=64"])):
        assert run("predict", tiny_run, *override, photo, "--out", tmp_path / name)[0] == 0
    own, limited = (np.asarray(Image.open(tmp_path / name / "panoptic/photo.png")) for name in ("own", "limited"))
    assert own.shape == limited.shape and (own != limited).any()


def test_an_override_without_a_run_is_told(run, tmp_path):
    code, _, err = run("evaluate", NO_CENTER, "--state", tmp_path / "s.jsonl")
    assert code == 2 and f"{NO_CENTER!r} changes a setting of a trained model; give its run folder" in err
