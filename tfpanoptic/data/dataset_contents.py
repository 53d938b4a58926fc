"""What a dataset holds, as a short text: to know it again under another path."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tfpanoptic.data.dataset import Dataset

# About so many images have the sizes of their files looked at. Own choice: a network disk answers slowly.
MOST_SIZES = 1000


def contents_fingerprint(dataset: Dataset) -> str:
    """A text that differs for other categories, images or segments, and for most other files.

    Annotations count whole. Of the photos and PNGs of about `MOST_SIZES` images the size in bytes counts; none is read.
    """
    digest = hashlib.sha256(json.dumps([(c.name, c.isthing) for c in dataset.categories]).encode())
    for record in dataset.records:
        digest.update(f"{record.file_name}\n{record.height} {record.width}\n".encode())
        digest.update(record.segments.tobytes())
    for record in dataset.records[:: max(1, len(dataset) // MOST_SIZES)]:
        digest.update(f"{_bytes(record.image_path)} {_bytes(record.panoptic_path)}\n".encode())
    return digest.hexdigest()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1  # whoever reads it says what is wrong
