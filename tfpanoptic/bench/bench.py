"""The measurements of `tfpanoptic bench`, each in a process of its own, so that memory is that of one format alone."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tfpanoptic.bench.worker import KERAS
from tfpanoptic.data.dataset import read_image
from tfpanoptic.data.nuclei import nuclei
from tfpanoptic.environment import describe_environment
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export import FORMATS
from tfpanoptic.export.artefact import default_name, format_of
from tfpanoptic.export.process import available_cores, run_worker
from tfpanoptic.export.verification import Latency
from tfpanoptic.export.verify import machine, size_of
from tfpanoptic.export.worker import Job
from tfpanoptic.predict.files import find_images
from tfpanoptic.predict.verification import calibration_images
from tfpanoptic.presets.cache import read_settings, run_folder_of
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.version import __version__

# Measured where nothing is named: what needs no long conversion.
FORMATS_BY_DEFAULT = (KERAS, "saved_model")
SIZE = (512, 512)
RUNS, WARM_UP = 20, 3
# Photos that are taken in turn.
_PHOTOS = 8
_WORKER = "tfpanoptic.bench.worker"


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        source: a run folder, a preset, or an export.
        overrides: settings of the run to change.
        formats: of `FORMATS`, and `KERAS`; for a run.
        quantize: precisions of the formats that take them; for a run.
        sizes: (height, width) that photos are brought to; none leaves given photos as they are.
        batches: images of a call.
        threads: of the runtime; none for one a core.
        runs: calls that are timed.
        images: photos, a file or folder; None for those that come with the package.
    """

    source: Path
    overrides: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    quantize: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    batches: tuple[int, ...] = (1,)
    threads: tuple[int, ...] = ()
    runs: int = RUNS
    images: Path | None = None


@dataclass(frozen=True)
class Variant:
    """One thing to measure.

    Attributes:
        format: its name.
        quantize: precision of its numbers.
        path: the export, or the run.
        bytes: its size.
    """

    format: str
    quantize: str
    path: Path
    bytes: int

    @property
    def batched(self) -> bool:
        """Whether a call takes several images."""
        return self.format != KERAS and FORMATS[self.format].open_batch is not None


def bench(options: BenchOptions) -> dict[str, Any]:
    """Measures everything that the options combine.

    Returns:
        - `rows`: one dict a measurement: `format`, `quantize`, `height`, `width` (None for photos as they are),
          `batch`, `threads`; in seconds `median`, `p95`, `first` and `open`; `images_per_second`; in bytes `size`,
          `memory_opened` and `memory_peak`; `device`, `runtime`; or `failed`, why there is none.
        - `left_out`: phrases on what was not measured.
        - `calls`, how many were timed, `warm_up`, how many before; `source`, `machine`, `packages`, `date`,
          `tfpanoptic`.

    Raises:
        InputError: the source, a format, an option or a photo cannot be used.
        WorkFailed: an export cannot be written.
    """
    exported = format_of(options.source)
    _check(options, exported)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        photos = _photos(options, Path(scratch))
        for variant in _variants(options, exported, Path(scratch) / "exports"):
            for size, files in photos.items():
                for batch in options.batches:
                    if batch > 1 and not variant.batched:
                        left_out.append(f"{variant.format} takes one image at a time: no batch of {batch}")
                        continue
                    rows += [
                        _measured(variant, size, files, batch, threads, options)
                        for threads in options.threads or (available_cores(),)
                    ]
    return {
        "tfpanoptic": __version__,
        "source": str(options.source),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "packages": describe_environment(devices=False)["packages"],
        "warm_up": WARM_UP,
        "calls": options.runs,
        "rows": rows,
        "left_out": list(dict.fromkeys(left_out)),
    }


def require_measured(result: dict[str, Any]) -> None:
    """Raises WorkFailed if a measurement of `bench` failed."""
    failed = sum("failed" in row for row in result["rows"])
    if failed:
        raise WorkFailed(f"{failed} of {len(result['rows'])} measurements")


