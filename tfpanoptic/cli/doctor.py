"""`tfpanoptic doctor`: what is wrong with data, and what a configuration can reach on them, before any training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.errors import InputError, settings_of

if TYPE_CHECKING:
    from tfpanoptic.data.dataset import Dataset
    from tfpanoptic.experiment import Experiment

LAYOUT = "a folder with images/, panoptic/ and panoptic.json (or with one for each split), or a panoptic JSON"
# Datasets that need no files of a person's own.
BUNDLED = ("nuclei", "shapes")
# Images of which the ceiling is measured unless --limit says otherwise.
CEILING_IMAGES = 200


class Source(NamedTuple):
    """Where the data of one split lie, and how they are read by the rules of training.

    Attributes:
        images, annotations, panoptic: folder of photos, panoptic JSON, folder of PNGs.
        other: photos and JSON of the other split, if there is one.
        load: the dataset; it raises `InputError` at the first problem.
        configured: whether the configuration names these data, so that its categories are the network's.
    """

    images: Path
    annotations: Path
    panoptic: Path
    other: tuple[Path, Path] | None
    load: Callable[[], Dataset]
    configured: bool


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
    from tfpanoptic.atomic import require_file_place
    from tfpanoptic.doctor.check import check, error_line
    from tfpanoptic.doctor.entries import image_names
    from tfpanoptic.doctor.table import print_ceiling, print_census, print_findings

    if json_file is not None:
        require_file_place(json_file)
    if data is not None and "=" in data and not Path(data).exists():
        overrides = [data, *(overrides or [])]
        data = None
    experiment = None
    if config is not None:
        import_tensorflow()
        from tfpanoptic.experiment import Experiment

        experiment = Experiment.from_yaml(config, overrides or ())
    elif overrides:
        raise InputError(f"{overrides[0]!r} changes a setting of a configuration; give one with --config")
    source = _source(data, experiment, split, images, panoptic)
    others = [source.other[0] / name for name in image_names(source.other[1])] if source.other else []
    checked = check(source.images, source.annotations, source.panoptic, others, limit)
    print_findings(checked["findings"])
    if checked["census"] is not None:
        print_census(checked["census"])
    paths = {name: str(getattr(source, name)) for name in ("images", "annotations", "panoptic")}
    found = {"data": paths, "split": split, "config": config and str(config), **checked, "ceiling": None}
    errors = error_line(checked["findings"], str(source.annotations))
    if errors is None and config is not None and experiment is not None:
        print()
        found["ceiling"] = _ceiling(source, config, experiment, limit)
        print_ceiling(found["ceiling"])
    if json_file is not None:
        _write(json_file, found)
    if errors is not None:
        raise InputError(errors)


def _ceiling(source: Source, config: Path, experiment: Experiment, limit: int | None) -> dict[str, Any]:
    from tfpanoptic.doctor.ceiling import ceiling

    known = experiment.load_categories() if source.configured else None
    with settings_of(config):
        return ceiling(
            source.load(), experiment.architecture, experiment.model, experiment.input, known, limit or CEILING_IMAGES
        )


def _source(
    data: str | None, experiment: Experiment | None, split: str, images: Path | None, panoptic: Path | None
) -> Source:
    """Where the data are that the arguments mean."""
    if data is None and experiment is None:
        raise InputError(f"nothing to check: expected --config, or {', '.join(BUNDLED)}, {LAYOUT}")
    path = Path(data or "")
    if data is not None and path.is_file():
        if images is None or panoptic is None:
            raise InputError(f"{data}: a JSON needs --images DIR and --panoptic DIR")
        return _files((images, path, panoptic), None)
    if images is not None or panoptic is not None:
        raise InputError("--images and --panoptic stand beside a panoptic JSON")
    if data is None or data in BUNDLED:
        return _named(data, experiment, split)
    if not path.is_dir():
        raise InputError(f"{data}: no such file or folder; expected {', '.join(BUNDLED)}, {LAYOUT}")
    folder = path / split if (path / split / "panoptic.json").is_file() else path
    if not (folder / "panoptic.json").is_file():
        raise InputError(f"{folder}: no panoptic.json in it; expected {LAYOUT}")
    return _files(_parts(folder), _parts(folder.with_name(_other(split))) if folder.name == split else None)


def _named(name: str | None, experiment: Experiment | None, split: str) -> Source:
    """The data of the configuration, or of `DATASETS` by name."""
    from tfpanoptic.data import DATASETS
    from tfpanoptic.settings.config import validate

    if split not in ("train", "val"):
        raise InputError(f"--split {split!r}: expected train or val")
    configured = experiment is not None and name in (None, experiment.data.name)
    if experiment is not None and configured:
        settings = experiment.data
    else:
        settings = validate(DATASETS[str(name)].config, {"name": name}, f"{name} without a configuration", "data")
    load = DATASETS[settings.name].load
    places = []
    for part in (split, _other(split)):
        entry = getattr(settings, part, None)
        if entry is not None:
            places.append((Path(entry.images), Path(entry.annotations), Path(entry.panoptic)))
        else:
            # Datasets without paths in their configuration are written in the layout of `write_coco_panoptic`.
            places.append(_parts(load(settings, part).records[0].image_path.parents[1]))
    return Source(*places[0], (places[1][0], places[1][1]), lambda: load(settings, split), configured)


def _files(own: tuple[Path, Path, Path], other: tuple[Path, Path, Path] | None) -> Source:
    from tfpanoptic.data.coco_panoptic import read_coco_panoptic

    other_parts = (other[0], other[1]) if other is not None and other[1].is_file() else None
    return Source(*own, other_parts, lambda: read_coco_panoptic(*own), False)


def _parts(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "images", folder / "panoptic.json", folder / "panoptic"


def _other(split: str) -> str:
    return "val" if split == "train" else "train"


def _write(path: Path, found: dict[str, Any]) -> None:
    import json

    from tfpanoptic.atomic import replace_file

    replace_file(path, json.dumps(found, indent=2) + "\n")
