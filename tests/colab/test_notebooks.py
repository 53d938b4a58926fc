import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tfpanoptic.lite import Segmenter

COLAB = Path(__file__).parents[2] / "colab"
NOTEBOOKS = sorted(COLAB.glob("*.ipynb"))


def execute(name, folder, monkeypatch):
    """Runs a notebook from top to bottom in a folder, with two steps of training.

    Returns:
        What its cells have printed.
    """
    monkeypatch.setenv("TFPANOPTIC_STEPS", "2")
    notebook = nbformat.read(COLAB / name, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "".join(output["text"] for output in outputs if output.get("name") == "stdout")


@pytest.mark.slow
def test_the_quickstart_leaves_a_saved_model(tmp_path, monkeypatch):
    execute("01_quickstart.ipynb", tmp_path, monkeypatch)
    assert (tmp_path / "runs/quickstart/saved_model/saved_model.pb").is_file()


@pytest.mark.slow
def test_a_run_is_exported_and_answers_bytes_and_runs_in_litert(tmp_path, monkeypatch):
    printed = execute("02_export_and_serve.ipynb", tmp_path, monkeypatch)
    assert "image 1 of the batch" in printed
    assert (tmp_path / "exported/saved_model/saved_model.pb").is_file()
    for name, quantize in {"float32": "none", "int8": "int8"}.items():
        assert Segmenter(tmp_path / f"exported/{name}.tflite").metadata.quantize == quantize


@pytest.mark.slow
def test_drawn_outlines_become_a_checked_set_a_run_and_a_report(tmp_path, monkeypatch):
    printed = execute("03_your_own_data.ipynb", tmp_path, monkeypatch)
    assert "fit for training: 150 images (120 train and 30 val)" in printed
    annotated = json.loads((tmp_path / "drawn/train/instances.json").read_text())["annotations"]
    converted = json.loads((tmp_path / "photos/train/panoptic.json").read_text())["annotations"]
    changes = json.loads((tmp_path / "photos/train/conversion.json").read_text())["changes"]
    dropped = sum(change["count"] for change in changes if change["became"] == "dropped")
    table = 120  # a segment of stuff in every photo, beside the outlined objects
    assert sum(len(entry["segments_info"]) for entry in converted) == len(annotated) - dropped + table
    assert "<html" in (tmp_path / "report.html").read_text()[:200].lower()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") for cell in cells)
