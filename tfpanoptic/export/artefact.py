"""An export as a file or folder: where it goes, of which format it is, what stands beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfpanoptic.atomic import require_file_place, require_free
from tfpanoptic.export import FORMATS
from tfpanoptic.export.format import require_new_file
from tfpanoptic.export.verification_table import remove_report, report_paths


def write_export(segmenter, path: str | Path, name: str, overwrite: bool = False, **options: Any) -> None:
    """Writes an export; the report of an older one at the same place is no more.

    Args:
        segmenter: the model.
        path: the file or folder.
        name: of `FORMATS`.
        overwrite: replace an older one.
        options: after `keras_arguments.require_format`; those that mean nothing to the format are left out.

    Raises:
        InputError: as the format's `write`.
    """
    record = FORMATS[name]
    own = {option: value for option, value in options.items() if option in record.options and value is not None}
    record.write(segmenter, path, overwrite=overwrite, **own)
    remove_report(path)


def default_name(name: str, quantize: str | None = None) -> str:
    """What an export in a run folder is called."""
    return f"{name}{f'_{quantize}' if quantize not in (None, 'none') else ''}{FORMATS[name].suffix}"


def require_place(path: Path, name: str, overwrite: bool) -> None:
    """Checks that an export and its report can be written: to be asked before the work.

    Raises:
        InputError: something else is there, or an export and `overwrite` is False.
    """
    record = FORMATS[name]
    if not record.suffix:
        require_free(path, record.contents, overwrite)
    else:
        require_new_file(path, record.suffix, overwrite)
    for report in report_paths(path):
        require_file_place(report)


def format_of(path: Path) -> str | None:
    """The format of an export that lies at `path`, by its suffix or by what the folder holds; None if it is none."""
    if path.is_file():
        fitting = [name for name, record in FORMATS.items() if record.suffix and path.name.endswith(record.suffix)]
    elif path.is_dir():
        found = {entry.name for entry in path.iterdir()}
        folders = {name: record.contents for name, record in FORMATS.items() if not record.suffix}
        fitting = [name for name, contents in folders.items() if found and found <= set(contents)]
    else:
        fitting = []
    return fitting[0] if fitting else None
