"""Segmenter: an exported model as a person holds it on a device."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import overload

import numpy as np
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.lite.metadata import Metadata
from tfpanoptic.lite.runtimes import RUNTIMES, Runtime
from tfpanoptic.lite.sizes import nearest_to_size, prepare
from tfpanoptic.photo.load_image import load_image, of_each
from tfpanoptic.result import PanopticResult
from tfpanoptic.segment_map import SegmentMap, from_tables
from tfpanoptic.settings.sizes import require_bounded


class Segmenter:
    """An exported `.tflite` or `.onnx` file that segments photos.

    A photo is resized as in training and padded. A model of a fixed size sees a photo that is larger than its input
    shrunk, so that it fits with its proportions kept. Segments have the photo's own size. Threads may share one; they
    wait for each other.

    Args:
        path: the file.
        threads: that the runtime computes with; None leaves their number to it.

    Raises:
        InputError: no such file, not one that tfpanoptic exported, of another format version, or its runtime is not
            installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None):
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise InputError(f"threads: expected an integer, at least 1, found {threads!r}")
        if not isinstance(path, (str, Path)):
            raise InputError(f"path: expected the path of a file, found {type(path).__name__}")
        path = Path(path)
        runtime = RUNTIMES.get(path.suffix.lower())
        if runtime is None:
            raise InputError(f"{path}: expected a file that ends in {' or '.join(RUNTIMES)}")
        self._runtime: Runtime = runtime(path, threads)
        self._lock = Lock()

    @property
    def metadata(self) -> Metadata:
        """What the file says of itself."""
        return self._runtime.metadata

    @property
    def categories(self) -> CategoryTable:
        """What the pixels can be."""
        return self.metadata.categories

    @overload
    def segment(self, images: list | tuple) -> list[PanopticResult]: ...

    @overload
    def segment(self, images: str | Path | bytes | np.ndarray | Image.Image) -> PanopticResult: ...

    def segment(self, images):
        """Panoptic segmentation of a photo, or of each of a list of them.

        Args:
            images: a path, the bytes of an image file, an array uint8 `[H, W, 3]`, a PIL image, or a list of such.

        Raises:
            InputError: an image cannot be read, or it has more pixels than `settings.sizes.MOST_PIXELS` and neither a
                rule of `metadata.input` nor a fixed size shrinks it; of a list its number is named.
            WorkFailed: the runtime fails, as for lack of memory.
        """
        if isinstance(images, (list, tuple)):
            return of_each(self.segment, images)
        pixels = load_image(images, self.metadata.input.deep_grey, self._require_bounded)
        name = Path(images).name if isinstance(images, (str, Path)) else None
        return PanopticResult.from_segment_map(self._segment_map(pixels), self.categories, image=pixels, name=name)

    def _require_bounded(self, origin: str, size: tuple[int, int]) -> None:
        if self.metadata.size is None:
            require_bounded(origin, size, self.metadata.input)

    def _segment_map(self, image: np.ndarray) -> SegmentMap:
        """Segment map of one image, uint8 `[H, W, 3]`, at its own size."""
        metadata, size = self.metadata, (image.shape[0], image.shape[1])
        prepared, (height, width) = prepare(image, metadata.input, metadata.grid, metadata.size)
        with self._lock:
            ids, labels, scores = self._runtime.run(prepared, np.array([[height, width]], np.int32))
        own_size = nearest_to_size(ids[0, :height, :width], size, metadata.grid.align_corners)
        return from_tables(own_size, labels[0], scores[0])
