import sys

import pytest

from tfpanoptic.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command line in this process: arguments -> (exit code, standard output, standard error)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tfpanoptic", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
            raise SystemExit(0)
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call
