"""An export against its model on the images that a person names, with the report beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpanoptic.export.verification import Verification
from tfpanoptic.export.verification_table import print_verification, write_report
from tfpanoptic.export.verify import verify
from tfpanoptic.predict.files import find_images
from tfpanoptic.predict.measured_images import measured_images


def verify_export(
    segmenter,
    path: str | Path,
    format: str,
    data: str = "val",
    limit: int | None = None,
    max_drop: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Verification:
    """Compares, writes `NAME.verify.json` and `NAME.verify.md` beside the export, and prints the table.

    Args:
        segmenter, path, format, limit, max_drop, options: as in `export.verify.verify`.
        data: as in `measured_images`.

    Raises:
        InputError: there are no such images, or as `export.verify.verify`.
        WorkFailed: the process of the export failed.
    """
    found = verify(segmenter, path, format, measured_images(data, segmenter), limit, max_drop, options)
    write_report(found)
    print_verification(found)
    return found


def calibration_images(segmenter, folder: Path | None) -> list[Path]:
    """Photos by which int8 finds its ranges: of a folder, or the run's training images.

    Raises:
        InputError: there is none.
    """
    if folder is not None:
        return [photo.path for photo in find_images([folder])]
    return [record.image_path for record in segmenter.experiment.load_data("train").records]
