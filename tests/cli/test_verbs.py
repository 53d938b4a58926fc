import json
import shutil
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from tfpanoptic.atomic import require_free
from tfpanoptic.cli.demo import CONTENTS, command
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.lite import Segmenter


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)
    return path


def test_train_writes_a_run_with_the_overrides(run, tiny_settings, tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny_settings))
    code, out, _ = run("train", tmp_path / "c.yaml", "training.steps=2", "--out", tmp_path / "run")
    assert code == 0 and str(tmp_path / "run") in out
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["training"]["steps"] == 2


def test_predict_writes_what_other_tools_read(run, tiny_run, photo, tmp_path):
    code, _, _ = run("predict", tiny_run, photo, "--out", tmp_path / "out")
    assert code == 0
    content = json.loads((tmp_path / "out/panoptic.json").read_text())
    assert [c["id"] for c in content["categories"]] == [1, 2]
    assert content["images"][0]["file_name"] == "photo.png"
    png = np.asarray(Image.open(tmp_path / "out/panoptic/photo.png")).astype(int)
    ids = png[..., 0] + 256 * png[..., 1] + 65536 * png[..., 2]
    assert ids.shape == (60, 80)
    segments = {s["id"]: s["area"] for s in content["annotations"][0]["segments_info"]}
    assert {int(i): int((ids == i).sum()) for i in np.unique(ids[ids > 0])} == segments
    assert (tmp_path / "out/overlay/photo.png").is_file()


def test_evaluate_prints_percent_and_writes_fractions(run, tiny_run, tmp_path, monkeypatch):
    folder = nuclei("val").records[0].image_path.parents[1]
    gt = json.loads((folder / "panoptic.json").read_text())
    gt["images"], gt["annotations"] = gt["images"][:2], gt["annotations"][:2]
    (tmp_path / "gt.json").write_text(json.dumps(gt))
    arguments = ["--images", folder / "images", "--gt", tmp_path / "gt.json", "--gt-dir", folder / "panoptic"]
    code, out, _ = run("evaluate", tiny_run, *arguments, "--json", tmp_path / "pq.json")
    assert code == 0 and "nucleus" in out and "percent" in out
    numbers = json.loads((tmp_path / "pq.json").read_text())["pq"]
    assert set(numbers) == {"all", "things", "stuff", "per_category"}
    assert set(numbers["per_category"]["nucleus"]) == {"pq", "sq", "rq", "tp", "fp", "fn"}
    assert numbers["all"]["n"] == 2 and 0 <= numbers["all"]["pq"] <= 1


def test_categories_that_only_one_side_has_are_named(run, tiny_run, tmp_path):
    folder = nuclei("val").records[0].image_path.parents[1]
    gt = json.loads((folder / "panoptic.json").read_text())
    gt["images"], gt["annotations"] = gt["images"][:1], gt["annotations"][:1]
    # The truth calls its stuff "glass": the model lacks it, and the model's "background" is not in the truth.
    next(c for c in gt["categories"] if c["name"] == "background")["name"] = "glass"
    (tmp_path / "gt.json").write_text(json.dumps(gt))
    arguments = ["--images", folder / "images", "--gt", tmp_path / "gt.json", "--gt-dir", folder / "panoptic"]
    code, _, err = run("evaluate", tiny_run, *arguments, "--json", tmp_path / "pq.json")
    assert code == 0
    assert "not in the model, counted as missed: glass" in err and "left out: background" in err
    glass = json.loads((tmp_path / "pq.json").read_text())["pq"]["per_category"]["glass"]
    assert (glass["pq"], glass["tp"], glass["fp"], glass["fn"]) == (0.0, 0, 0, 1)


