"""SavedModel with pre- and post-processing inside: it needs nothing but TensorFlow to run.

Signature `serving_default`: `image` uint8 `[B, H, W, 3]`, any size ->
    `panoptic` int32 `[B, H, W]`, segment ids at the images' own size, 0 void
    `segments` float32 `[B, N, 9]`, a row a segment, zeros in rows without one; the columns are named in
        `assets/segments.json`: id, category_id (the dataset's own), isthing, score, area, y1, x1, y2, x2
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfpanoptic.atomic import new_folder
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.export.format import Format
from tfpanoptic.result import PanopticResult
from tfpanoptic.segment_map import SegmentMap, segment_rows

# Columns of the exported table of segments.
SEGMENT_COLUMNS = ("id", "category_id", "isthing", "score", "area", "y1", "x1", "y2", "x2")

# What TensorFlow writes; only a folder with nothing else is ever replaced.
CONTENTS = ("saved_model.pb", "fingerprint.pb", "variables", "assets")


def export_saved_model(segmenter, out: str | Path, overwrite: bool = False) -> None:
    """Writes the SavedModel, with `categories.json`, `config.yaml` and `segments.json` as assets.

    Raises:
        InputError: `out` exists and `overwrite` is False, or a category id of the dataset is beyond what the
            float32 table of segments holds exactly; or Keras runs on another backend.
    """
    import tensorflow as tf

    from tfpanoptic.ops.tensorflow_only import require_tensorflow

    require_tensorflow("export")
    for category in segmenter.categories:
        if not 0 <= category.source_id < 1 << 24:
            raise InputError(
                f"{out}: category {category.name} has the dataset id {category.source_id}; expected 0..16777215"
            )
    with new_folder(out, CONTENTS, overwrite) as folder, tempfile.TemporaryDirectory() as scratch:
        assets = _write_assets(segmenter, Path(scratch))
        served = _served(segmenter, assets)
        tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve})


def _served(segmenter, assets: list[Path]):
    """What is saved: the variables, the assets and the signature's function."""
    import tensorflow as tf

    from tfpanoptic.inference import segment_images, segment_table

    served = tf.Module()
    served.variables_of_network = [variable.value for variable in segmenter.variables]
    served.assets = [tf.saved_model.Asset(str(path)) for path in assets]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="image")], autograph=False)
    def serve(image):
        segments = segment_images(segmenter.infer_network, image, segmenter.experiment, segmenter.categories)
        return {"panoptic": segments.segment_ids, "segments": segment_table(segments, segmenter.categories)}

    served.serve = serve
    return served


def _write_assets(segmenter, folder: Path) -> list[Path]:
    contents = {
        "categories.json": segmenter.categories.to_json(),
        "config.yaml": segmenter.experiment.to_yaml(),
        "segments.json": json.dumps({"columns": SEGMENT_COLUMNS}),
    }
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in contents]


def open_saved_model(path: str | Path, threads: int | None = None) -> Callable[[np.ndarray], PanopticResult]:
    """The SavedModel as a function of one image; `threads` counts if TensorFlow has computed nothing yet."""
    segment = open_saved_model_batch(path, threads)
    return lambda image: segment(image[None])[0]


def open_saved_model_batch(
    path: str | Path, threads: int | None = None
) -> Callable[[np.ndarray], list[PanopticResult]]:
    """The SavedModel as a function of images of one size; `threads` as in `open_saved_model`."""
    import tensorflow as tf

    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    categories = CategoryTable.from_json((Path(path) / "assets" / "categories.json").read_text(encoding="utf-8"))
    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

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


def read_segments(panoptic: np.ndarray, segments: np.ndarray, categories: CategoryTable) -> SegmentMap:
    """Segment map of one image of the outputs: `panoptic` int32 `[H, W]`, `segments` float32 `[N, 9]`."""
    table = {name: segments[:, column] for column, name in enumerate(SEGMENT_COLUMNS)}
    rows = table["id"] > 0
    by_source = categories.by_source_id()
    ours = [by_source[int(source)].id for source in table["category_id"][rows]]
    ids = table["id"][rows].astype(np.int32)
    return SegmentMap(panoptic, segment_rows(ids, ours, None, table["area"][rows], table["score"][rows]))


FORMAT = Format(export_saved_model, open_saved_model, contents=CONTENTS, open_batch=open_saved_model_batch)
