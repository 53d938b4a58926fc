"""Pictures of one image's truth, prediction and errors, small enough to be written into a page.

The photo is a JPEG; truth, prediction and errors are transparent layers over it with few colours, PNGs whose edges stay
sharp. Names are placed here and written by the page, so that they are sharp and can be read at any size.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures.attribution import CAUSES, NO_ERROR, STUFF_THING, WRONG_CATEGORY, causes
from tfpanoptic.evaluation.measures.matching import SegmentPairs, pair_segments
from tfpanoptic.report.causes import STYLES
from tfpanoptic.report.layers import error_layer, error_rows, segment_layer
from tfpanoptic.segment_map import SegmentMap, rows_of_pixels
from tfpanoptic.visualize.font import font_for
from tfpanoptic.visualize.labels import Label, label_texts, place_labels
from tfpanoptic.visualize.overlay import MAX_SCALE, enlarge_labels

VIEWS = ("truth", "prediction", "errors")
# Longest sides of the pictures in pixels: the first one that keeps an image's pictures within the bytes is taken. With
# base64 that is a third more on the page, about 4.5 MB for 12 images.
SIDES = (1300, 900, 640, 450)
MOST_BYTES = 280_000
JPEG_QUALITY = 82
# Names are placed for a picture that is shown at about half its size.
NAME_SCALE = 1.5
MOST_ERROR_NAMES = 30


@dataclass(frozen=True)
class ScenePictures:
    """The pictures of one image as data URIs.

    Attributes:
        height, width: of the layers, in pixels.
        photo: None where there is none.
        layers: by the names of `VIEWS`.
        names: texts and their boxes in pixels of the layers, by the same names.
        points: size of the names' letters in pixels.
    """

    height: int
    width: int
    photo: str | None
    layers: Mapping[str, str]
    names: Mapping[str, Sequence[Label]]
    points: float


def draw_scene(
    image: str, photo: np.ndarray | None, truth: SegmentMap, prediction: SegmentMap, categories: CategoryTable
) -> ScenePictures:
    """The pictures of one image.

    Args:
        image: its name, for messages.
        photo: uint8 `[H, W, 3]`, RGB, or None.
        truth: of the same size.
        prediction: of the same size.
        categories: of both.

    Raises:
        InputError: photo, truth and prediction do not fit together.
    """
    if photo is not None and (photo.dtype != np.uint8 or photo.shape != (*truth.shape, 3)):
        expected = f"uint8 {[*truth.shape, 3]}, the size of the truth"
        raise InputError(f"{image}: photo is {photo.dtype} {list(photo.shape)}, expected {expected}")
    try:
        pairs = pair_segments(truth, prediction, len(categories))
    except InputError as error:
        raise InputError(f"{image}: {error}") from None
    for side in SIDES:
        size, pictures = _draw(photo, pairs, categories, side)
        if size <= MOST_BYTES:
            break
    return pictures


def _draw(
    photo: np.ndarray | None, pairs: SegmentPairs, categories: CategoryTable, side: int
) -> tuple[int, ScenePictures]:
    """The bytes of the files, and the pictures, with a longest side of at most `side` pixels."""
    true_rows, predicted_rows = (_rows_at(each, side) for each in (pairs.truth, pairs.prediction))
    of_true, of_predicted, _ = causes(pairs, categories)
    wrong_rows = error_rows(true_rows, predicted_rows, of_true, of_predicted)
    font = font_for(tuple(round(NAME_SCALE * length) for length in true_rows.shape))
    layers, names = {}, {}
    for view, rows, segment_map in zip(VIEWS, (true_rows, predicted_rows), (pairs.truth, pairs.prediction)):
        layers[view] = segment_layer(rows, segment_map, categories, opaque=photo is None)
        things = categories.isthing[segment_map.segments["category"]]
        names[view] = place_labels(rows, label_texts(segment_map, categories), things, font)
    layers["errors"] = error_layer(true_rows, predicted_rows, pairs, of_true, of_predicted)
    texts = _error_texts(wrong_rows, pairs, of_true, of_predicted, categories)
    names["errors"] = place_labels(wrong_rows, texts, np.ones(len(texts), bool), font)

    files = {view: layer_png(*layer) for view, layer in layers.items()}
    photo_file = b"" if photo is None else _photo_jpeg(photo, side)
    height, width = true_rows.shape
    pictures = ScenePictures(
        height,
        width,
        _data_uri("image/jpeg", photo_file) if photo_file else None,
        {view: _data_uri("image/png", content) for view, content in files.items()},
        {view: list(placed.values()) for view, placed in names.items()},
        float(font.size),
    )
    return sum(map(len, files.values())) + len(photo_file), pictures


def _rows_at(segment_map: SegmentMap, side: int) -> np.ndarray:
    """Row + 1 of each pixel of a picture, int32: enlarged in whole steps, or thinned to the longest side."""
    rows = rows_of_pixels(segment_map)
    longest = max(rows.shape)
    if longest > side:
        y, x = (np.linspace(0.5, n - 0.5, max(1, round(n * side / longest))).astype(int) for n in rows.shape)
        return rows[np.ix_(y, x)]
    scale = 1
    while scale < MAX_SCALE and 2 * scale * longest <= side:
        scale *= 2
    return enlarge_labels(rows, scale)


def _error_texts(
    shown: np.ndarray, pairs: SegmentPairs, of_true: np.ndarray, of_predicted: np.ndarray, categories: CategoryTable
) -> list[tuple[str, ...]]:
    """What may be written at each segment of `shown`, which is of `error_rows`; the largest ones only."""
    swapped = {}
    t, p = pairs.true_row[pairs.both], pairs.predicted_row[pairs.both]
    for pair in np.flatnonzero((pairs.iou > 0.5) & ~pairs.same_category).tolist():
        swapped[int(t[pair])] = categories[int(pairs.prediction.segments["category"][p[pair]])].name
    single = len(categories.thing_ids) == 1
    texts: list[tuple[str, ...]] = []
    for segments, cause_of in ((pairs.truth.segments, of_true), (pairs.prediction.segments, of_predicted)):
        for row, cause in enumerate(cause_of.tolist()):
            category = categories[int(segments["category"][row])]
            label = STYLES[CAUSES[cause]].label.lower()
            if cause == NO_ERROR:
                texts.append(())
            elif cause in (WRONG_CATEGORY, STUFF_THING) and segments is pairs.truth.segments:
                texts.append((f"{category.name} as {swapped[row]}", label))
            elif single and category.isthing:
                texts.append((label,))
            else:
                texts.append((f"{label}: {category.name}", label))
    areas = np.bincount(shown.ravel(), minlength=len(texts) + 1)[1:]
    for row in np.argsort(-areas, kind="stable")[MOST_ERROR_NAMES:].tolist():
        texts[row] = ()
    return texts


def layer_png(numbers: np.ndarray, colors: np.ndarray) -> bytes:
    """A PNG of colours by number, with a palette where they are few enough."""
    used = np.flatnonzero(np.bincount(numbers.reshape(-1), minlength=len(colors)))
    kept, place = np.unique(colors[used], axis=0, return_inverse=True)
    number_of = np.zeros(len(colors), np.int64)
    number_of[used] = place.reshape(-1)
    numbers, colors = number_of[numbers], kept
    buffer = io.BytesIO()
    if len(colors) <= 256:
        picture = Image.fromarray(numbers.astype(np.uint8))
        picture.putpalette(colors[:, :3].tobytes())
        picture.save(buffer, "PNG", optimize=True, transparency=colors[:, 3].tobytes())
    else:
        Image.fromarray(colors[numbers]).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _photo_jpeg(photo: np.ndarray, side: int) -> bytes:
    picture = Image.fromarray(photo)
    scale = side / max(picture.size)
    if scale < 1:
        size = tuple(max(1, round(scale * length)) for length in picture.size)
        picture = picture.resize(size, Image.Resampling.LANCZOS)  # type: ignore[arg-type]
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
