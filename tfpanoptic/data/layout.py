"""Folders as they were downloaded: which of some parts is there, and what to say where none is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tfpanoptic.errors import InputError, SettingError

# So many names of a folder are told.
MOST_NAMES = 8
ROOT = "data.root"
SPLITS = ("train", "val")
# What a set without a validation part needs.
NO_VALIDATION = "the set has no validation part; expected one, or data.val_share, a share of train such as 0.2"


def require_path(setting: str, path: str, expected: str) -> None:
    """Checks that there is something at a setting's path.

    Raises:
        SettingError: there is nothing.
    """
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        place = "" if Path(path).is_absolute() else f" beside the configuration or in {Path.cwd()}"
        raise SettingError(setting, f"{path}: no such file or folder{place}; expected {expected}") from None
    except (OSError, ValueError):
        pass  # whoever reads it says what is wrong


def require_split(name: str, split: str) -> None:
    """Checks the name of a split.

    Raises:
        InputError: it is neither "train" nor "val".
    """
    if split not in SPLITS:
        raise InputError(f"{name} has the splits {' and '.join(SPLITS)}, not {split!r}")


def require_root(root: str, layout: str) -> Path:
    """The folder that `data.root` names.

    Raises:
        SettingError: there is none.
    """
    require_path(ROOT, root, f"a folder with {layout}")
    if not os.path.isdir(root):
        raise SettingError(ROOT, f"{root}: is a file; expected a folder with {layout}")
    return Path(root)


def require_part(root: Path, places: Sequence[str], layout: str, hint: str = "") -> Path:
    """The first of some places below a root that is there.

    Args:
        root: an existing folder.
        places: of a file or folder, relative to the root; the usual one first.
        layout: what the root should hold, for the message.
        hint: what else the message says.

    Raises:
        SettingError: none is there; the message says what is, and where the part lies if it is near.
    """
    for place in places:
        if os.path.exists(root / place):
            return root / place
    near = next((told for place in places if (told := _near(root, Path(place)))), "")
    told = f"{root}: no {' or '.join(places)}; expected {layout}; found {folder_names(root)}"
    raise SettingError(ROOT, "; ".join([told, *filter(None, (near, hint))]))


def folder_names(folder: Path) -> str:
    """The first names in a folder, for messages."""
    try:
        names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        return f"a folder that cannot be listed ({error.strerror})"
    more = len(names) - MOST_NAMES
    return (", ".join(names[:MOST_NAMES]) or "nothing") + (f" and {more} more" if more > 0 else "")


def _near(root: Path, place: Path) -> str:
    """Where a part lies that is not at its place: above the root, or one level too deep."""
    for above in (root.absolute().parent, root.absolute().parent.parent):
        if os.path.exists(above / place):
            return f"{above} has it: give that as {ROOT}"
    first, rest = place.parts[0], place.parts[1:]
    for folder, part in ((root, place), *([(root / first, Path(*rest))] if rest else [])):
        for below in _folders(folder):
            if os.path.exists(below / part):
                return f"it is one level too deep, at {below / part}"
    return ""


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if os.path.isdir(entry))
    except OSError:
        return []
