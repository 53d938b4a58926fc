"""The command line: one file a verb. Exit codes: 0 done, 1 the work failed, 2 the input or the arguments are wrong."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

import typer

from tfpanoptic.cli.demo import demo
from tfpanoptic.cli.env import env
from tfpanoptic.cli.evaluate import evaluate
from tfpanoptic.cli.export import export
from tfpanoptic.cli.models import models
from tfpanoptic.cli.predict import predict
from tfpanoptic.cli.train import train
from tfpanoptic.cli.weights import convert
from tfpanoptic.errors import InputError, WorkFailed

app = typer.Typer(
    name="tfpanoptic",
    help="Panoptic segmentation with Keras 3 and TensorFlow: train, evaluate, predict, export.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
weights = typer.Typer(help="Weight files of this and of other projects.", no_args_is_help=True)
weights.command()(convert)
for verb in (demo, train, evaluate, predict, export, models, env):
    app.command()(verb)
app.add_typer(weights, name="weights")


def main() -> None:
    """Entry point of the console script."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        _import_tensorflow()
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


def _import_tensorflow() -> None:
    """Imports TensorFlow, which every verb but `env` and the help needs and the package leaves to the user to choose.

    Its C++ core writes lines about itself to standard error whatever the log level says; nothing of a
    person's own is said at that moment, so they are dropped. An error of the import is raised as usual.
    """
    if {"--help", "env"} & set(sys.argv) or len(sys.argv) == 1 or "tensorflow" in sys.modules:
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            "TensorFlow is not installed; install it with `pip install 'tfpanoptic[cpu]'` or 'tfpanoptic[gpu]'"
        )
    standard_error, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module("tensorflow")
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
        os.close(nowhere)
