"""Networks, losses and parts of them on JAX, in a process where TensorFlow cannot be imported."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.models.eomt_reference import NAMES

SCRIPTS = [
    pytest.param("compute_axial_attention.py", marks=pytest.mark.slow),
    "compute_backbones.py",
    "compute_mask_losses.py",
    "compute_panoptic_deeplab.py",
    pytest.param("compute_region_ops.py", marks=pytest.mark.slow),
    pytest.param("compute_upsnet_parts.py", marks=pytest.mark.slow),
]


def environment(backend):
    ours = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu"}
    return {**os.environ, **ours, "PYTHONPATH": str(Path(__file__).parents[2])}


def compute(script, backend, path):
    finished = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script)), str(path)],
        env=environment(backend),
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return dict(np.load(path))


@pytest.fixture(scope="module", params=SCRIPTS)
def results(request, tmp_path_factory):
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("backends")
    return {backend: compute(request.param, backend, folder / f"{backend}.npz") for backend in ("tensorflow", "jax")}


def test_both_backends_compute_the_same_things(results):
    assert results["jax"].keys() == results["tensorflow"].keys()


def test_outputs_and_losses_agree(results):
    for key, expected in results["tensorflow"].items():
        # The order of float32 sums differs, and batch statistics of few cells amplify it.
        tolerance = (1e-4 if "True" in key else 1e-5) * expected.std() + 1e-6
        np.testing.assert_allclose(results["jax"][key], expected, rtol=1e-4, atol=tolerance, err_msg=key)


ORIGINALS = """
import sys
sys.modules["tensorflow"] = None
from tests.models import test_eomt
test_eomt.test_inference_is_the_originals({name!r})
test_eomt.test_predictions_and_masks_of_masked_attention_are_the_originals({name!r})
print("same")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_networks_of_eomt_are_the_originals(name):
    pytest.importorskip("jax")
    run = subprocess.run(
        [sys.executable, "-c", ORIGINALS.format(name=name)], env=environment("jax"), capture_output=True, text=True
    )
    assert run.stdout.strip() == "same", run.stderr[-3000:]
