"""The measurements of `tfpanoptic bench`, each in a process of its own, so that memory is that of one format alone."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tfpanoptic.bench.options import SIZE, BenchOptions, check_options
from tfpanoptic.bench.variants import Variant, require_run, variants
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.data.spread import spread
from tfpanoptic.environment import describe_environment
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export.artefact import format_of
from tfpanoptic.export.process import available_cores, run_worker
from tfpanoptic.export.verification import Latency
from tfpanoptic.export.verify import machine
from tfpanoptic.export.worker import Job
from tfpanoptic.photo.pixels import read_image
from tfpanoptic.predict.files import find_images
from tfpanoptic.version import __version__

# Calls before those that are timed.
WARM_UP = 3
# Photos that are taken in turn.
_PHOTOS = 8
_WORKER = "tfpanoptic.bench.worker"


def bench(options: BenchOptions) -> dict[str, Any]:
    """Measures everything that the options combine.

    Returns:
        - `rows`: one dict a measurement: `format`, `quantize`, `fixed` (the export's input to the photo's size),
          `height`, `width` (None for photos as they are), `batch`, `threads`; in seconds `median`, `p95`, `first` and
          `open`; `images_per_second`; in bytes `size`, `memory_opened` and `memory_peak`; `device`, `runtime`; or
          `failed`, why there is none.
        - `left_out`: phrases on what was not measured.
        - `calls`, how many were timed, `warm_up`, how many before; `source`, `machine`, `packages`, `date`,
          `tfpanoptic`.

    Raises:
        InputError: the source, a format, an option or a photo cannot be used.
        WorkFailed: an export cannot be written.
    """
    exported = format_of(options.source)
    check_options(options, exported)
    if exported is None:
        require_run(options)
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        photos = _photos(options, Path(scratch))
        for variant in variants(options, exported, Path(scratch) / "exports"):
            for size, files in photos.items():
                if variant.photos not in (None, size):
                    continue
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


def _photos(options: BenchOptions, folder: Path) -> dict[tuple[int, int] | None, list[str]]:
    """Size -> files of photos of it."""
    found = [record.image_path for record in nuclei("val").records]
    if options.images is not None:
        found = [photo.path for photo in find_images([options.images])]
    found = spread(found, _PHOTOS)
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
        "fixed": variant.fixed,
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
        except (InputError, WorkFailed) as error:
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


def require_measured(result: dict[str, Any]) -> None:
    """Raises WorkFailed if a measurement of `bench` failed."""
    failed = sum("failed" in row for row in result["rows"])
    if failed:
        raise WorkFailed(f"{failed} of {len(result['rows'])} measurements")
