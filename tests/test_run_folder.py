import json

import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.settings.tuned import TunedSettings


class Weights:
    """Writes its step in place of weights."""

    def __init__(self, step):
        self.step = step

    def save_weights_file(self, path):
        path.write_text(str(self.step))


@pytest.mark.parametrize(
    "scores, kept",
    [
        ((0.0, 0.0, 0.0), 3),  # of equal ones the latest
        ((None, None, None), 3),  # undefined: the last ones
        ((0.2, 0.5, 0.5), 3),
        ((0.2, 0.5, 0.4), 2),
        ((None, 0.0, None), 2),  # any score is more than none
    ],
)
def test_the_latest_of_the_best_weights_are_kept(tmp_path, scores, kept):
    folder = RunFolder(tmp_path)
    said = [folder.keep_best(step, score, Weights(step)) for step, score in enumerate(scores, start=1)]
    assert json.loads(folder.best_score.read_text()) == {"step": kept, "pq": scores[kept - 1]}
    assert folder.best_weights.read_text() == str(kept)
    assert [bool(words) for words in said] == [True, *said_of(scores)]
    assert all("undefined" in words for words, score in zip(said, scores) if words and score is None)


def said_of(scores):
    """Whether the weights of each step after the first are kept: none before were better."""
    ranks = [-1 if score is None else score for score in scores]
    return [ranks[i] >= max(ranks[:i]) for i in range(1, len(ranks))]


def test_a_best_score_of_an_older_version_that_was_undefined_is_passed(tmp_path):
    folder = RunFolder(tmp_path)
    folder.best_score.write_text('{"step": 1, "pq": -1.0}')
    assert folder.keep_best(2, None, Weights(2)) and json.loads(folder.best_score.read_text()) == {
        "step": 2,
        "pq": None,
    }


@pytest.fixture
def tuned(tiny_experiment, tmp_path):
    """A run folder of configuration and tuned settings alone."""
    folder = RunFolder(tmp_path)
    folder.config.write_text(tiny_experiment.to_yaml())
    folder.best_score.write_text(json.dumps({"step": 6, "pq": 0.5}))
    folder.tuned.write_text(
        TunedSettings(
            {"model.postprocess.nms_kernel": 13, "model.postprocess.stuff_area": 5},
            {"model.postprocess.nms_kernel": 7, "model.postprocess.stuff_area": 0},
            step=6,
        ).to_json()
    )
    return folder


def test_tuned_settings_hold_before_overrides_and_not_in_training(tuned):
    nms, area = "model.postprocess.nms_kernel=3", "model.postprocess.stuff_area=5"
    assert tuned.load_experiment([nms]) == tuned.trained_experiment([nms, area])
    assert tuned.load_experiment().model.postprocess.nms_kernel == 13
    assert tuned.trained_experiment().model.postprocess.nms_kernel == 7


def test_a_tuned_run_is_resumed_with_the_settings_of_its_start(tuned, tiny_experiment):
    tuned.checkpoints.mkdir()
    assert tuned.require_usable(tiny_experiment, resume=True, overwrite=False) == []


def test_a_person_is_told_which_tuned_settings_hold_and_whether_they_are_of_these_weights(tuned):
    (line,) = tuned.tuned_lines(["model.postprocess.stuff_area=9"])
    assert line == f"tuned settings hold: nms_kernel 7 -> 13 ({tuned.tuned})"
    tuned.best_score.write_text(json.dumps({"step": 9, "pq": 0.6}))
    assert "of step 6, and the best are now of 9" in tuned.tuned_lines()[1]
    assert RunFolder(tuned.path / "other").tuned_lines() == []


def test_tuned_settings_that_do_not_fit_are_named_with_their_file(tuned):
    tuned.tuned.write_text(TunedSettings({"model.postprocess.detection_score": 0.5}, {}).to_json())
    with pytest.raises(InputError, match=r"tuned\.json: .*unknown key model\.postprocess\.detection_score.*--reset"):
        tuned.load_experiment()


def test_the_licence_is_what_the_publisher_tells_or_unknown(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.licence() == "unknown"
    reports = [{"path": "ImageNet weights of resnet50"}, {"path": "/home/me/cache/some_preset/best.safetensors"}]
    folder.initial_weights.write_text(json.dumps(reports))
    started = "ImageNet weights of resnet50 and some_preset/best.safetensors"
    assert folder.licence() == f"unknown; training started from {started}"
    folder.initial_weights.write_text(json.dumps([{"path": "/home/me/w.safetensors", "licence": "DINOv3 License"}]))
    assert folder.licence() == "unknown; training started from me/w.safetensors (DINOv3 License)"
    folder.origin.write_text(json.dumps({"licence": "CC BY-SA 3.0"}))
    assert folder.licence() == "CC BY-SA 3.0"
    folder.origin.write_text("{")
    with pytest.raises(InputError, match="origin.json: damaged"):
        folder.licence()
