"""An export against its model on the images that a person names, with the report beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.spread import spread
from tfpanoptic.export.litert import CALIBRATION_PHOTOS
from tfpanoptic.export.verification import Verification
from tfpanoptic.export.verification_table import print_verification, write_report
from tfpanoptic.export.verify import require_comparable, verify
from tfpanoptic.photo.pixels import read_image
from tfpanoptic.predict.files import find_images
from tfpanoptic.predict.measured_images import measured_images


def verify_export(
    segmenter,
    path: str | Path,
    format: str,
    images: Dataset | Sequence[str | Path] | None = None,
    limit: int | None = None,
    max_drop: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Verification:
    """Compares, writes `NAME.verify.json` and `NAME.verify.md` beside the export, and prints the table.

    Args:
        all: as in `export.verify.verify`.

    Raises:
        InputError, WorkFailed: as `export.verify.verify`.
    """
    found = verify(segmenter, path, format, images, limit, max_drop, options)
    write_report(found)
    print_verification(found)
    return found


def comparable_images(
    segmenter, data: str, limit: int | None = None, max_drop: float | None = None
) -> Dataset | Sequence[Path]:
    """The images that `data` means, checked for a comparison that follows.

    Raises:
        InputError: as `measured_images` and `export.verify.require_comparable`.
    """
    images = measured_images(data, segmenter)
    require_comparable(segmenter, images, limit, max_drop)
    return images


def calibration_photos(segmenter, folder: str | Path) -> list[np.ndarray]:
    """Photos by which int8 finds its ranges, uint8 `[H, W, 3]`, spread over those of a folder.

    Raises:
        InputError: there is none, or one cannot be read.
    """
    chosen = spread(find_images([folder]), CALIBRATION_PHOTOS)
    return [read_image(photo.path, segmenter.experiment.input.deep_grey) for photo in chosen]
