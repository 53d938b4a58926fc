"""The options by which `data check` and `doctor` are told which data to look at."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfpanoptic.doctor.options import LAYOUT
from tfpanoptic.errors import InputError
from tfpanoptic.settings.overrides import is_override

if TYPE_CHECKING:
    from tfpanoptic.experiment import Experiment

Data = Annotated[str | None, typer.Argument(help=f"nuclei, shapes, {LAYOUT}; left out: the data of the configuration.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Settings to change, as key.path=value.")]
Images = Annotated[Path | None, typer.Option(help="Folder of the photos, if DATA is a JSON.")]
Panoptic = Annotated[Path | None, typer.Option(help="Folder of the truth's PNGs, if DATA is a JSON.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that read files; one a core by default.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write everything to this file, too.")]


def split_overrides(data: str | None, overrides: list[str] | None) -> tuple[str | None, list[str]]:
    """The data and the overrides, of which the first stands in the place of the data where these are left out."""
    if data is not None and is_override(data):
        return None, [data, *(overrides or ())]
    return data, list(overrides or ())


def read_arguments(
    data: str | None, overrides: list[str] | None, config: Path | None
) -> tuple[str | None, Experiment | None]:
    """The data, and the experiment of the configuration if one is given.

    Raises:
        InputError: the configuration cannot be read, or overrides stand without one.
    """
    data, overrides = split_overrides(data, overrides)
    if config is not None:
        from tfpanoptic.experiment import Experiment

        return data, Experiment.from_yaml(config, overrides)
    if overrides:
        raise InputError(f"{overrides[0]!r} changes a setting of a configuration; give one with --config")
    return data, None


def require_output(json_file: Path | None, read: Iterable[Path], config: Path | None) -> None:
    """Checks that the file for the numbers replaces nothing but older ones.

    Raises:
        InputError: it is read by the check, or of another kind.
    """
    from tfpanoptic.atomic import require_older, require_unread
    from tfpanoptic.evaluation.options import NUMBERS_MARK

    if json_file is not None:
        require_unread([json_file], [*read, *([config] if config else [])], "check")
        require_older(json_file, NUMBERS_MARK)
