"""Large photos, tile by tile: the network sees one tile at a time, and instances are joined across them.

Tiles are seen at the photo's own size. All have one size, the given one or up to a stride less, which is padded to the
same network input; and they start at multiples of the network's stride, where the whole photo has the cells of its
outputs, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from math import isqrt
from pathlib import Path

import numpy as np
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.inference import segmenting_function
from tfpanoptic.ops.tensorflow_only import require_tensorflow
from tfpanoptic.photo.load_image import load_image
from tfpanoptic.predict.joined_tiles import JoinedTiles, Span
from tfpanoptic.progress import progress
from tfpanoptic.result import PanopticResult
from tfpanoptic.segment_map import SegmentMap, from_tables
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import MOST_PIXELS, MOST_TILED_PIXELS, Grid, padded_side, resized_size, resizes


class TiledSegmenter:
    """A model that sees photos larger than a tile in overlapping tiles.

    A photo that is no larger than a tile gives what the model gives. Of a larger one, `model.postprocess` limits the
    number of instances of a tile, not of the photo, and `stuff_area` counts the pixels of the photo; what else a
    network takes from all of its image it takes from the tile: the mean and deviation of `normalization: per_image`,
    image pooling, attention.

    Args:
        segmenter: the model.
        tile: side of a tile in pixels.
        overlap: pixels that neighbours share at least; None for a quarter of the tile.

    Raises:
        InputError: sides that do not go together or are more than the network takes at once, or a rule of `input` that
            would resize each tile.
    """

    def __init__(self, segmenter: PanopticSegmenter, tile: int, overlap: int | None = None):
        require_tensorflow("TiledSegmenter")
        if not isinstance(segmenter, PanopticSegmenter):
            raise InputError(f"segmenter: expected a PanopticSegmenter, found {type(segmenter).__name__}")
        self.segmenter, self.tile = segmenter, tile
        self.overlap = require_tile(tile, overlap, self.experiment.grid, self.experiment.input)

    @property
    def experiment(self) -> Experiment:
        """The model's."""
        return self.segmenter.experiment

    @property
    def categories(self) -> CategoryTable:
        """The model's."""
        return self.segmenter.categories

    def segment(self, image: str | Path | bytes | np.ndarray | Image.Image) -> PanopticResult:
        """Panoptic segmentation of a photo, of a file of at most `MOST_TILED_PIXELS`.

        Args:
            image: a path, the bytes of an image file, an array `[H, W, 3]` or a PIL image.

        Raises:
            InputError: the image cannot be read or is too large, or as `segment_map`.
        """
        with large_images():
            pixels = load_image(image, self.experiment.input.deep_grey)
        name = Path(image).name if isinstance(image, (str, Path)) else None
        origin = str(image) if name else "image"
        return PanopticResult.from_segment_map(self.segment_map(pixels, origin), self.categories, pixels, name)

    def segment_map(self, image: np.ndarray, origin: str = "image") -> SegmentMap:
        """Segment map of one photo, uint8 `[H, W, 3]`, at its own size.

        Args:
            image: the photo.
            origin: its name, for messages.

        Raises:
            InputError: a rule of `input` would resize the photo or its tiles, or it has too many segments.
        """
        height, width = image.shape[:2]
        if max(height, width) <= self.tile:
            return self.segmenter.segment_map(image)
        require_own_size(origin, (height, width), self.tile, self.experiment.input)
        # Where `input` knows a size, only that one is left as it is.
        step = 1 if resizes(self.experiment.input) else self.experiment.grid.stride
        rows, columns = (spans(side, self.tile, self.overlap, step) for side in (height, width))
        joined = JoinedTiles(rows, columns, self.categories)
        with progress(f"tiles of {Path(origin).name}", len(rows) * len(columns)) as track:
            for row, down in enumerate(rows):
                for column, across in enumerate(columns):
                    pixels = image[down.start : down.stop, across.start : across.stop]
                    joined.add(row, column, self._segment_tile(pixels))
                    track.advance()
        return joined.finish(self._stuff_area)

    @property
    def _stuff_area(self) -> int:
        return getattr(getattr(self.experiment.model, "postprocess", None), "stuff_area", 0)

    @cached_property
    def _segment_tile(self) -> Callable[[np.ndarray], SegmentMap]:
        """The model with all stuff of a tile: how much there is of it the whole photo tells."""
        if not self._stuff_area:
            return self.segmenter.segment_map
        postprocess = self.experiment.model.postprocess.model_copy(update={"stuff_area": 0})
        model = self.experiment.model.model_copy(update={"postprocess": postprocess})
        experiment = self.experiment.model_copy(update={"model": model})
        function = segmenting_function(self.segmenter.infer_network, experiment, self.categories)
        return lambda image: from_tables(*(np.asarray(part)[0] for part in function(image[None])))


