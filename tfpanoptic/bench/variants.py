"""What is measured: the model itself, an export that is there, or those that are written for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpanoptic.bench.options import FORMATS_BY_DEFAULT, SIZE, BenchOptions
from tfpanoptic.bench.worker import KERAS
from tfpanoptic.export import FORMATS
from tfpanoptic.export.artefact import default_name
from tfpanoptic.export.verify import size_of
from tfpanoptic.lite.runtimes import RUNTIMES
from tfpanoptic.lite.segmenter import Segmenter
from tfpanoptic.presets.cache import read_settings, run_folder_of
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.sizes import network_size, require_bounded


@dataclass(frozen=True)
class Variant:
    """One thing to measure.

    Attributes:
        format: its name.
        quantize: precision of its numbers.
        path: the export, or the run.
        bytes: its size.
        fixed: whether it takes inputs of one size alone.
        photos: the only size (height, width) of photos that it is measured on, if it is one.
    """

    format: str
    quantize: str
    path: Path
    bytes: int
    fixed: bool = False
    photos: tuple[int, int] | None = None

    @property
    def batched(self) -> bool:
        """Whether a call takes several images."""
        return self.format != KERAS and FORMATS[self.format].open_batch is not None


def require_run(options: BenchOptions) -> None:
    """Checks what a run or preset is to be measured with, before anything is downloaded, made or written.

    Raises:
        InputError: no run and no preset, wrong settings, or photos larger than its network takes.
    """
    _, experiment, _ = read_settings(options.source, options.overrides)
    for height, width in options.sizes:
        require_bounded(f"--size {height}x{width}", (height, width), experiment.input)


def variants(options: BenchOptions, exported: str | None, folder: Path) -> Iterator[Variant]:
    """All that the options name; exports of a run are written one by one, each when it is needed.

    Args:
        options: after `check_options` and, for a run, `require_run`.
        exported: the format of the source, if it is an export.
        folder: for the exports.
    """
    if exported is not None:
        yield _as_it_is(options.source, exported)
        return
    run = RunFolder(run_folder_of(options.source, PanopticSegmenter))
    formats = options.formats or FORMATS_BY_DEFAULT
    if KERAS in formats:
        yield Variant(KERAS, "none", run.path, run.weights().stat().st_size)
    segmenter = None
    for name in (name for name in formats if name != KERAS):
        segmenter = segmenter or PanopticSegmenter.from_preset(run.path, options.overrides)
        takes_precisions = "quantize" in FORMATS[name].options
        for quantize in (options.quantize if takes_precisions else ()) or ("none",):
            yield from _exports(segmenter, name, quantize, options, folder)


def _as_it_is(path: Path, name: str) -> Variant:
    """An export that is there; a file for devices says of itself what it is."""
    if path.suffix.lower() not in RUNTIMES:
        return Variant(name, "none", path, size_of(path))
    metadata = Segmenter(path).metadata
    return Variant(name, metadata.quantize, path, size_of(path), metadata.size is not None)


def _exports(segmenter, name: str, quantize: str, options: BenchOptions, folder: Path) -> Iterator[Variant]:
    """The export of a precision, or one for each size of photos."""
    chosen: dict[str, Any] = {} if quantize == "none" else {"quantize": quantize}
    fixed = "size" in FORMATS[name].options and options.fixed
    for size in (options.sizes or (SIZE,)) if fixed else (None,):
        place = folder / ("any" if size is None else f"{size[0]}x{size[1]}")
        place.mkdir(parents=True, exist_ok=True)
        path = place / default_name(name, quantize)
        if size is not None:
            chosen["size"] = network_size(*size, segmenter.experiment.input, segmenter.experiment.grid)
        segmenter.export(path, name, **chosen)
        yield Variant(name, quantize, path, size_of(path), size is not None, size)