@pytest.mark.slow
def test_export_writes_a_saved_model_and_verifies_it(run, tiny_run, tmp_path):
    options = ["--format", "saved_model", "--out", tmp_path / "sm", "-n", "2", "--verify"]
    code, out, _ = run("export", tiny_run, *options)
    assert code == 0 and "saved_model on 2 images, with truth" in out and "FAILED" not in out
    assert (tmp_path / "sm/saved_model.pb").is_file()
    # Beside it: in the folder, servers look for versions of the model.
    found = json.loads((tmp_path / "sm.verify.json").read_text())
    assert found["passed"] and found["agreement"]["all"]["pq"] == 1.0 and found["drop"] == 0.0
    assert list(found["runtime"]) == ["tensorflow"] and found["memory_peak"] > found["memory_opened"] > 10**8
    # Without a comparison there is no report of the new export, and none of the old one is left.
    assert run("export", tiny_run, *options[:4], "--overwrite")[0] == 0
    assert not list(tmp_path.glob("sm.verify.*"))


def test_export_tells_which_tuned_settings_hold(run, tiny_run, tmp_path):
    tuned = shutil.copytree(tiny_run, tmp_path / "run")
    setting = "model.postprocess.center_threshold"
    (tuned / "tuned.json").write_text(json.dumps({"settings": {setting: 0.4}, "trained": {setting: 0.001}, "step": 1}))
    # A size off the grid, so that nothing is exported.
    code, _, err = run("export", tuned, "--format", "litert", "--size", "70")
    assert code == 2 and "tuned settings hold: center_threshold 0.001 -> 0.4" in err and "for other weights" in err
    _, _, err = run("export", tuned, "--format", "litert", "--size", "70", f"{setting}=0.3")
    assert "tuned settings hold" not in err


VERIFY_ARGUMENTS = {
    "alone": (["RUN", "--verify"], "val"),
    "before an option": (["--verify", "-n", "3", "RUN"], "val"),
    "before a setting": (["RUN", "--verify", "test_time.flip=true"], "val"),
    "with data": (["RUN", "--verify", "photos", "-n", "3"], "photos"),
    "with an equals sign": (["RUN", "--verify=photos"], "photos"),
}


@pytest.mark.parametrize("case", VERIFY_ARGUMENTS)
def test_verify_stands_alone_or_with_data(case, run, tiny_run, tmp_path, monkeypatch):
    from tfpanoptic.export.verification import Verification
    from tfpanoptic.predict import verification
    from tfpanoptic.segmenter import PanopticSegmenter

    given, expected = VERIFY_ARGUMENTS[case]
    asked = []
    monkeypatch.setattr(PanopticSegmenter, "export", lambda *_, **__: None)
    monkeypatch.setattr(verification, "comparable_images", lambda segmenter, data, *_: data)
    monkeypatch.setattr(
        verification, "verify_export", lambda *a: (asked.append(a[3:5]), Verification.__new__(Verification))[1]
    )
    monkeypatch.setattr(Verification, "require", lambda self: None)
    arguments = [tiny_run if argument == "RUN" else argument for argument in given]
    code, _, err = run("export", *arguments, "--out", tmp_path / "sm")
    assert code == 0, err
    assert asked == [(expected, 3 if "3" in given else 40)]


def test_models_lists_what_can_be_built(run):
    code, out, _ = run("models")
    assert code == 0
    for name in ("panoptic_deeplab", "resnet50", "mobilenet_v3_large", "nuclei", "coco_panoptic"):
        assert name in out
    # A published model, with its number, licence and address.
    for words in ("panoptic_fpn_resnet50_coco", "41.5 PQ", "CC BY-SA 3.0", "model_final_c10459.pkl"):
        assert words in out
    # One to be converted by hand.
    for words in ("eomt_small_640_dinov3_coco", "--backbone model.safetensors", "dinov3-vits16-pretrain-lvd1689m"):
        assert words in out


def test_env_prints_versions_and_the_devices_when_asked(run):
    code, out, err = run("env", "--devices")
    assert code == 0 and err == ""
    found = json.loads(out)
    assert "tfpanoptic" in found["packages"] and found["keras_backend"] == "tensorflow" and "CPU:0" in found["devices"]


