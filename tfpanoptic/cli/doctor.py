"""`tfpanoptic doctor`: what is wrong with data, and what a configuration can reach on them, before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.doctor.options import CEILING_IMAGES, LAYOUT
from tfpanoptic.errors import InputError
from tfpanoptic.settings.overrides import is_override


def doctor(
    data: Annotated[
        str | None, typer.Argument(help=f"nuclei, shapes, {LAYOUT}; left out: the data of the configuration.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="Settings to change, as key.path=value.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of the experiment; without it, no ceiling.")] = None,
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    images: Annotated[Path | None, typer.Option(help="Folder of the photos, if DATA is a JSON.")] = None,
    panoptic: Annotated[Path | None, typer.Option(help="Folder of the truth's PNGs, if DATA is a JSON.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Read only so many images; by default all, and {CEILING_IMAGES} for the ceiling."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything to this file, too.")] = None,
) -> None:
    """Check data, and measure the ceiling that a configuration sets on PQ, with the settings that cost most."""
    import json

    from tfpanoptic.atomic import replace_file, require_file_place, require_older, require_unread
    from tfpanoptic.doctor.check import error_line
    from tfpanoptic.doctor.sources import ceiling_of_source, check_source, find_source
    from tfpanoptic.doctor.table import print_ceiling, print_census, print_findings
    from tfpanoptic.evaluation.options import NUMBERS_MARK
    from tfpanoptic.version import __version__

    if json_file is not None:
        require_file_place(json_file)
    if data is not None and is_override(data):
        overrides, data = [data, *(overrides or [])], None
    experiment = None
    if config is not None:
        from tfpanoptic.experiment import Experiment

        experiment = Experiment.from_yaml(config, overrides or ())
    elif overrides:
        raise InputError(f"{overrides[0]!r} changes a setting of a configuration; give one with --config")
    source = find_source(data, experiment, split, images, panoptic)
    if json_file is not None:
        require_unread([json_file], [*source.files(), *([config] if config else [])], "check")
        require_older(json_file, NUMBERS_MARK)
    checked = check_source(source, limit)
    print_findings(checked["findings"])
    if checked["census"] is not None:
        print_census(checked["census"])
    errors = error_line(checked["findings"], str(source.annotations))
    ceiling = None
    if errors is None and config is not None and experiment is not None:
        print()
        if experiment.architecture.oracle is None:
            print(f"no oracle for {experiment.model.name}: its ceiling cannot be measured")
        else:
            import_tensorflow("the ceiling of a configuration")
            ceiling = ceiling_of_source(source, experiment, config, limit)
            print_ceiling(ceiling)
    if json_file is not None:
        paths = {name: str(getattr(source, name)) for name in ("images", "annotations", "panoptic")}
        content = {"tfpanoptic": __version__, "data": paths, "split": split, "config": config and str(config)}
        content |= {**checked, "ceiling": ceiling}
        replace_file(json_file, json.dumps(content, indent=2) + "\n")
    if errors is not None:
        raise InputError(errors)
