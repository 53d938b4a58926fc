"""Paths in configurations: relative ones start at the folder of the file, or else at the working directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args

import pydantic
from pydantic.fields import FieldInfo


class PathSetting(NamedTuple):
    """Marks a setting as the path of a file or folder; `names` are values that are none."""

    names: tuple[str, ...] = ()


# Type of a setting that is a path; an annotation of pydantic models.
FilePath = Annotated[str, PathSetting()]


def with_paths(config: Any, change: Callable[[str, str], str], prefix: str = "") -> Any:
    """A configuration with every path changed.

    Args:
        config: a pydantic model; others inside it are changed, too.
        change: (dotted name of the setting, its value) -> its new value.
        prefix: what the names begin with.
    """
    values: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        value, where = getattr(config, name), f"{prefix}{name}"
        if isinstance(value, pydantic.BaseModel):
            changed = with_paths(value, change, f"{where}.")
        else:
            mark = _mark(field)
            changed = value if mark is None or value is None or value in mark.names else change(where, value)
        if changed is not value:
            values[name] = changed
    return config.model_copy(update=values) if values else config


def found_path(value: str, folder: Path) -> tuple[str, str | None]:
    """Where a relative path of a configuration in a folder leads, as an absolute path, and what it could mean as well.

    What is beside the configuration comes first, then what is in the working directory. A path that leads to nothing
    stays as it is.

    Returns:
        The path, and the absolute one in the working directory if something else is there under the same name.
    """
    if Path(value).is_absolute():
        return value, None
    beside, here = (Path(os.path.abspath(place / value)) for place in (folder, Path()))
    if not _exists(beside):
        return (str(here) if _exists(here) else value), None
    return str(beside), (str(here) if _exists(here) and not beside.samefile(here) else None)


def absolute_path(value: str) -> str:
    """The path from the working directory."""
    return os.path.abspath(value)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # whoever reads it says what is wrong


def _mark(field: FieldInfo) -> PathSetting | None:
    """The mark of a setting that is a path, alone or beside None."""
    marks = [
        *field.metadata,
        *(mark for part in get_args(field.annotation) for mark in getattr(part, "__metadata__", ())),
    ]
    return next((mark for mark in marks if isinstance(mark, PathSetting)), None)
