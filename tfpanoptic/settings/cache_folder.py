"""The folder for what is made once and kept: converted presets, generated images, what maps hold."""

from __future__ import annotations

import os
from pathlib import Path

from tfpanoptic.errors import InputError

# Names another folder than `tfpanoptic` in the user's folder of caches.
CACHE = "TFPANOPTIC_CACHE"


def cache_folder() -> Path:
    """The folder, which may not exist yet.

    Raises:
        InputError: the user has no home and `TFPANOPTIC_CACHE` names no folder.
    """
    own = os.environ.get(CACHE)
    try:
        return Path(own or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "tfpanoptic").expanduser()
    except RuntimeError:
        raise InputError(f"{CACHE}: expected a folder to keep files in, for this user has no home") from None