def spans(length: int, tile: int, overlap: int, step: int = 1) -> list[Span]:
    """The tiles along an axis, spread evenly; each decides up to the middle of what it shares with its neighbours.

    Args:
        length: of the axis, in pixels.
        tile: side of a tile.
        overlap: pixels that neighbours share at least; at most `tile - step`.
        step: tiles start at multiples of it; the last one may be up to `step - 1` smaller than the others.
    """
    last = max(-(-(length - tile) // step), 0)  # start of the last tile, in steps
    count = -(-last // ((tile - overlap) // step))
    stride = -(-last // max(count, 1))
    starts = [step * min(i * stride, last) for i in range(count + 1)]
    stops = [min(start + tile, length) for start in starts]
    cuts = [0, *((start + stop) // 2 for start, stop in zip(starts[1:], stops)), length]
    return [Span(*sides) for sides in zip(starts, stops, cuts, cuts[1:])]


def require_tile(tile: int, overlap: int | None, grid: Grid, config: InputConfig) -> int:
    """The overlap of tiles, a quarter of them if none is given, after checking that a network can see them one by one.

    Raises:
        InputError: it cannot, or a rule of `input` would resize each tile.
    """
    least, step = padded_side(1, grid), 1 if resizes(config) else grid.stride
    if tile < least:
        raise InputError(f"tile: expected at least {least} pixels, the smallest side on the model's grid, found {tile}")
    if tile * tile > MOST_PIXELS:
        raise InputError(f"tile: expected at most {isqrt(MOST_PIXELS)} pixels, for memory's sake, found {tile}")
    overlap = min(tile // 4, tile - step) if overlap is None else overlap
    if not 0 <= overlap <= tile - step:
        raise InputError(f"overlap: expected 0 to {tile - step} pixels for tiles of {tile}, found {overlap}")
    for rule in ("long_side", "short_side", "size"):
        found = getattr(config, rule)
        if found is not None and resized_size(tile, tile, config) != (tile, tile):
            side = max(found) if rule == "size" else found
            fits = resized_size(side, side, config) == (side, side)
            raise InputError(
                f"tile: input.{rule}={found} would resize tiles of {tile}; expected "
                + (f"{side}, which the network sees as they are" if fits else "no tiles, which are square")
            )
    return overlap


def require_own_size(origin: str, size: tuple[int, int], tile: int, config: InputConfig) -> None:
    """Checks that a photo of (height, width), larger than a tile, keeps its size, so that its tiles do.

    Raises:
        InputError: a rule of `input` would resize it, or what there is of it in a tile.
    """
    height, width = size
    inside = min(height, tile), min(width, tile)
    limit = config.max_long_side
    if config.short_side is None and limit is not None and max(size) > limit:
        raise InputError(
            f"{origin}: input.max_long_side={limit} shrinks this photo of {height} x {width}, and tiles are seen at "
            f"its own size; input.max_long_side={max(size)} allows that"
        )
    if resized_size(*inside, config) != inside:
        raise InputError(
            f"{origin}: a photo of {height} x {width} fills only {inside[0]} x {inside[1]} of a tile, which the "
            f"rules of `input` would resize; expected both sides to be at least {tile}, or no tiles"
        )


@contextmanager
def large_images() -> Iterator[None]:
    """Lets Pillow open files of up to `MOST_TILED_PIXELS`, or more where it already does."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None:
        Image.MAX_IMAGE_PIXELS = max(limit, MOST_TILED_PIXELS // 2)  # it warns above, and refuses twice as many
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
