"""Datasets: records of images with panoptic truth, augmentation, and the way into a network.

A dataset is one file and one line here: its configuration class, a function
(configuration, "train" or "val") -> `Dataset`, and one configuration -> `CategoryTable`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_panoptic import CocoPanopticConfig, load_coco_categories, load_coco_panoptic
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.nuclei import NucleiConfig, load_nuclei, nuclei_categories
from tfpanoptic.data.records.dataset import RecordsConfig, load_records, records_categories
from tfpanoptic.data.records.tfds import TfdsConfig, load_tfds, tfds_categories
from tfpanoptic.data.shapes import ShapesConfig, load_shapes, shapes_categories


class DatasetKind(NamedTuple):
    """How a dataset is configured and read."""

    config: type
    load: Callable[[Any, str], Dataset]
    categories: Callable[[Any], CategoryTable]


DATASETS = {
    "nuclei": DatasetKind(NucleiConfig, load_nuclei, nuclei_categories),
    "shapes": DatasetKind(ShapesConfig, load_shapes, shapes_categories),
    "coco_panoptic": DatasetKind(CocoPanopticConfig, load_coco_panoptic, load_coco_categories),
    "records": DatasetKind(RecordsConfig, load_records, records_categories),
    "tfds": DatasetKind(TfdsConfig, load_tfds, tfds_categories),
}
