"""An export against its model on the images that a person names, with the report beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.data.dataset import read_image
from tfpanoptic.export.verification import Verification
from tfpanoptic.export.verification_table import print_verification, write_report
from tfpanoptic.export.verify import verify
from tfpanoptic.predict.files import find_images
from tfpanoptic.predict.measured_images import measured_images

# More change the ranges little, and all are in memory at once.
CALIBRATION_PHOTOS = 24


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


def calibration_photos(segmenter, folder: str | Path) -> list[np.ndarray]:
    """Photos by which int8 finds its ranges, uint8 `[H, W, 3]`, spread over those of a folder.

    Raises:
        InputError: there is none, or one cannot be read.
    """
    photos = find_images([folder])
    chosen = photos[:: max(len(photos) // CALIBRATION_PHOTOS, 1)][:CALIBRATION_PHOTOS]
    return [read_image(photo.path, segmenter.experiment.input.deep_grey) for photo in chosen]
