"""What an installation finds."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path):
    """A clone in a folder of the package's name, as far as an installation needs it."""
    folder = tmp_path / "tfpanoptic"
    (folder / "tfpanoptic").mkdir(parents=True)
    for name in (
        "setup.py",
        "pyproject.toml",
        "README.md",
        "tfpanoptic/__init__.py",
        "tfpanoptic/keras_objects.py",
        "tfpanoptic/version.py",
    ):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_a_script_beside_an_editable_clone_imports_the_package(clone, tmp_path):
    pytest.importorskip("setuptools")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    make = [sys.executable, "setup.py", "--quiet", "editable_wheel", "--dist-dir", str(tmp_path)]
    subprocess.run(make, cwd=clone, env=environment, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    script = "import site; site.addsitedir('site'); import tfpanoptic; print(tfpanoptic.__file__)"
    # Without the packages of this environment, among which tfpanoptic may be; the script's folder is the clone's.
    run = subprocess.run([sys.executable, "-S", "-c", script], cwd=tmp_path, env=environment, capture_output=True)
    assert run.stdout.decode().strip() == str(clone / "tfpanoptic" / "__init__.py"), run.stderr
