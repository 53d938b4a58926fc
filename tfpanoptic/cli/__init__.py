"""The command line: one file a verb. Exit codes: 0 done, 1 the work failed, 2 the input or the arguments are wrong."""

from __future__ import annotations

import io
import os
import sys
import warnings

import typer

from tfpanoptic.cli.compare import compare
from tfpanoptic.cli.demo import demo
from tfpanoptic.cli.doctor import doctor
from tfpanoptic.cli.env import env
from tfpanoptic.cli.evaluate import evaluate
from tfpanoptic.cli.export import export
from tfpanoptic.cli.models import models
from tfpanoptic.cli.predict import predict
from tfpanoptic.cli.schema import schema
from tfpanoptic.cli.train import train
from tfpanoptic.cli.weights import convert
from tfpanoptic.errors import InputError, WorkFailed

app = typer.Typer(
    name="tfpanoptic",
    help="Panoptic segmentation with Keras 3 and TensorFlow: train, evaluate, compare, predict, export.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
weights = typer.Typer(help="Weight files of this and of other projects.", no_args_is_help=True)
weights.command()(convert)
for verb in (demo, doctor, train, evaluate, compare, predict, export, models, schema, env):
    app.command()(verb)
app.add_typer(weights, name="weights")


def main() -> None:
    """Entry point of the console script."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", module="PIL")  # what matters of an odd image is said in one line
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # names of files and categories may be none of the terminal's letters
    try:
        app()
    except InputError as error:
        _fail(f"error: {error}", 2)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except WorkFailed as error:
        _fail(f"failed: {error}", 1)


def _fail(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)
