import pytest

from tfpanoptic.tune.table import print_tuning

SETTING = "model.postprocess.center_threshold"


def result(to=0.2, held_back=0.03, low=0.01, written="run/tuned.json", earlier=None):
    part = {"images": 60, "before": 0.5, "after": 0.54, "gain": 0.04, "interval": [0.01, 0.07]}
    return {
        "run": "run",
        "written": written,
        "earlier": earlier,
        "images": 120,
        "seed": 0,
        "trials": 2,
        "seconds": {"network": 3.0, "trials": 4.0},
        "settings": {SETTING: {"from": 0.1, "to": to}},
        "sweep": {SETTING: [{"value": 0.1, "pq": 0.5}, {"value": 0.2, "pq": 0.54}]},
        "tuned_on": part,
        "held_back": {**part, "after": 0.5 + held_back, "gain": held_back, "interval": [low, 0.05]},
        "all": part,
        "fates": None,
    }


def test_the_sweep_and_both_gains_are_in_percent(capsys):
    print_tuning(result(), dry_run=False)
    out = capsys.readouterr().out
    for words in (
        "0.1 -> 0.2",
        "0.1: 50.0  0.2: 54.0",
        "PQ 50.0 -> 54.0   +4.0",
        "PQ 50.0 -> 53.0   +3.0",
        "+1.0 to +5.0",
    ):
        assert words in out
    assert "run/tuned.json: written" in out and "flattered" in out and "few images" not in out and "chance" not in out


@pytest.mark.parametrize(
    "changes, dry_run, words",
    [
        ({"to": 0.1, "written": None}, False, "no value is better than those of the run's configuration"),
        ({"held_back": -0.01, "written": None}, False, "nothing is gained on the images held back"),
        ({"low": -0.01}, False, "may be chance: its interval holds 0"),
        ({"written": None}, True, f"dry run, nothing is written; to try it: {SETTING}=0.2"),
        ({"held_back": 0.0, "written": None, "earlier": "run/tuned.json"}, False, "of an earlier tuning, still holds"),
    ],
)
def test_what_became_of_the_settings_is_told(changes, dry_run, words, capsys):
    print_tuning(result(**changes), dry_run)
    out = capsys.readouterr().out
    assert words in out and (": written" in out) == (changes.get("written", "") is not None)


def test_what_became_of_the_queries_is_told_before_and_after(capsys):
    before = {"no_object": 23_800, "score": 190, "overlap": 7, "kept": 3}
    print_tuning({**result(), "fates": {"before": before, "after": {**before, "score": 0, "kept": 193}}}, dry_run=False)
    lines = capsys.readouterr().out.splitlines()
    assert "before    24000 queries of 120 images: 23800 no_object, 190 score, 7 overlap, 3 kept" in lines
    assert "after     24000 queries of 120 images: 23800 no_object, 0 score, 7 overlap, 193 kept" in lines
