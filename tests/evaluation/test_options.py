from pathlib import Path

import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.options import Also, EvaluateOptions, check_options, shard_slice
from tfpanoptic.evaluation.rules import Rules

FILES = {"gt": Path("gt.json"), "gt_dir": Path("gt"), "pred": Path("pred.json"), "pred_dir": Path("pred")}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing to evaluate"),
        ({"gt": Path("gt.json"), "states": (Path("s"),)}, "nothing to evaluate"),
        ({**FILES, "run": Path("runs/a")}, "leave it out with --pred"),
        (
            {"run": Path("runs/a"), "allow_missing": True},
            "--allow-missing, --subset, --instances and --gt-instances are for files",
        ),
        ({"run": Path("runs/a"), "subset": True}, "--subset, --instances and --gt-instances are for files"),
        ({"states": (Path("s"),), "rules": Rules(least_area=9)}, "counted by the rules of their evaluation"),
        ({**FILES, "instances": Path("r.json"), "rules": Rules(void_background=True)}, "leave --instances"),
        ({**FILES, "also": (Also.CITYSCAPES_AP,), "rules": Rules(ignored=("a",))}, "leave --instances and cit"),
        (
            {**FILES, "overrides": ("model.postprocess.stuff_area=9",)},
            "'model.postprocess.stuff_area=9' changes a setting",
        ),
        ({"run": Path("runs/a"), "images": Path("photos")}, "--images, --gt and --gt-dir belong together"),
        ({**FILES, "states": (Path("a"), Path("b"))}, "give one"),
        ({**FILES, "gt_instances": Path("i.json")}, "--gt-instances is the truth of --instances"),
        ({**FILES, "instances": Path("."), "gt_instances": Path("i.json")}, "leave --gt-instances out"),
        ({"states": (Path("s"),), "also": (Also.AP,)}, "leave --also, --shard and --images out"),
        ({"states": (Path("s"),), "report": Path("s")}, "s: is read by this evaluation"),
        ({**FILES, "json_file": Path("x"), "states": (Path("x"),)}, "x: given for two outputs"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        check_options(EvaluateOptions(**options))


@pytest.mark.parametrize(
    "options",
    [
        {**FILES, "workers": 2, "states": (Path("a"),)},
        {"run": Path("runs/a"), "also": (Also.BOUNDARY,), "shard": "1/2"},
        {"run": Path("runs/a"), "images": Path("photos"), "gt": Path("gt.json"), "gt_dir": Path("gt")},
        {"states": (Path("a"), Path("b")), "by": "city"},
        {**FILES, "subset": True, "also": (Also.AP,), "rules": Rules(class_agnostic=True)},
        {"run": Path("runs/a"), "rules": Rules(void_background=True)},
    ],
)
def test_options_that_go_together_pass(options):
    check_options(EvaluateOptions(**options))


def test_instance_results_are_measured_by_the_ap_of_their_format(tmp_path):
    assert EvaluateOptions(instances=tmp_path / "results.json", also=(Also.AP, Also.BOUNDARY)).measures == (
        "ap",
        "boundary",
    )
    assert EvaluateOptions(instances=tmp_path).measures == ("cityscapes_ap",)


def test_a_report_is_named_after_what_is_evaluated():
    assert EvaluateOptions(run=Path("runs/a"), overrides=("model.postprocess.stuff_area=9",)).title == (
        "runs/a model.postprocess.stuff_area=9"
    )
    assert EvaluateOptions(**FILES).title == "pred.json"


def test_shards_take_every_image_once():
    images = list(range(7))
    parts = [images[shard_slice(f"{number}/3", 7)] for number in (1, 2, 3)]
    assert parts == [[0, 3, 6], [1, 4], [2, 5]] and images[shard_slice(None, 7)] == images
