"""`tfpanoptic data records`: a panoptic set as TFRecord shards."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfpanoptic.cli.data_options import Overrides, split_overrides
from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.errors import InputError, settings_of

if TYPE_CHECKING:
    from tfpanoptic.data.dataset import Dataset


def records(
    data: Annotated[
        str | None,
        typer.Argument(help="Folder with images/, panoptic/ and panoptic.json, or with train/ and val/ of that."),
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write.")] = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="How many files each part is written to; 16, or one an image if it has fewer."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Files written at a time; no influence on them.")] = 1,
    config: Annotated[Path | None, typer.Option(help="YAML file of an experiment: its data, of any kind.")] = None,
    split: Annotated[str | None, typer.Option(help="The part of the data of --config, train or val.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin again where other records are.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Write nothing: compare the checksums of the records in the folder.")
    ] = False,
    runner: Annotated[
        str | None, typer.Option(help="Write with Apache Beam: DirectRunner, FlinkRunner, DataflowRunner, ...")
    ] = None,
    beam: Annotated[
        list[str] | None, typer.Option("--beam", help="An option of the runner, as --beam=--project=NAME.")
    ] = None,
) -> None:
    """Write a panoptic set as TFRecord shards; a run that was killed is continued by the same command."""
    data, settings = split_overrides(data, overrides)
    from tfpanoptic.data.records.manifest import read_manifest, require_checksums

    if verify:
        for folder in _verified(data):
            manifest = read_manifest(folder)
            require_checksums(folder, manifest)
            print(f"{folder}: {manifest.images} images in {_counted(len(manifest.shards))} are whole")
        return
    if out is None:
        raise InputError("--out: expected the folder to write")
    if beam and runner is None:
        raise InputError("--beam: expected --runner, whose options these are")
    parts = _parts(data, config, split, out)
    import_tensorflow()
    from tfpanoptic.data.records.write import write_records

    for part, place in parts:
        load = partial(_load, part, config, settings)
        if runner is None:
            manifest = write_records(load(), place, shards, workers, overwrite)
        else:
            try:
                from tfpanoptic.data.records.beam import write_with_beam
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] != "apache_beam":
                    raise
                raise InputError("--runner needs Apache Beam: pip install 'tfpanoptic[beam]'") from None
            manifest = write_with_beam(load, place, shards, [f"--runner={runner}", *(beam or [])], overwrite)
        size = sum(file.bytes for file in manifest.shards)
        print(f"{place}: {manifest.images} images in {_counted(len(manifest.shards))}, {size:,} bytes")


def _counted(shards: int) -> str:
    return f"{shards} shard{'s' if shards > 1 else ''}"


def _parts(data: str | None, config: Path | None, split: str | None, out: Path) -> list[tuple[str, Path]]:
    """What is written and where to: a folder in COCO panoptic format, or the name of a split of the configuration."""
    if config is not None:
        if data is not None:
            raise InputError(f"{data}: expected a folder or --config, not both")
        if split not in ("train", "val"):
            raise InputError(f"--split must be train or val, found {split}")
        return [(split, out)]
    if data is None:
        raise InputError("expected a folder in COCO panoptic format, or --config with --split")
    if split is not None:
        raise InputError("--split goes with --config; name the folder of the part instead")
    folder = Path(data)
    if (folder / "panoptic.json").is_file():
        return [(data, out)]
    parts = [part for part in ("train", "val") if (folder / part / "panoptic.json").is_file()]
    if not parts:
        expected = "a folder with images/, panoptic/ and panoptic.json, or with train/ and val/ of that"
        found = "no panoptic.json in it" if folder.is_dir() else "no such folder"
        raise InputError(f"{data}: {found}; expected {expected}")
    return [(str(folder / part), out / part) for part in parts]


def _load(part: str, config: Path | None, overrides: list[str]) -> Dataset:
    """The dataset of a folder, or of a split of a configuration; workers of Beam call it as well."""
    if config is None:
        from tfpanoptic.data.coco_panoptic import files_in, read_coco_panoptic

        return read_coco_panoptic(*files_in(Path(part)))
    from tfpanoptic.experiment import Experiment

    with settings_of(config):
        return Experiment.from_yaml(config, overrides).load_data(part)


def _verified(data: str | None) -> list[Path]:
    if data is None:
        raise InputError("--verify: expected the folder of the records")
    parts = [Path(data) / part for part in ("train", "val")]
    return [part for part in parts if part.is_dir()] or [Path(data)]
