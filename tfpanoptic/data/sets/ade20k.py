"""ADE20K panoptic: 20,210 + 2,000 photos, 100 things and 50 stuff, in the files of Mask2Former's preparation.

The challenge's download (ADEChallengeData2016, with annotations_instance of ChallengeData2017) has no panoptic files.
Categories have ids from 0, as `datasets/prepare_ade20k_pan_seg.py` of
https://github.com/facebookresearch/Mask2Former writes them. That script paints things over stuff after it has listed
the stuff: a segment may have no pixel left, and areas are those before. The first start decodes all PNGs once and
leaves out what has no pixel; areas stay as they are, since published numbers are by them.

Source of the table: `ADE20K_150_CATEGORIES` in its `mask2former/data/datasets/register_ade20k_panoptic.py`.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import parse_json
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.layout import require_part, require_root, require_split
from tfpanoptic.data.scan import scan_maps
from tfpanoptic.data.segment_png import read_segment_ids
from tfpanoptic.data.sets.official import PanopticFiles, photos_of_folder, read_official
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath

TABLE = Path(__file__).parents[1] / "bundled" / "ade20k_categories.json"
IMAGES = {"train": "images/training", "val": "images/validation"}
LAYOUT = "images/{training,validation}/ of photos, ade20k_panoptic_{train,val}.json and ade20k_panoptic_{train,val}/"
PREPARATION = (
    "datasets/prepare_ade20k_pan_seg.py of Mask2Former makes the panoptic files from annotations/ and "
    "annotations_instance/"
)


class Ade20kConfig(DatasetConfig):
    """ADE20K panoptic."""

    name: Literal["ade20k"] = "ade20k"
    # The folder ADEChallengeData2016.
    root: FilePath


def load_ade20k(config: Ade20kConfig, split: str) -> Dataset:
    """The photos of images/training or images/validation.

    Raises:
        SettingError: a folder or the JSON is missing.
        InputError: another split, wrong files, or photos or PNGs that the JSON lists are missing.
    """
    require_split("ade20k", split)
    root = require_root(config.root, LAYOUT)
    images = require_part(root, [IMAGES[split]], LAYOUT)
    annotations, panoptic = (
        require_part(root, [name], LAYOUT, PREPARATION)
        for name in (f"ade20k_panoptic_{split}.json", f"ade20k_panoptic_{split}")
    )
    files = PanopticFiles(annotations, panoptic, images, photos_of_folder(images))
    return _without_covered(read_official("ade20k", split, ade20k_categories(config), files), annotations)


def _without_covered(dataset: Dataset, annotations: Path) -> Dataset:
    """The dataset without segments that have no pixel; standard error says how many there are."""
    paths = [record.panoptic_path for record in dataset.records]
    seen = [
        np.isin(record.segments["id"], contents.values)
        for record, contents in zip(
            dataset.records, scan_maps(paths, read_segment_ids, f"ade20k {dataset.split}: PNGs"), strict=True
        )
    ]
    covered = [int((~each).sum()) for each in seen]
    if any(covered):
        print(
            f"{annotations}: {sum(covered)} segments of {np.count_nonzero(covered)} images have no pixel, "
            "as things were painted over them; left out",
            file=sys.stderr,
        )
    records = (replace(r, segments=r.segments[each]) for r, each in zip(dataset.records, seen, strict=True))
    return replace(dataset, records=tuple(records), exact_areas=False)


def ade20k_categories(config: Ade20kConfig) -> CategoryTable:
    """The 150 categories; of the set's files none is read."""
    del config
    return CategoryTable.from_coco(parse_json(TABLE), str(TABLE))