def test_help_names_every_verb(run):
    code, out, _ = run("--help")
    assert code == 0
    for verb in ("demo", "train", "evaluate", "compare", "predict", "export", "models", "env", "weights"):
        assert verb in out


def wrong_inputs(tmp_path, tiny_run, photo):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:200])
    (tmp_path / "older/overlay").mkdir(parents=True)
    (tmp_path / "older/overlay/a.png").write_bytes(photo.read_bytes())
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model/saved_model.pb").touch()
    (tmp_path / "typo.yaml").write_text("modle: {}\n")
    out = ["--out", tmp_path / "out"]
    other_backbone = ["train", tiny_run / "config.yaml", "model.backbone.name=resnet9"]
    return {
        "missing image": (["predict", tiny_run, tmp_path / "none.png", *out], "none.png: no such file or folder"),
        "unreadable image": (["predict", tiny_run, tmp_path / "broken.png", *out], "broken.png: "),
        "empty folder": (["predict", tiny_run, tmp_path / "empty", *out], "empty: no image in this folder"),
        "not a run": (["predict", tmp_path / "empty", photo, *out], "empty: not a run folder"),
        "no run": (["predict", tmp_path / "none", photo, *out], "none: no such folder"),
        "output exists": (["predict", tiny_run, photo, "--out", tmp_path / "full"], "full: exists and holds something"),
        "photo in the output": (
            ["predict", tiny_run, tmp_path / "older/overlay/a.png", "--out", tmp_path / "older", "--overwrite"],
            "older/overlay/a.png: is read by this command; expected another folder to write than",
        ),
        "configuration in the output": (
            ["train", tiny_run / "config.yaml", "--out", tiny_run, "--overwrite"],
            "config.yaml: is read by this command; expected another folder to write than",
        ),
        "weights as an output": (
            ["evaluate", tiny_run, "--json", tiny_run / "best.safetensors"],
            "best.safetensors: is read by this evaluation; expected another file to write",
        ),
        "run exists": (["train", tiny_run / "config.yaml", "--out", tiny_run], "holds a run"),
        "wrong key": (["train", tmp_path / "typo.yaml", *out], "typo.yaml: "),
        "wrong value": (["train", tiny_run / "config.yaml", "training.steps=x", *out], "training.steps: "),
        "wrong backbone": ([*other_backbone, *out], "config.yaml: model.backbone.name: "),
        "no configuration": (["train", tmp_path / "none.yaml", *out], "none.yaml: no such file"),
        "wrong strategy": (["train", tiny_run / "config.yaml", "--strategy", "tpu", *out], "found 'tpu'"),
        "half of a set": (["evaluate", tiny_run, "--gt", tmp_path / "gt.json"], "belong together"),
        "wrong format": (["export", tiny_run, "--format", "onx", *out], "found 'onx'"),
        "option of another format": (
            ["export", tiny_run, "--size", "64", *out],
            "export: size is ",
        ),
        "no size": (["export", tiny_run, "--size", "big", *out], "--size 'big': expected one side or HxW"),
        "calibration for nothing": (["export", tiny_run, "--calibrate", tmp_path, *out], "is for --quantize int8"),
        "no images to compare on": (["export", tiny_run, *out, "--verify", tmp_path / "empty"], "empty: no image in"),
        "a drop without a comparison": (["export", tiny_run, "--max-drop", "0.1", *out], "--max-drop is for --verify"),
        "wrong format to measure": (["bench", tiny_run, "--format", "onx"], "keras, saved_model"),
        "settings of an export": (
            ["bench", tmp_path / "saved_model", "test_time.flip=true"],
            "is an export (saved_model); formats and settings are for a run",
        ),
        "nothing to measure": (["bench", photo], "expected a run folder, a name that `models` lists, or an export"),
        "wrong project": (
            ["weights", "convert", photo, "--from", "mmdet", "--config", tiny_run / "config.yaml", *out],
            "found 'mmdet'",
        ),
        "no checkpoint": (
            ["weights", "convert", tmp_path / "none", "--from", "deeplab2", "--config", tiny_run / "config.yaml", *out],
            "none",
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        "missing image",
        "unreadable image",
        "empty folder",
        "not a run",
        "no run",
        "output exists",
        "photo in the output",
        "weights as an output",
        "configuration in the output",
        "run exists",
        "wrong key",
        "wrong value",
        "wrong backbone",
        "no configuration",
        "wrong strategy",
        "half of a set",
        "wrong format",
        "option of another format",
        "no size",
        "calibration for nothing",
        "a drop without a comparison",
        "no images to compare on",
        "wrong format to measure",
        "settings of an export",
        "nothing to measure",
        "wrong project",
        "no checkpoint",
    ],
)
def test_a_wrong_input_is_one_line_and_exit_code_2(case, run, tmp_path, tiny_run, photo):
    arguments, words = wrong_inputs(tmp_path, tiny_run, photo)[case]
    code, _, err = run(*arguments)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2 and len(lines) == 1 and words in lines[0], err
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob("*.writing"))


