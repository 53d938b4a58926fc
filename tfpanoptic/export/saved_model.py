"""SavedModel with pre- and post-processing inside: it needs nothing but TensorFlow to run.

Signature `serving_default`: `image` uint8 `[B, H, W, 3]`, any size ->
    `panoptic` int32 `[B, H, W]`, segment ids at the images' own size, 0 void
    `segments` float32 `[B, N, 9]`, a row a segment, zeros in rows without one; the columns are named in
        `assets/segments.json`: id, category_id (the dataset's own), isthing, score, area, y1, x1, y2, x2
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import tensorflow as tf

from tfpanoptic.atomic import new_folder
from tfpanoptic.errors import InputError
from tfpanoptic.inference import SEGMENT_COLUMNS, segment_images, segment_table
from tfpanoptic.ops.tensorflow_only import require_tensorflow

# What TensorFlow writes; only a folder with nothing else is ever replaced.
CONTENTS = ("saved_model.pb", "fingerprint.pb", "variables", "assets")


class _Served(tf.Module):
    """What is saved: the variables, the assets and the signature's function."""

    def __init__(self, segmenter, assets: list[Path]):
        super().__init__()
        self.variables_of_network = [variable.value for variable in segmenter.variables]
        self.assets = [tf.saved_model.Asset(str(path)) for path in assets]

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="image")], autograph=False)
        def serve(image):
            segments = segment_images(segmenter.infer_network, image, segmenter.experiment, segmenter.categories)
            table = segment_table(segments, segmenter.categories)
            return {"panoptic": segments.segment_ids, "segments": table}

        self.serve = serve


def export_saved_model(segmenter, out: str | Path, overwrite: bool = False) -> None:
    """Writes the SavedModel, with `categories.json`, `config.yaml` and `segments.json` as assets.

    Raises:
        InputError: `out` exists and `overwrite` is False, or a category id of the dataset is beyond what the
            float32 table of segments holds exactly; or Keras runs on another backend.
    """
    require_tensorflow("export")
    for category in segmenter.categories:
        if not 0 <= category.source_id < 1 << 24:
            raise InputError(
                f"{out}: category {category.name} has the dataset id {category.source_id}; expected 0..16777215"
            )
    with new_folder(out, CONTENTS, overwrite) as folder, tempfile.TemporaryDirectory() as scratch:
        assets = _write_assets(segmenter, Path(scratch))
        served = _Served(segmenter, assets)
        tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve})


def _write_assets(segmenter, folder: Path) -> list[Path]:
    contents = {
        "categories.json": segmenter.categories.to_json(),
        "config.yaml": segmenter.experiment.to_yaml(),
        "segments.json": json.dumps({"columns": SEGMENT_COLUMNS}),
    }
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in contents]
