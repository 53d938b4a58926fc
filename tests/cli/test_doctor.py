import json
import shutil

import pytest
import yaml

from tfpanoptic.data.sets.nuclei import FOLDER
from tfpanoptic.experiment import DEMO_CONFIG


@pytest.fixture
def data(tmp_path):
    """A folder with train/ and val/, in each the two photos of nuclei with the fewest of them."""
    for split in ("train", "val"):
        folder = tmp_path / "data" / split
        content = json.loads((FOLDER / split / "panoptic.json").read_text())
        content["annotations"] = sorted(content["annotations"], key=lambda entry: len(entry["segments_info"]))[:2]
        chosen = [annotation["image_id"] for annotation in content["annotations"]]
        content["images"] = [entry for entry in content["images"] if entry["id"] in chosen]
        for part in ("images", "panoptic"):
            (folder / part).mkdir(parents=True)
            for entry in content["images" if part == "images" else "annotations"]:
                shutil.copy(FOLDER / split / part / entry["file_name"], folder / part)
        (folder / "panoptic.json").write_text(json.dumps(content))
    return tmp_path / "data"


@pytest.fixture
def config(tiny_settings, tmp_path):
    """Heads at stride 2, and few traces: settings that cost nothing are not relaxed."""
    skips = [{"endpoint": "res2", "channels": 8}, {"endpoint": "res1", "channels": 8}]
    for branch in ("semantic", "instance"):
        tiny_settings["model"][branch]["skips"] = skips
    tiny_settings["model"]["targets"] = {"sigma": 4.0}
    tiny_settings["model"]["postprocess"] = {"nms_kernel": 3, "center_threshold": 0.0, "stuff_area": 0}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_settings))
    return tmp_path / "config.yaml"


def test_sound_data_are_counted(run, data):
    code, out, _ = run("doctor", data)
    assert code == 0
    assert "nothing wrong was found" in out and "2 images" in out and "nucleus" in out and "background" in out


def test_bundled_data_go_by_name(run):
    code, out, _ = run("doctor", "nuclei", "--split", "train", "--limit", "3")
    assert code == 0 and "120 images" in out and "files read of 3 images" in out


def test_errors_are_listed_and_summed_up_in_one_line(run, data, config, tmp_path):
    names = sorted(path.name for path in (data / "val/images").iterdir())
    (data / "val/images" / names[0]).unlink()
    code, out, err = run("doctor", data, "--config", config, "--json", tmp_path / "doctor.json")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1
    assert "errors in the data: image file not found (1)" in lines[0] and "panoptic.json" in lines[0]
    assert "image-missing" in out and names[0] in out and "unpack it" in out
    written = json.loads((tmp_path / "doctor.json").read_text())
    assert written["findings"][0]["examples"] == [names[0]] and written["ceiling"] is None


def test_a_photo_of_both_splits_is_a_warning(run, data):
    val, train = (sorted((data / split / "images").iterdir())[0] for split in ("val", "train"))
    shutil.copy(val, train)
    code, out, _ = run("doctor", data)
    assert code == 0 and "warning" in out and "split-copy" in out and val.name in out


def test_an_instances_json_is_called_by_its_name(run, data):
    content = {"images": [], "categories": [], "annotations": [{"image_id": 1, "segmentation": [], "bbox": []}]}
    (data / "instances.json").write_text(json.dumps(content))
    folders = ["--images", data / "val/images", "--panoptic", data / "val/panoptic"]
    code, out, err = run("doctor", data / "instances.json", *folders)
    assert code == 2 and "*instances* JSON" in out and "*instances* JSON" in err


def test_a_json_may_lie_anywhere(run, data, tmp_path):
    (data / "val/panoptic.json").rename(tmp_path / "truth.json")
    folders = ["--images", data / "val/images", "--panoptic", data / "val/panoptic"]
    assert run("doctor", tmp_path / "truth.json", *folders)[0] == 0


