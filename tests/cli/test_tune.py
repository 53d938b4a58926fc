import json

import pytest

from tests.tune.conftest import ALL_TOO_SMALL, background_run, photos, untuned  # noqa: F401
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.presets.cache import read_settings
from tfpanoptic.settings.tuned import TunedSettings

STUFF_AREA = "model.postprocess.stuff_area"


def test_what_tuning_wrote_is_what_evaluate_measures_until_it_is_reset(run, untuned, photos, tmp_path):  # noqa: F811
    truth = [word for name, path in photos.items() for word in (f"--{name.replace('_', '-')}", path)]
    code, out, err = run("tune", untuned, *truth, f"{STUFF_AREA}=0", "--json", tmp_path / "tune.json")
    assert code == 0, err
    assert "held back" in out and "tuned.json: written" in out and "network 6/6" in err
    found = json.loads((tmp_path / "tune.json").read_text())
    assert found["settings"] == {STUFF_AREA: {"from": ALL_TOO_SMALL, "to": 0}}
    assert [point["value"] for point in found["sweep"][STUFF_AREA]] == [0, ALL_TOO_SMALL]
    # Background is most of each photo, and the only one of two categories that is found.
    assert found["all"]["before"] == 0 and 0.3 < found["all"]["after"] < 0.5
    assert found["tuned_on"]["images"] == found["held_back"]["images"] == 3

    code, _, err = run("evaluate", untuned, *truth, "--json", tmp_path / "pq.json")
    assert code == 0 and f"tuned settings hold: stuff_area {ALL_TOO_SMALL} -> 0" in err
    assert json.loads((tmp_path / "pq.json").read_text())["pq"]["all"]["pq"] == found["all"]["after"]
    # What `from_preset` reads, for predictions and exports.
    assert read_settings(untuned)[1].model.postprocess.stuff_area == 0
    assert read_settings(untuned, [f"{STUFF_AREA}=5"])[1].model.postprocess.stuff_area == 5

    code, out, _ = run("tune", untuned, "--reset")
    assert code == 0 and "tuned.json: removed" in out
    assert read_settings(untuned)[1].model.postprocess.stuff_area == ALL_TOO_SMALL


@pytest.mark.parametrize("verb, more", [("predict", nuclei("val").records[0].image_path), ("export", "--verify=none")])
def test_what_takes_tuned_settings_says_so_before_it_works(verb, more, run, untuned, tmp_path):  # noqa: F811
    kernel = "model.postprocess.nms_kernel"
    tuned = TunedSettings({STUFF_AREA: 0, kernel: 13}, {STUFF_AREA: ALL_TOO_SMALL, kernel: 7})
    (untuned / "tuned.json").write_text(tuned.to_json())
    _, _, err = run(verb, untuned, more, f"{kernel}=5", "--out", tmp_path / "out")
    assert f"tuned settings hold: stuff_area {ALL_TOO_SMALL} -> 0 (" in err


def test_reset_stands_alone_and_needs_something_to_reset(run, untuned, tmp_path):  # noqa: F811
    code, _, err = run("tune", untuned, "--reset", "--dry-run")
    assert code == 2 and "leave everything else out" in err
    code, out, _ = run("tune", untuned, "--reset")
    assert code == 0 and "no tuned settings" in out
    code, _, err = run("tune", tmp_path / "nowhere", "--reset")
    assert code == 2 and "nowhere: no such folder" in err
