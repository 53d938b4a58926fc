"""The pictures of docs/architectures.md, and its parameters."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.models import ARCHITECTURES

DOCS = Path(__file__).parents[2] / "docs"
# Other tests add one of their own while they run.
NAMES = sorted(name for name, record in ARCHITECTURES.items() if record.build.__module__.startswith("tfpanoptic."))


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("draw_architectures", DOCS / "draw_architectures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def drawn(script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    script.draw(folder)
    return folder


def test_every_architecture_has_a_picture_on_the_page(script):
    assert set(script.DRAWINGS) == set(NAMES)
    page = (DOCS / "architectures.md").read_text(encoding="utf-8")
    assert not [name for name in NAMES if f"(images/architecture_{name}.png)" not in page]


@pytest.mark.parametrize("name", NAMES)
def test_every_text_lies_within_its_box(script, name):
    assert script.DRAWINGS[name]().misfits() == []


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_in_the_repository_is_what_the_script_draws(script, drawn, name):
    file = f"architecture_{name}.png"
    kept, new = (np.asarray(Image.open(folder / file), np.int16) for folder in (script.IMAGES, drawn))
    assert kept.shape == new.shape
    # Another matplotlib or FreeType shades the edges of letters otherwise.
    assert np.mean(np.abs(kept - new)) < 1.5
    assert (script.IMAGES / file).stat().st_size < 150_000


def test_parameters_on_the_page_are_those_of_the_configurations():
    page = (DOCS / "architectures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+/[\w.]+)` \| ([\d.]+) \|", page, re.MULTILINE)
    assert {name.split("/")[0] for name, _ in rows} == set(NAMES)
    for name, millions in rows:
        header = (DOCS.parent / "configs" / f"{name}.yaml").read_text(encoding="utf-8")
        parameters = int(re.search(r"^# Parameters: ([\d,]+)", header, re.MULTILINE)[1].replace(",", ""))
        assert float(millions) == pytest.approx(parameters / 1e6, abs=0.06), name
