"""From a photo to the model's input and from the model's map to the photo's size, in NumPy.

The same numbers as in the graph of `inference.py`: `data.input_size.prepare_batch` and `ops.resize.nearest_to_size`.
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.settings.sizes import Grid, InputPolicy, fitting_size, padded_size, resized_size


def prepare(
    image: np.ndarray, policy: InputPolicy, grid: Grid, canvas: tuple[int, int] | None
) -> tuple[np.ndarray, tuple[int, int]]:
    """A photo as the model's input.

    Args:
        image: uint8 `[H, W, 3]`, RGB.
        policy: says how it is resized.
        grid: of the network's input.
        canvas: (h, w), the only size that the model takes: what is larger after resizing is shrunk to fit. None: the
            size is the policy's, padded to the grid.

    Returns:
        float32 `[1, h, w, 3]`, the photo in the top-left part, 0 beyond, and (height, width) of that part.
    """
    part = resized_size(image.shape[0], image.shape[1], policy)
    if canvas is not None:
        part = fitting_size(*part, canvas)
    prepared = np.zeros((1, *(canvas or padded_size(*part, policy, grid)), 3), np.float32)
    prepared[0, : part[0], : part[1]] = resize_bilinear(image, part, grid.align_corners)
    return prepared, part


def resize_bilinear(image: np.ndarray, size: tuple[int, int], align_corners: bool) -> np.ndarray:
    """An image resized by bilinear interpolation in float32, without antialiasing, as TensorFlow's ResizeBilinear.

    Args:
        image: numbers `[H, W, C]`.
        size: (H', W').
        align_corners: True puts corners on corners, False has half-pixel centres.

    Returns:
        float32 `[H', W', C]`; the image as it is, if it has the size.
    """
    if image.shape[:2] == size:
        return image.astype(np.float32)
    top, bottom, down = _neighbours(size[0], image.shape[0], align_corners)
    left, right, along = _neighbours(size[1], image.shape[1], align_corners)
    rows, row = np.unique([top, bottom], return_inverse=True)
    lines = image.take(rows, 0)
    lines = _between(lines.take(left, 1), lines.take(right, 1), along[:, None])
    row = row.reshape(2, -1)  # NumPy 2.0 gives it flat
    return _between(lines.take(row[0], 0), lines.take(row[1], 0), down[:, None, None])


def _between(low: np.ndarray, high: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """float32: `low` at 0, `high` at 1."""
    low, between = low.astype(np.float32), high.astype(np.float32)
    between -= low
    between *= fraction
    between += low
    return between


def _neighbours(length: int, old: int, align_corners: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two cells, of `old` ones, around each of `length` ones, and how far it lies between them, float32 0..1."""
    i, half = np.arange(length, dtype=np.float32), np.float32(0.5)
    if align_corners:
        steps = (old - 1, length - 1) if length > 1 else (old, length)
        at = i * (np.float32(steps[0]) / np.float32(steps[1]))
    else:
        at = (i + half) * (np.float32(old) / np.float32(length)) - half
    below = np.floor(at)
    low, high = np.maximum(below, 0).astype(np.int64), np.minimum(np.ceil(at), old - 1).astype(np.int64)
    return low, high, at - below


def nearest_to_size(labels: np.ndarray, size: tuple[int, int], align_corners: bool) -> np.ndarray:
    """A map of labels at another size; no new value appears.

    Args:
        labels: integers `[h, w]`.
        size: (H, W) of the result.
        align_corners: True takes round(i * (in - 1) / (out - 1)), False floor((i + 0.5) * in / out).

    Returns:
        `[H, W]` of the same dtype.
    """
    rows, columns = (_nearest(length, old, align_corners) for length, old in zip(size, labels.shape, strict=True))
    return labels.take(columns, 1).take(rows, 0)


def _nearest(length: int, old: int, align_corners: bool) -> np.ndarray:
    """int64 `[length]`: the nearest cell of `old` ones, in integers."""
    i = np.arange(length, dtype=np.int64)
    if not align_corners:
        return (2 * i + 1) * old // (2 * length)
    steps = max(length - 1, 1)
    return (2 * i * (old - 1) + steps) // (2 * steps)