def _check(options: BenchOptions, exported: str | None) -> None:
    """Refuses what does not go together, before anything is written or run.

    Raises:
        InputError: it does not.
    """
    if exported is not None and (options.formats or options.quantize or options.overrides):
        raise InputError(f"{options.source}: is an export ({exported}); formats and settings are for a run")
    if exported is None and options.source.is_file():
        raise InputError(f"{options.source}: expected a run folder, a name that `models` lists, or an export")
    for name in options.formats:
        if name != KERAS and name not in FORMATS:
            raise InputError(f"--format: expected {', '.join((KERAS, *FORMATS))}, found {name!r}")
    formats = options.formats or FORMATS_BY_DEFAULT
    if options.quantize and not any("quantize" in FORMATS[name].options for name in formats if name != KERAS):
        raise InputError(f"--quantize: is no option of {' and '.join(formats)}")
    if max(options.batches) > 1 and options.images is not None and not options.sizes:
        raise InputError("--batch: photos of a batch are of one size; give --size")


def _photos(options: BenchOptions, folder: Path) -> dict[tuple[int, int] | None, list[str]]:
    """Size -> files of photos of it."""
    found = [record.image_path for record in nuclei("val").records]
    if options.images is not None:
        found = [photo.path for photo in find_images([options.images])]
    found = found[:: max(len(found) // _PHOTOS, 1)][:_PHOTOS]
    if options.images is not None and not options.sizes:
        return {None: [str(path) for path in found]}
    photos: dict[tuple[int, int] | None, list[str]] = {}
    for height, width in options.sizes or (SIZE,):
        files = []
        for number, path in enumerate(found):
            file = folder / f"{height}x{width}_{number}.png"
            Image.fromarray(read_image(path)).resize((width, height)).save(file)
            files.append(str(file))
        photos[height, width] = files
    return photos


def _variants(options: BenchOptions, exported: str | None, folder: Path) -> Iterator[Variant]:
    """What is measured; exports of a run are written one by one, each when it is needed."""
    if exported is not None:
        yield Variant(exported, "none", options.source, size_of(options.source))
        return
    read_settings(options.source, options.overrides)  # wrong ones are told before anything is downloaded
    run = RunFolder(run_folder_of(options.source, PanopticSegmenter))
    formats = options.formats or FORMATS_BY_DEFAULT
    if KERAS in formats:
        yield Variant(KERAS, "none", run.path, run.weights().stat().st_size)
    segmenter = None
    for name in (name for name in formats if name != KERAS):
        segmenter = segmenter or PanopticSegmenter.from_preset(run.path, options.overrides)
        for quantize in _precisions(name, options.quantize):
            path = folder / default_name(name, quantize)
            folder.mkdir(exist_ok=True)
            chosen: dict[str, Any] = {} if quantize == "none" else {"quantize": quantize}
            if quantize == "int8":
                chosen["calibration"] = calibration_images(segmenter, None)
            segmenter.export(path, name, **chosen)
            yield Variant(name, quantize, path, size_of(path))


def _precisions(name: str, quantize: Sequence[str]) -> Sequence[str]:
    return quantize if quantize and "quantize" in FORMATS[name].options else ("none",)


def _measured(
    variant: Variant,
    size: tuple[int, int] | None,
    files: list[str],
    batch: int,
    threads: int,
    options: BenchOptions,
) -> dict[str, Any]:
    """One row."""
    height, width = size or (None, None)
    row = {
        "format": variant.format,
        "quantize": variant.quantize,
        "height": height,
        "width": width,
        "batch": batch,
        "threads": threads,
        "size": variant.bytes,
    }
    job = Job(
        format=variant.format,
        path=str(variant.path),
        images=files,
        calls=options.runs,
        batch=batch,
        threads=threads,
        warm_up=WARM_UP,
        options={"overrides": list(options.overrides)},
    )
    with tempfile.TemporaryDirectory() as scratch:
        try:
            answer = run_worker(job, Path(scratch), _WORKER)
        except WorkFailed as error:
            return {**row, "failed": str(error)}
    latency = Latency.of(answer["seconds"], answer["first_seconds"])
    return {
        **row,
        "median": latency.median,
        "p95": latency.p95,
        "first": latency.first,
        "open": answer["open_seconds"],
        "images_per_second": batch * latency.calls / sum(answer["seconds"]),
        **{name: answer[name] for name in ("memory_opened", "memory_peak", "device", "runtime")},
    }
