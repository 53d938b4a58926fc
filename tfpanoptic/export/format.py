"""The Format record: what the rest of the library needs to know of a way to deploy a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfpanoptic.atomic import require_file_place
from tfpanoptic.errors import InputError


@dataclass(frozen=True)
class Format:
    """One format; one line each in `export/__init__.py`.

    Attributes:
        write: (segmenter, path, overwrite=False, **options) -> None; writes the artefact, whole or not at all.
        open: (path, threads=None) -> function of an image uint8 `[H, W, 3]` -> `PanopticResult`. It loads the artefact
            alone, in its own runtime; threads None leaves their number to it.
        suffix: of the file that it is; "" for a folder.
        contents: names that a folder of this format may hold; only such a folder is ever replaced.
        options: keyword arguments that `write` takes.
        open_batch: as `open`, of a function of images uint8 `[B, H, W, 3]` -> list of `PanopticResult`; None where a
            call takes one image.
    """

    write: Callable[..., None]
    open: Callable[..., Callable]
    suffix: str = ""
    contents: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    open_batch: Callable[..., Callable] | None = None


def require_new_file(out: Path, suffix: str, overwrite: bool) -> None:
    """Checks that an export can be written to a file: to be asked before the work.

    Raises:
        InputError: another suffix; a folder is there, or an older file and `overwrite` is False.
    """
    if out.suffix != suffix:
        raise InputError(f"{out}: expected a file that ends in {suffix}")
    require_file_place(out)
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists already; give --overwrite (overwrite=True) to replace it")
