"""What `tfpanoptic bench` is to measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfpanoptic.bench.worker import KERAS
from tfpanoptic.data.encoded_image import MOST_DECODED
from tfpanoptic.errors import InputError
from tfpanoptic.export import FORMATS
from tfpanoptic.settings.precision import PRECISIONS

# Measured where nothing is named: what needs no long conversion.
FORMATS_BY_DEFAULT = (KERAS, "saved_model")
SIZE = (512, 512)
RUNS = 20


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        source: a run folder, a preset, or an export.
        overrides: settings of the run to change.
        formats: of `FORMATS`, and `KERAS`; for a run.
        quantize: precisions of the formats that take them; for a run.
        sizes: (height, width) that photos are brought to; none leaves given photos as they are.
        fixed: whether exports that can be are fixed to the size of the photos.
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
    fixed: bool = False
    batches: tuple[int, ...] = (1,)
    threads: tuple[int, ...] = ()
    runs: int = RUNS
    images: Path | None = None


def check_options(options: BenchOptions, exported: str | None) -> None:
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
    for precision in options.quantize:
        if precision not in PRECISIONS:
            raise InputError(f"--quantize: expected {', '.join(PRECISIONS)}, found {precision!r}")
    if options.fixed and not any("size" in FORMATS[name].options for name in formats if name != KERAS):
        raise InputError(f"--fixed: the size of {' and '.join(formats)} cannot be fixed")
    for height, width in options.sizes:
        if height * width > MOST_DECODED:
            raise InputError(f"--size {height}x{width}: expected photos of at most {MOST_DECODED} pixels")
    if options.fixed and options.images is not None and not options.sizes:
        raise InputError("--fixed: exports are fixed to the size of the photos; give --size")
    if max(options.batches) > 1 and options.images is not None and not options.sizes:
        raise InputError("--batch: photos of a batch are of one size; give --size")
    measured = formats if exported is None else (exported,)
    if 1 not in options.batches and not any(name != KERAS and FORMATS[name].open_batch for name in measured):
        raise InputError(f"--batch: {' and '.join(measured)} takes one image at a time; expected --batch 1 among them")
