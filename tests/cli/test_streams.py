"""Full disks and closed streams, in processes of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluation.conftest import FIXTURE, PanopticFiles

MAIN = [sys.executable, "-c", "import sys; sys.argv[0] = 'tfpanoptic'; from tfpanoptic.cli import main; main()"]
# A file may grow to so many bytes, as on a disk that is full then.
SMALL = (
    "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, -1));"
    "from tfpanoptic.cli import main; import sys; sys.argv[0] = 'tfpanoptic'; main()"
)
FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="a system without /dev/full")


@pytest.fixture
def files(tmp_path):
    return PanopticFiles(Path(shutil.copytree(FIXTURE, tmp_path / "files")))


def call(arguments, redirection="", main=MAIN):
    """(exit code, standard output, standard error) of the command line in a shell."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    shell = ["sh", "-c", f'"$@" {redirection}', "sh", *main, *map(str, arguments)]
    done = subprocess.run(shell, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout, [line for line in done.stderr.splitlines() if "evaluate " not in line]


@pytest.mark.parametrize("arguments", [["--help"], ["schema"]])
def test_a_full_disk_is_one_line(arguments):
    assert call(arguments, "> /dev/full")[::2] == (1, ["failed: standard output: No space left on device"])


@pytest.mark.parametrize(
    ("redirection", "code", "lines"),
    [
        ("> /dev/full", 1, ["failed: standard output: No space left on device"]),
        (">&-", 1, ["failed: standard output: Bad file descriptor"]),
        ("2>&-", 0, []),
    ],
)
def test_lost_prints_do_not_end_the_work(redirection, code, lines, files, tmp_path):
    arguments = ["evaluate", *files.options(), "--json", tmp_path / "o.json", "--state", tmp_path / "s.jsonl"]
    found, out, told = call(arguments, redirection)
    assert (found, told) == (code, lines) and ("confidence interval" in out) == (code == 0)
    assert json.loads((tmp_path / "o.json").read_text())["images"] == 16
    assert all(json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines())


def test_a_reader_that_has_seen_enough_is_told_nothing():
    code = f"import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); {MAIN[-1]}"
    assert call(["schema"], main=[sys.executable, "-c", code]) == (1, "", [])


@pytest.mark.parametrize("output", ["--json", "--report", "--state"])
def test_a_full_disk_under_an_output_is_one_line(output, files, tmp_path):
    arguments = ["evaluate", *files.options(), output, tmp_path / "output"]
    code, _, told = call(arguments, main=[sys.executable, "-c", SMALL])
    assert code in (1, 2) and len(told) == 1 and "output: cannot be written (File too large)" in told[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"] + ["output"] * (output == "--state")
    if output == "--state":
        saved = len((tmp_path / "output").read_bytes().splitlines()) - 1
        assert 0 < saved < 16
        assert call(arguments)[0] == 0 and len((tmp_path / "output").read_bytes().splitlines()) == 17


def test_an_error_of_the_system_is_one_line(run, monkeypatch):
    def fail():
        raise PermissionError(13, "Permission denied", "photo.png")

    monkeypatch.setattr("rich.console.Console.print", lambda *_: fail())
    code, _, err = run("models")
    assert code == 1 and err == "failed: photo.png: Permission denied\n"
