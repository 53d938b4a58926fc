"""Keras finds what it saved of this package, whatever was imported first, and before any of it is used."""

import subprocess
import sys

import pytest

from tfpanoptic.segmenter import PanopticSegmenter

# A registered name is the class itself once it was used.
CODE = """
import {modules}
objects = keras.saving.get_custom_objects()
names = [name.split(">")[1] for name in objects if name.startswith("tfpanoptic>")]
assert "tfpanoptic.segmenter" not in sys.modules
model = keras.saving.load_model({path!r})
print(type(model).__name__, names, all(getattr(tfpanoptic, name) is objects["tfpanoptic>" + name] for name in names))
"""


@pytest.mark.parametrize("modules", ["sys, keras, tfpanoptic", "sys, tfpanoptic, keras"])
def test_load_model_needs_both_imports_alone(modules, tiny_experiment, tmp_path):
    path = tmp_path / "model.keras"
    PanopticSegmenter(tiny_experiment, tiny_experiment.load_categories()).save(path)
    code = CODE.format(modules=modules, path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    names = "['PanopticQuality', 'PanopticSegmenter', 'ParsingCovering', 'SemanticIoU']"
    assert done.stdout.strip() == f"PanopticSegmenter {names} True", done.stderr
