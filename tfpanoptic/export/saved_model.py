"""SavedModel with pre- and post-processing inside: it needs nothing but TensorFlow to run.

Signature `serving_default`: `image` uint8 `[B, H, W, 3]`, any size ->
    `panoptic` int32 `[B, H, W]`, segment ids at the images' own size, 0 void
    `segments` float32 `[B, N, 9]`, a row a segment, zeros in rows without one; the columns are named in
        `assets/segments.json`: id, category_id (the dataset's own), isthing, score, area, y1, x1, y2, x2
Signature `serve_bytes`: `image_bytes` string `[B]`, JPEG or PNG files, of different sizes ->
    `panoptic_png_bytes` string `[B]`, PNGs of segment ids as in COCO, id = R + 256 G + 65536 B
    `segments` as above
Signature `logits`: `image` as above -> the network's outputs by their names, at the heads' own stride, with
    `valid_size` int32 `[B, 2]`, (height, width) of the image in the network's input, and `input_size` of all of it

Photos are turned upright by their EXIF orientation, as in `segment`; the PNG has the upright size.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.atomic import new_folder
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError, WorkFailed, first_line
from tfpanoptic.export.format import Format
from tfpanoptic.export.origin import describe_origin
from tfpanoptic.result import PanopticResult
from tfpanoptic.segment_map import SegmentMap, segment_rows

# Of signatures and assets; `open_saved_model` reads no other.
FORMAT_VERSION = 2
# Columns of the exported table of segments.
SEGMENT_COLUMNS = ("id", "category_id", "isthing", "score", "area", "y1", "x1", "y2", "x2")
# What is written; only a folder with nothing else is ever replaced.
CONTENTS = ("saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra")

_EXPECTED = "expected a SavedModel as `tfpanoptic export` of this version writes it"


def export_saved_model(segmenter, out: str | Path, overwrite: bool = False) -> None:
    """Writes the SavedModel, with requests for warming up and four assets.

    These are `categories.json`, `config.yaml`, `segments.json`, the columns, and `origin.json`, the versions of what
    wrote it and the licence of the weights.

    Raises:
        InputError: `out` exists and `overwrite` is False, or a category id of the dataset is beyond what the
            float32 table of segments holds exactly; or Keras runs on another backend.
        WorkFailed: the disk is full.
    """
    import tensorflow as tf

    from tfpanoptic.ops.tensorflow_only import require_tensorflow

    require_tensorflow("export")
    for category in segmenter.categories:
        if not 0 <= category.source_id < 1 << 24:
            raise InputError(
                f"{out}: category {category.name} has the dataset id {category.source_id}; expected 0..16777215"
            )
    from tfpanoptic.export.signatures import signature_functions
    from tfpanoptic.export.warm_up import write_warm_up

    with new_folder(out, CONTENTS, overwrite) as folder, tempfile.TemporaryDirectory() as scratch:
        served = tf.Module()
        served.variables_of_network = [variable.value for variable in segmenter.variables]
        served.assets = [tf.saved_model.Asset(str(path)) for path in _write_assets(segmenter, Path(scratch))]
        functions = signature_functions(segmenter)
        try:
            tf.saved_model.save(served, str(folder), signatures=functions)
            write_warm_up(folder)
        except tf.errors.OpError as error:
            raise WorkFailed(f"{out}: cannot be written ({first_line(error)})") from None


def _write_assets(segmenter, folder: Path) -> list[Path]:
    origin = {"format_version": FORMAT_VERSION, **describe_origin(segmenter)}
    contents = {
        "categories.json": segmenter.categories.to_json(),
        "config.yaml": segmenter.experiment.to_yaml(),
        "segments.json": json.dumps({"columns": SEGMENT_COLUMNS}),
        "origin.json": json.dumps(origin, indent=2) + "\n",
    }
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in contents]


def open_saved_model(path: str | Path, threads: int | None = None) -> Callable[[np.ndarray], PanopticResult]:
    """The SavedModel as a function of one image; `threads` counts if TensorFlow has computed nothing yet.

    Raises:
        InputError: no SavedModel of ours, one of another version, or damaged.
    """
    segment = open_saved_model_batch(path, threads)
    return lambda image: segment(image[None])[0]


def open_saved_model_batch(
    path: str | Path, threads: int | None = None
) -> Callable[[np.ndarray], list[PanopticResult]]:
    """The SavedModel as a function of images of one size; `threads` and errors as of `open_saved_model`."""
    import tensorflow as tf

    path = Path(path)
    categories = _read_assets(path)
    if threads is not None:
        with contextlib.suppress(RuntimeError):  # TensorFlow computes already, with as many as it has
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    try:
        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serving_default"]
    except (OSError, ValueError, LookupError, RuntimeError, tf.errors.OpError) as error:
        raise InputError(f"{path}: damaged ({first_line(error)}); {_EXPECTED}") from None

    def segment(images: np.ndarray) -> list[PanopticResult]:
        served = serve(image=tf.constant(images))
        maps = zip(served["panoptic"].numpy(), served["segments"].numpy(), strict=True)
        segment_maps = [read_segments(*each, categories) for each in maps]
        return [
            PanopticResult.from_segment_map(each, categories, image)
            for each, image in zip(segment_maps, images, strict=True)
        ]

    segment.loaded = loaded  # type: ignore[attr-defined]  # its variables live as long as it does
    return segment


def _read_assets(path: Path) -> CategoryTable:
    """The category table, after the version is checked."""
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; {_EXPECTED}")
    if not (path / "saved_model.pb").is_file():
        raise InputError(f"{path}: no saved_model.pb; {_EXPECTED}")
    origin, categories = (_asset(path, name) for name in ("origin.json", "categories.json"))
    try:
        written: Any = json.loads(origin)
        version, by = written["format_version"], written["tfpanoptic"]
        table = CategoryTable.from_json(categories)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path / 'assets'}: damaged ({first_line(error)}); {_EXPECTED}") from None
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: a SavedModel of version {version}, written by tfpanoptic {by}; "
            f"expected version {FORMAT_VERSION}: export the model again"
        )
    return table


def _asset(path: Path, name: str) -> str:
    try:
        return (path / "assets" / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path / 'assets' / name}: cannot be read; {_EXPECTED}") from None


def read_segments(panoptic: np.ndarray, segments: np.ndarray, categories: CategoryTable) -> SegmentMap:
    """Segment map of one image of the outputs: `panoptic` int32 `[H, W]`, `segments` float32 `[N, 9]`."""
    table = {name: segments[:, column] for column, name in enumerate(SEGMENT_COLUMNS)}
    rows = table["id"] > 0
    by_source = categories.by_source_id()
    ours = [by_source[int(source)].id for source in table["category_id"][rows]]
    ids = table["id"][rows].astype(np.int32)
    return SegmentMap(panoptic, segment_rows(ids, ours, None, table["area"][rows], table["score"][rows]))


FORMAT = Format(export_saved_model, open_saved_model, contents=CONTENTS, open_batch=open_saved_model_batch)