def without_module(monkeypatch, absent):
    """As if a package were not installed."""
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == absent else find(name))


def test_a_missing_tensorflow_is_told_with_the_extra_to_install(run, monkeypatch, photo, tmp_path):
    monkeypatch.delitem(sys.modules, "tensorflow")
    without_module(monkeypatch, "tensorflow")
    code, _, err = run("predict", tmp_path, photo, "--out", tmp_path / "out")
    assert code == 2 and "tfpanoptic[cpu]" in err and "tfpanoptic[gpu]" in err


def test_the_quick_demo_goes_the_whole_way_and_names_what_litert_needs(run, tmp_path, monkeypatch):
    without_module(monkeypatch, "ai_edge_quantizer")
    code, out, _ = run("demo", "--quick", "--out", tmp_path / "demo")
    assert code == 0 and "saved_model on 2 images, with truth" in out
    for part in ("run/best.safetensors", "photos", "predictions/panoptic.json", "saved_model/saved_model.pb"):
        assert (tmp_path / "demo" / part).exists()
    (line,) = (line for line in out.splitlines() if line.startswith("LiteRT"))
    assert "left out" in line and "tfpanoptic[litert]" in line


@pytest.mark.slow
def test_the_demo_leaves_a_litert_model_that_was_compared_and_can_be_replaced(run, tmp_path):
    out = tmp_path / "demo"
    code, printed, _ = run("demo", "--quick", "--out", out)
    assert code == 0 and "litert (quantize int8) on 2 images, with truth" in printed
    assert f"{out}/litert_int8.tflite" in printed.splitlines()[-2]
    assert Segmenter(out / "litert_int8.tflite").metadata.quantize == "int8"
    require_free(out, CONTENTS, overwrite=True)


def test_the_demo_says_how_to_go_on_in_an_environment_that_is_not_activated(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "tfpanoptic"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [".venv/bin/tfpanoptic", "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command() == ".venv/bin/tfpanoptic"
    monkeypatch.setenv("PATH", str(program.parent))
    assert command() == "tfpanoptic"


def test_a_demo_does_not_replace_a_folder_of_something_else(run, tmp_path):
    (tmp_path / "thesis.txt").touch()
    code, _, err = run("demo", "--quick", "--overwrite", "--out", tmp_path)
    assert code == 2 and "holds something else" in err and (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "c.yaml", "--out", "run"),
        ("predict", "run", "photos", "--out", "out"),
        ("evaluate", "run", "--json", "out.json"),
        ("export", "run", "--out", "out"),
        ("bench", "run"),
        ("demo", "--out", "out"),
    ],
)
def test_another_backend_is_told_before_anything_is_read_or_written(run, arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.chdir(tmp_path)
    code, _, told = run(*arguments)
    assert code == 2 and told.startswith(f"error: tfpanoptic {arguments[0]}"), told
    assert "needs KERAS_BACKEND=tensorflow, found jax" in told and told.count("\n") == 1
    assert not list(tmp_path.iterdir())
