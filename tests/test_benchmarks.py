"""Benchmarks are run by people; here only that each of them still runs, as briefly as it can."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
BRIEFLY = {
    "bottom_up.py": ["--runs", "1", "--cases", "65x129", "--models", "axial_deeplab_s", "--sizes", "65x97"],
    "batch_norm.py": ["--runs", "1", "--backbones", "resnet10"],
    "cost.py": ["panoptic_fpn/resnet10_nuclei.yaml", "--runs", "1", "--size", "64x96"],
    "deployment.py": ["panoptic_fpn/resnet10_nuclei.yaml", "--runs", "1", "--size", "64x64", "--quantize", "none"],
    "matching.py": ["--runs", "1", "--side", "64", "--points", "100"],
    "pipeline.py": ["--runs", "1", "--images", "8", "--size", "64x96"],
    "postprocess.py": ["--runs", "1"],
    "pq.py": ["--runs", "1", "--pairs", "4"],
    "queries.py": ["--runs", "1", "--side", "256"],
    "segments.py": ["--runs", "1"],
    "top_down.py": ["--runs", "1", "--sizes", "64x96", "--model", "upsnet"],
    "updates.py": ["--runs", "1"],
}
# What others import.
PARTS = {"multiply_adds.py", "peak_memory.py", "turns.py"}


def test_every_benchmark_is_run_here():
    assert {path.name for path in FOLDER.glob("*.py")} == {*BRIEFLY, *PARTS}


@pytest.mark.parametrize("name", sorted({*BRIEFLY, *PARTS}))
def test_what_a_benchmark_imports_of_the_library_is_there(name):
    """Running them all is slow; a name that moved shows here."""
    for node in ast.walk(ast.parse((FOLDER / name).read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tfpanoptic"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.slow
@pytest.mark.parametrize("name", BRIEFLY)
def test_a_benchmark_runs_and_prints_its_numbers(name):
    finished = subprocess.run(
        [sys.executable, str(FOLDER / name), *BRIEFLY[name]],
        env={**os.environ, "PYTHONPATH": str(FOLDER.parent)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert " x" in finished.stdout or "ms" in finished.stdout
