"""The command line: one file a verb. Exit codes: 0 done, 1 the work failed, 2 the input or the arguments are wrong."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from typing import Annotated

import typer

from tfpanoptic.cli.bench import bench
from tfpanoptic.cli.compare import compare
from tfpanoptic.cli.data_check import check
from tfpanoptic.cli.data_convert import data_convert
from tfpanoptic.cli.data_records import records
from tfpanoptic.cli.demo import demo
from tfpanoptic.cli.doctor import doctor
from tfpanoptic.cli.env import env
from tfpanoptic.cli.evaluate import evaluate
from tfpanoptic.cli.export import ExportCommand, export
from tfpanoptic.cli.models import models
from tfpanoptic.cli.predict import predict
from tfpanoptic.cli.schema import schema
from tfpanoptic.cli.streams import guard_streams, lost_output
from tfpanoptic.cli.train import train
from tfpanoptic.cli.tune import tune
from tfpanoptic.cli.weights import convert
from tfpanoptic.errors import InputError, WorkFailed, system_reason
from tfpanoptic.version import __version__

app = typer.Typer(
    name="tfpanoptic",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Panoptic segmentation with Keras 3 and TensorFlow: train, evaluate, tune, compare, predict, export."""


weights = typer.Typer(help="Weight files of this and of other projects.", no_args_is_help=True)
weights.command()(convert)
data = typer.Typer(help="Data: checked, converted, written as records.", no_args_is_help=True)
data.command()(check)
data.command()(records)
data.command("convert")(data_convert)
for verb in (demo, doctor, train, evaluate, tune, compare, predict, export, bench, models, schema, env):
    app.command(cls=ExportCommand if verb is export else None)(verb)
app.add_typer(weights, name="weights")
app.add_typer(data, name="data")


def main() -> None:
    """Entry point of the console script."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", module="PIL")  # what matters of an odd image is said in one line
    output = guard_streams()
    code = _run()
    lost = lost_output(output)
    if lost is not None and not code:
        code = 1
        if lost.errno != errno.EPIPE:  # a reader that has seen enough, as `head`, is told nothing
            print(f"failed: standard output: {lost.strerror}", file=sys.stderr)
    sys.exit(code)


def _run() -> int | str | None:
    """Runs the verb that the arguments name; the exit code."""
    try:
        app()
    except SystemExit as stop:
        # typer's answer to Ctrl-C, which says nothing; `train` has said where it stopped.
        return _fail("interrupted", 130) if stop.code == 130 else stop.code
    except InputError as error:
        return _fail(f"error: {error}", 2)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except WorkFailed as error:
        return _fail(f"failed: {error}", 1)
    except OSError as error:
        return _fail(f"failed: {system_reason(error)}", 1)
    except MemoryError as error:
        return _fail(f"failed: out of memory{f' ({error})' if str(error) else ''}", 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code
