"""`tfpanoptic tune`: the settings of post-processing that suit a trained model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.errors import InputError


def tune(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained model.")],
    sweeps: Annotated[
        list[str] | None,
        typer.Argument(
            help="Settings to tune, and values to try: model.postprocess.key=0.1,0.2,0.3; left out: those that the "
            "architecture names."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Images with truth: a folder with images/, panoptic/ and panoptic.json, or with val/ of such; nuclei; "
            "shapes. Left out: the run's validation images, or those that it set aside to choose weights."
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the photos, with --gt and --gt-dir.")] = None,
    gt: Annotated[Path | None, typer.Option(help="Truth: panoptic JSON.")] = None,
    gt_dir: Annotated[Path | None, typer.Option(help="Folder of the truth's PNGs.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of the half that is held back.")] = 0,
    limit: Annotated[int | None, typer.Option(min=4, help="Take only so many images, chosen by the seed.")] = None,
    memory: Annotated[
        float, typer.Option(min=0, help="GB of the network's outputs in memory; the rest goes to a temporary file.")
    ] = 2.0,
    force: Annotated[
        bool, typer.Option("--force", help="Write the settings, even if the images held back gain nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing into the run.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Remove the run's tuned settings, and do nothing else.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file, too.")] = None,
) -> None:
    """Find the post-processing settings with the best PQ on one half of the images, and measure them on the other.

    The settings are written into the run, where evaluate, predict and export take them.
    """
    if reset:
        if sweeps or dry_run or force or any(option is not None for option in (data, images, gt, gt_dir, json_file)):
            raise InputError("--reset goes back to the settings of config.yaml; leave everything else out")
        from tfpanoptic.tune.reset import reset as reset_run

        print(reset_run(run))
        return
    import_tensorflow("tfpanoptic tune")
    import json

    from tfpanoptic.atomic import replace_file
    from tfpanoptic.tune.options import TuneOptions
    from tfpanoptic.tune.run import tune_run
    from tfpanoptic.tune.table import print_tuning
    from tfpanoptic.version import __version__

    result = tune_run(
        TuneOptions(
            run=run,
            sweeps=tuple(sweeps or ()),
            data=data,
            images=images,
            gt=gt,
            gt_dir=gt_dir,
            seed=seed,
            limit=limit,
            memory=memory,
            force=force,
            dry_run=dry_run,
            json_file=json_file,
        )
    )
    if json_file is not None:
        content = {"tfpanoptic": __version__, "command": sys.argv[1:], **result}
        replace_file(json_file, json.dumps(content, indent=2) + "\n")
    print_tuning(result, dry_run)
