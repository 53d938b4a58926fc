"""`tfpanoptic export`: a trained model for deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.errors import InputError


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained model, or a name that `models` lists.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings to change: model.postprocess.key=value, test_time.flip=true."),
    ] = None,
    format: Annotated[str, typer.Option(help="saved_model.")] = "saved_model",
    out: Annotated[Path | None, typer.Option(help="Folder to write; by default RUN/FORMAT.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the export with the network on images.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it exists.")] = False,
) -> None:
    """Export a trained model with its post-processing, categories and configuration inside."""
    import_tensorflow("tfpanoptic export")
    from tfpanoptic.atomic import require_free, require_outside
    from tfpanoptic.export import FORMATS
    from tfpanoptic.export.verify import verify_saved_model
    from tfpanoptic.segmenter import PanopticSegmenter

    if format not in FORMATS:
        raise InputError(f"--format: expected one of {', '.join(FORMATS)}, found {format!r}")
    if out is None and not run.is_dir():
        raise InputError(f"--out: expected a folder to write, as {run} is no run folder of yours")
    target = out or run / format
    require_free(target, FORMATS[format].contents, overwrite)
    require_outside(target, [run])
    segmenter = PanopticSegmenter.from_preset(run, overrides or ())
    FORMATS[format].write(segmenter, target, overwrite=overwrite)
    print(f"{target}: written")
    if verify:
        report = verify_saved_model(segmenter, target)
        print(report)
        report.require()
