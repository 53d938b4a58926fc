import subprocess
import sys

from tfpanoptic.version import __version__


def test_the_command_line_runs_as_a_module():
    command = [sys.executable, "-m", "tfpanoptic"]
    assert subprocess.run([*command, "--version"], capture_output=True, text=True).stdout.strip() == __version__
    wrong = subprocess.run([*command, "evaluate", "--gt", "x"], capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: ")
