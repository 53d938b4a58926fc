"""Segments and errors as layers of few colours over a photo.

A layer is the number of each pixel's colour, `[H, W]`, and the colours, uint8 `[K, 4]` with their opacity. Rows of a
segment table are numbered from 1 here, 0 is void.
"""

from __future__ import annotations

import numpy as np
from PIL import ImageColor

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.attribution import CAUSES, NO_ERROR
from tfpanoptic.evaluation.measures.boundary_quality import inside
from tfpanoptic.evaluation.measures.matching import SegmentPairs
from tfpanoptic.report.causes import STYLES
from tfpanoptic.segment_map import SegmentMap
from tfpanoptic.visualize.colors import segment_colors
from tfpanoptic.visualize.overlay import line_width

# Opacities, and colours with theirs, of 255; own choices, by eye on stained tissue, fluorescence and COCO-like scenes.
_THING, _STUFF, _LINE = 140, 90, 255
_VOID, _VOID_STRIPE, _CROWD_STRIPE = (18, 20, 24, 150), (200, 204, 210, 120), (255, 255, 255, 110)
_RIGHT, _RIGHT_LINE = (18, 20, 24, 150), (6, 7, 9, 220)
_IMPRECISE, _WEAK, _STRONG = 235, 115, 245
# Periods of the patterns along the longest side.
_PERIODS = 64


def segment_layer(
    rows: np.ndarray, segment_map: SegmentMap, categories: CategoryTable, opaque: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The segments, things with a line inside their border, crowds striped and void hatched.

    Args:
        rows: row of each pixel, `[H, W]`.
        segment_map: what the rows are of, at any size.
        categories: of its segments.
        opaque: hide what is below.
    """
    table = segment_map.segments
    color = segment_colors(segment_map, categories)
    instance = categories.isthing[table["category"]] & ~table["iscrowd"]
    opacity = np.full(len(table), 255) if opaque else np.where(instance, _THING, _STUFF)
    light = np.round(255 - 0.7 * (255 - color.astype(float)))
    fill = np.column_stack([color, opacity]).reshape(-1, 4)
    line = np.where(instance[:, None], np.column_stack([light, np.full(len(table), _LINE)]), fill)
    line[table["iscrowd"]] = _CROWD_STRIPE
    colors = np.concatenate([[_VOID], fill, [_VOID_STRIPE], line]).astype(np.uint8)

    y, x, period = _grid(rows.shape)
    kept = np.concatenate([[False], instance])[rows]
    crowd = np.concatenate([[False], table["iscrowd"]])[rows]
    marked = _border(rows) & kept
    marked |= crowd & ((x - y) % period < period / 4)
    marked |= (rows == 0) & ((x + y) % period < period / 4)
    return rows + marked * (len(table) + 1), colors


def error_rows(
    true_rows: np.ndarray, predicted_rows: np.ndarray, of_true: np.ndarray, of_predicted: np.ndarray
) -> np.ndarray:
    """The segment in error of each pixel, `[H, W]`: the true one's row, else T + the predicted one's.

    Args:
        true_rows, predicted_rows: row of each pixel, `[H, W]`.
        of_true, of_predicted: of `attribution.causes`, `[T]` and `[Q]`.
    """
    wrong_true = np.concatenate([[False], of_true != NO_ERROR])[true_rows]
    wrong_predicted = np.concatenate([[False], of_predicted != NO_ERROR])[predicted_rows]
    return np.where(wrong_true, true_rows, np.where(wrong_predicted, predicted_rows + len(of_true), 0))


def error_layer(
    true_rows: np.ndarray,
    predicted_rows: np.ndarray,
    pairs: SegmentPairs,
    of_true: np.ndarray,
    of_predicted: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Errors in the colours of their causes with both sides' outlines; what is right dimmed, void hatched.

    Args:
        true_rows, predicted_rows: row of each pixel, `[H, W]`.
        pairs: of the image, at any size.
        of_true, of_predicted: of `attribution.causes`, `[T]` and `[Q]`.
    """
    true_cause, predicted_cause = (
        np.concatenate([[NO_ERROR], cause])[rows]
        for cause, rows in ((of_true, true_rows), (of_predicted, predicted_rows))
    )
    cause = np.where(true_cause == NO_ERROR, predicted_cause, true_cause)
    y, x, period = _grid(true_rows.shape)
    strong = np.zeros(true_rows.shape, bool)
    for index, name in enumerate(CAUSES):
        strong |= (cause == index) & STYLES[name].pattern.strong(y, x, period)
    for side, rows in ((true_cause, true_rows), (predicted_cause, predicted_rows)):
        outline = _border(rows) & (side != NO_ERROR)
        cause, strong = np.where(outline, side, cause), strong | outline
    imprecise = (cause == NO_ERROR) & _differ(true_rows, predicted_rows, pairs)

    colors = [_RIGHT, _RIGHT_LINE, _VOID, _VOID_STRIPE, (*_rgb("imprecise"), _IMPRECISE)]
    first = len(colors)
    for name in CAUSES:
        colors += [(*_rgb(name), _WEAK), (*_rgb(name), _STRONG)]
    void = true_rows == 0
    number = np.where(_border(true_rows) & ~void, 1, 0)
    number = np.where(void, 2 + ((x + y) % period < period / 4), number)
    number = np.where(imprecise, 4, number)
    return np.where(cause == NO_ERROR, number, first + 2 * cause + strong), np.array(colors, np.uint8)


def _differ(true_rows: np.ndarray, predicted_rows: np.ndarray, pairs: SegmentPairs) -> np.ndarray:
    """Pixels that one mask of a match has and the other lacks, outside of void; bool `[H, W]`."""
    matches = pairs.matches
    partner = np.zeros(len(pairs.truth.segments) + 1, np.int64)
    partner[matches.true_row + 1] = matches.predicted_row + 1
    matched = np.zeros(len(pairs.prediction.segments) + 1, bool)
    matched[matches.predicted_row + 1] = True
    differ = (partner[true_rows] != predicted_rows) & ((partner[true_rows] > 0) | matched[predicted_rows])
    return differ & (true_rows > 0)


def _grid(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, int]:
    """Places of the pixels, and the period of patterns, which look alike at every size."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return y, x, max(6, round(max(shape) / _PERIODS))


def _border(rows: np.ndarray) -> np.ndarray:
    """Pixels along the inside of each segment's border, but not along the image's; bool `[H, W]`."""
    width = line_width(*rows.shape)
    return ~inside(np.pad(rows, width, mode="edge"), width)[width:-width, width:-width]


def _rgb(cause: str) -> tuple[int, ...]:
    return ImageColor.getrgb(STYLES[cause].color)