def test_the_ceiling_of_a_configuration_is_told_and_written(run, data, config, tmp_path):
    arguments = ["--config", config, "--json", tmp_path / "doctor.json", "model.postprocess.max_centers=15"]
    code, out, _ = run("doctor", data, *arguments)
    assert code == 0 and "ceiling" in out and "by size" in out and "trained as it is" in out
    found = json.loads((tmp_path / "doctor.json").read_text())["ceiling"]
    assert found["images"] == 2 and min(found["pq"][group]["pq"] for group in ("all", "things", "stuff")) > 0.95
    settings = {setting["setting"] for setting in found["costs"]["settings"]}
    assert settings == {"model.semantic.skips, model.instance.skips", "model.targets.sigma", "input.short_side"}


def test_without_data_those_of_the_configuration_are_checked(run, config):
    code, out, err = run("doctor", "model.postprocess.max_centers=oops", "--config", config)
    assert code == 2 and "model.postprocess.max_centers" in err and out == ""


@pytest.mark.slow
def test_heads_at_stride_4_are_told_to_be_finer(run, tmp_path):
    settings = yaml.safe_load(DEMO_CONFIG.read_text())
    for branch in ("semantic", "instance"):
        settings["model"][branch]["skips"].pop()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    arguments = ["--config", tmp_path / "config.yaml", "--limit", "6", "--json", tmp_path / "doctor.json"]
    code, out, _ = run("doctor", *arguments)
    assert code == 0 and "change settings before you train" in out and "endpoint: res1" in out
    found = json.loads((tmp_path / "doctor.json").read_text())["ceiling"]
    possible = [setting for setting in found["costs"]["settings"] if setting["possible"]]
    assert possible[0]["setting"] == "model.semantic.skips, model.instance.skips"
    assert possible[0]["relaxed"] == "stride 2" and possible[0]["cost"]["things"] > 0.05
    assert found["pq"]["things"]["pq"] < 0.92


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to check: expected --config, or nuclei, shapes"),
        (["nowhere"], "nowhere: no such file or folder; expected nuclei, shapes"),
        (["EMPTY"], "no panoptic.json in it; expected a folder with images/"),
        (["JSON"], "a JSON needs --images DIR and --panoptic DIR"),
        (["nuclei", "--images", "EMPTY"], "stand beside a panoptic JSON"),
        (["nuclei", "--split", "test"], "--split 'test': expected train or val"),
        (["coco_panoptic"], "coco_panoptic: no such file or folder; expected nuclei, shapes, "),
        (["nuclei", "input.stride=8"], "changes a setting of a configuration; give one with --config"),
        (["nuclei", "--config", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["nuclei", "--json", "EMPTY"], "is a folder; expected a file to write"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(arguments, words, run, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "truth.json").write_text("{}")
    places = {"EMPTY": tmp_path / "empty", "JSON": tmp_path / "truth.json"}
    code, _, err = run("doctor", *(places.get(argument, argument) for argument in arguments))
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1 and words in lines[0], err


@pytest.mark.parametrize("read", ["panoptic.json", "images", "panoptic"])
def test_the_numbers_never_replace_what_is_checked(read, run, data):
    folder = data / "val"
    path = folder / read if (folder / read).is_file() else sorted((folder / read).iterdir())[0]
    before = path.read_bytes()
    code, _, err = run("doctor", folder, "--limit", "1", "--json", path)
    assert code == 2 and f"{path}: is read by this check; expected another file to write" in err
    assert path.read_bytes() == before


def test_the_numbers_replace_nothing_but_older_ones(run, data):
    notes = data / "val" / "images" / "notes.txt"
    notes.write_text("mine")
    code, _, err = run("doctor", data / "val", "--limit", "1", "--json", notes)
    assert code == 2 and f"{notes}: exists and was not written by this command" in err and notes.read_text() == "mine"
    for _ in range(2):
        assert run("doctor", data / "val", "--limit", "1", "--json", data / "doctor.json")[0] == 0
