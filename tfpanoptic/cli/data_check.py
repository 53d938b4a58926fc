"""`tfpanoptic data check`: everything that is wrong with a panoptic dataset, before it is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from tfpanoptic.errors import InputError, settings_of


def check(
    data: Data = None,
    overrides: Overrides = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of the experiment, whose data are checked.")] = None,
    split: Annotated[
        str | None, typer.Option(help="train or val alone; by default both, also against each other.")
    ] = None,
    images: Images = None,
    panoptic: Panoptic = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Read the files of only so many images a split; by default of all.")
    ] = None,
    workers: Workers = None,
    json_file: JsonFile = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for pictures of the first images of each finding.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace older pictures.")] = False,
) -> None:
    """Check data: files, annotations, categories and splits. Exit code 2 where training on them would be wrong."""
    import json

    from tfpanoptic.atomic import replace_file, require_file_place, require_free, require_outside
    from tfpanoptic.doctor.check import check, error_line
    from tfpanoptic.doctor.pictures import CONTENTS, write_pictures
    from tfpanoptic.doctor.sources import chosen_split, find_sources, own_split
    from tfpanoptic.doctor.table import fit_line, print_census, print_findings
    from tfpanoptic.version import __version__

    if json_file is not None:
        require_file_place(json_file)
    data, experiment = read_arguments(data, overrides, config)
    with settings_of(config or "data"):
        sources = find_sources(data, experiment, images, panoptic, split)
    if split is not None:
        checked = [chosen_split(sources, data, split)]
    else:
        own = own_split(sources, data)
        checked = [own] if own is not None else list(sources)
    read = [path for source in sources.values() for path in source.files()] if json_file or pictures else []
    require_output(json_file, read, config)
    if pictures is not None:
        require_free(pictures, CONTENTS, overwrite)
        require_outside(pictures, read)
    deep_grey = experiment.input.deep_grey if experiment is not None else "high_byte"
    report = check(sources, checked, limit, workers, deep_grey)
    print_findings(report["findings"])
    for name, census in report["splits"].items():
        if census is not None:
            print_census(census, "" if name == "data" else f"{name}: ")
    if pictures is not None:
        count = write_pictures(sources, report["findings"], pictures, overwrite)
        print(f"{pictures}: {count} pictures of what was found")
    if json_file is not None:
        data_by_split = {name: sources[name].to_json() for name in checked}
        content = {"tfpanoptic": __version__, "config": config and str(config), "data": data_by_split, **report}
        replace_file(json_file, json.dumps(content, indent=2) + "\n")
    errors = error_line(report["findings"], ", ".join(sources[name].where for name in checked))
    if errors is not None:
        raise InputError(errors)
    print(fit_line(report))
