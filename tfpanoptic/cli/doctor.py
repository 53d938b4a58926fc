"""`tfpanoptic doctor`: what is wrong with data, and what a configuration can reach on them, before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfpanoptic.cli.data_options import (
    Data,
    Images,
    JsonFile,
    Overrides,
    Panoptic,
    Workers,
    read_arguments,
    require_output,
)
from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.doctor.options import CEILING_IMAGES
from tfpanoptic.errors import InputError, settings_of


def doctor(
    data: Data = None,
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of the experiment; without it, no ceiling.")] = None,
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val",
    images: Images = None,
    panoptic: Panoptic = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Read only so many images; by default all, and {CEILING_IMAGES} for the ceiling."),
    ] = None,
    workers: Workers = None,
    json_file: JsonFile = None,
) -> None:
    """Check data as `data check` does, and measure the ceiling that a configuration sets on PQ, with what costs it."""
    import json

    from tfpanoptic.atomic import replace_file, require_file_place
    from tfpanoptic.doctor.ceiling import ceiling_of_source
    from tfpanoptic.doctor.check import check, error_line
    from tfpanoptic.doctor.sources import chosen_split, find_sources
    from tfpanoptic.doctor.table import print_ceiling, print_census, print_findings
    from tfpanoptic.version import __version__

    if json_file is not None:
        require_file_place(json_file)
    data, experiment = read_arguments(data, overrides, config)
    with settings_of(config or "data"):
        sources = find_sources(data, experiment, images, panoptic, split)
    split = chosen_split(sources, data, split)
    source = sources[split]
    require_output(json_file, (path for each in sources.values() for path in each.files()), config)
    deep_grey = experiment.input.deep_grey if experiment is not None else "high_byte"
    checked = check(sources, [split], limit, workers, deep_grey)
    print_findings(checked["findings"])
    census = checked["splits"][split]
    if census is not None:
        print_census(census)
    errors = error_line(checked["findings"], source.where)
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
        content: dict[str, Any] = {"tfpanoptic": __version__, "data": source.to_json(), "split": split}
        found = {"findings": checked["findings"], "census": census, "ceiling": ceiling}
        content |= {"config": config and str(config), **found}
        replace_file(json_file, json.dumps(content, indent=2) + "\n")
    if errors is not None:
        raise InputError(errors)
