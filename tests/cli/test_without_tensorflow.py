"""The verbs that compute nothing, in a process that has neither TensorFlow nor a working Keras."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfpanoptic.experiment import DEMO_CONFIG

MAIN = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
from tfpanoptic.cli import main
main()
"""


def run(*arguments, **environment):
    own = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**own, **environment},
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], "doctor"),
        (["train", "--help"], "--resume"),
        (["models"], "panoptic_deeplab"),
        (["schema"], "ResNetConfig"),
        (["doctor", "nuclei", "--limit", "2"], "nucleus"),
    ],
)
def test_what_computes_nothing_works(arguments, words):
    finished = run(*arguments)
    assert finished.returncode == 0 and words in finished.stdout, finished.stderr[-2000:]


def test_env_is_json_alone_and_imports_no_backend(tmp_path):
    for environment, backend in (({}, "tensorflow"), ({"KERAS_BACKEND": "jax"}, "jax"), ({}, "torch")):
        if backend == "torch":
            (tmp_path / "keras.json").write_text('{"backend": "torch"}')
        finished = run("env", KERAS_HOME=str(tmp_path), **environment)
        found = json.loads(finished.stdout)
        assert finished.stderr == "" and (found["keras_backend"], found["devices"]) == (backend, None)
        assert found["packages"]["keras"] == importlib.metadata.version("keras")


def test_the_version_is_told():
    finished = run("--version")
    assert (finished.returncode, finished.stdout) == (0, importlib.metadata.version("tfpanoptic") + "\n")


def test_a_wrong_configuration_is_told_before_anything_is_computed():
    finished = run("doctor", "nuclei", "model.backbone.name=resnet9", "--config", DEMO_CONFIG)
    assert finished.returncode == 2
    assert finished.stderr.startswith(f"error: {DEMO_CONFIG}: model.backbone.name: expected one of resnet10")
