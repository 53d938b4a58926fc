"""`tfpanoptic train`: train an experiment and leave a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.errors import settings_of


def train(
    config: Annotated[Path, typer.Argument(help="YAML file of the experiment.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Settings to change, as key.path=value.")] = None,
    out: Annotated[Path, typer.Option(help="Run folder to write.")] = ...,  # type: ignore[assignment]
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's latest checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older run in the folder.")] = False,
    strategy: Annotated[str, typer.Option(help="auto, one or mirrored.")] = "auto",
) -> None:
    """Train an experiment and leave a run folder: configuration, checkpoints, metrics, pictures."""
    import_tensorflow("tfpanoptic train")
    from tfpanoptic.atomic import require_outside
    from tfpanoptic.experiment import Experiment
    from tfpanoptic.train.loop import train as run
    from tfpanoptic.train.strategy import make_strategy

    experiment = Experiment.from_yaml(config, overrides or ())
    if overwrite:
        require_outside(out, [config])
    with settings_of(config):
        run(experiment, out, make_strategy(strategy), resume=resume, overwrite=overwrite)
    print(f"run folder: {out}")
