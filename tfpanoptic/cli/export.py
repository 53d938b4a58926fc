"""`tfpanoptic export`: a trained model for deployment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.errors import InputError
from tfpanoptic.settings.overrides import is_override

# What `--verify` alone means, and on how many images it compares.
OWN_IMAGES, IMAGES = "val", 40


class ExportCommand(TyperCommand):
    """`--verify` with or without a value, which Typer has no words for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Gives a bare `--verify` its value: it is the last argument, or an option or a setting follows."""
        args = list(args)
        for place, (argument, following) in enumerate(zip(args, [*args[1:], "-"], strict=True)):
            if argument == "--verify" and (following.startswith("-") or is_override(following)):
                args[place] = f"--verify={OWN_IMAGES}"
        return super().parse_args(ctx, args)


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained model, or a name that `models` lists.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings to change: model.postprocess.key=value, test_time.flip=true."),
    ] = None,
    format: Annotated[str, typer.Option(help="saved_model, litert or onnx.")] = "saved_model",
    quantize: Annotated[
        str | None, typer.Option(help="Numbers of the network: none, float16, dynamic or int8, where the format can.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Fix the network's input to this size: 256, or 256x384.")
    ] = None,
    calibrate: Annotated[
        Path | None, typer.Option(help="Photos for int8, a folder; by default the run's training images.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="What to write; by default RUN/FORMAT[_QUANTIZE].")] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            metavar="[DATA]",
            help="Compare the export, in a process of its own, with the model: on the run's validation images, or on "
            "train, nuclei, shapes, a folder with images/, panoptic/ and panoptic.json, another run, or photos.",
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option("-n", min=1, help="Compare on so many images, the first ones; by default 40.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="PQ that the export may lose, 0.02 for 2 points; by default asked of dynamic and int8."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Export a trained model with its post-processing, categories and configuration inside, and compare it."""
    import_tensorflow("tfpanoptic export")
    from tfpanoptic.atomic import require_outside
    from tfpanoptic.export import FORMATS
    from tfpanoptic.export.artefact import default_name, require_place
    from tfpanoptic.export.verify import hide_gpus
    from tfpanoptic.keras_arguments import require_format
    from tfpanoptic.predict.verification import calibration_photos, comparable_images, verify_export
    from tfpanoptic.presets.cache import read_settings
    from tfpanoptic.run_folder import RunFolder
    from tfpanoptic.segmenter import PanopticSegmenter
    from tfpanoptic.settings.sides import read_sides

    given = {"quantize": quantize, "size": None if size is None else read_sides("--size", size)}
    format = require_format(format, FORMATS, given)
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if calibrate is not None and quantize != "int8":
        raise InputError("--calibrate is for --quantize int8")
    for option, value in (("--max-drop", max_drop), ("-n", images)):
        if value is not None and verify is None:
            raise InputError(f"{option} is for --verify")
    images = images or IMAGES
    config, _, _ = read_settings(run, overrides or ())
    if out is None and not run.is_dir():
        raise InputError(f"--out: expected what to write, as {run} is no run folder of yours")
    target = out or run / default_name(format, quantize)
    require_place(target, format, overwrite)
    require_outside(target, [run])
    if verify is not None:
        hide_gpus()
    for line in RunFolder(config.parent).tuned_lines(overrides or ()):
        print(line, file=sys.stderr)
    segmenter = PanopticSegmenter.from_preset(run, overrides or ())
    compared = comparable_images(segmenter, verify, images, max_drop) if verify is not None else None
    if calibrate is not None:
        options["calibration"] = calibration_photos(segmenter, calibrate)
    segmenter.export(target, format, overwrite, **options)
    print(f"{target}: written")
    if verify is not None:
        verify_export(segmenter, target, format, compared, images, max_drop, options).require()
