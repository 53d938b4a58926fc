"""`tfpanoptic weights`: checkpoints of other projects as weight files of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfpanoptic.atomic import require_file_place, require_unread
from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.errors import InputError, SettingError, settings_of


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="The other project's checkpoint.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Settings to change, as data.categories=FILE.")] = None,
    source: Annotated[str, typer.Option("--from", help="The project: deeplab2, detectron2 or eomt.")] = ...,  # type: ignore[assignment]
    config: Annotated[Path, typer.Option(help="YAML file of the model that the weights are for.")] = ...,  # type: ignore[assignment]
    out: Annotated[Path, typer.Option(help="Weight file to write, .safetensors.")] = ...,  # type: ignore[assignment]
    reset_heads: Annotated[
        bool, typer.Option("--reset-heads", help="For other categories: leave the heads that name them as initialised.")
    ] = False,
    backbone_only: Annotated[
        bool,
        typer.Option("--backbone-only", help="A backbone alone: leave all but the backbone as initialised."),
    ] = False,
    backbone: Annotated[
        Path | None,
        typer.Option(help="For an EoMT with DINOv3, published as differences: the file of DINOv3 to add them to."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Convert a checkpoint of another project to a weight file of ours."""
    import_tensorflow()
    from tfpanoptic.convert import CONVERTERS
    from tfpanoptic.experiment import Experiment
    from tfpanoptic.segmenter import PanopticSegmenter

    if source not in CONVERTERS:
        raise InputError(f"--from: expected one of {', '.join(CONVERTERS)}, found {source!r}")
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists already; give --overwrite to replace it")
    require_file_place(out)
    require_unread([out], [checkpoint, config, *([backbone] if backbone else [])])
    converter: Any = CONVERTERS[source]
    if backbone_only and not hasattr(converter, "load_backbone"):
        raise InputError(f"--backbone-only: not possible with --from {source}")
    if backbone and not hasattr(converter, "add_backbone"):
        raise InputError(f"--backbone: not possible with --from {source}")
    if backbone and backbone_only:
        raise InputError("--backbone and --backbone-only exclude each other")
    variables = converter.read_checkpoint(checkpoint)
    if backbone:
        base = converter.read_checkpoint(backbone)
        try:
            variables = converter.add_backbone(variables, base, f"--backbone {backbone}")
        except InputError as error:
            raise InputError(f"{checkpoint}: {error}") from None
    experiment = Experiment.from_yaml(config, overrides or ())
    with settings_of(config):
        # Not with the weights that training starts from, which would be fetched in vain.
        segmenter = PanopticSegmenter(experiment, experiment.load_categories())
    try:
        if backbone_only:
            left = converter.load_backbone(segmenter, variables)
        else:
            left = converter.load_variables(segmenter, variables, reset_heads)
        lines = converter.notes(segmenter, variables) if hasattr(converter, "notes") else ()
        licence = converter.licence(variables) if hasattr(converter, "licence") else ""
    except SettingError as error:
        raise InputError(f"{config}: {error}") from None
    except InputError as error:
        raise InputError(f"{checkpoint}: {error}") from None
    segmenter.licence = licence or segmenter.licence
    segmenter.save_weights_file(out)
    print(f"{out}: {len(segmenter.weights)} weights, {segmenter.count_params():,} parameters")
    for line in lines:
        print(line)
    if licence:
        print(f"licence: {licence}")
    if left:
        more = f" and {len(left) - 8} more" if len(left) > 8 else ""
        print(f"left as initialised: {', '.join(left[:8])}{more}")
