"""Datasets: records of images with panoptic truth, augmentation, and the way into a network.

A dataset is one file and one line here: its configuration class, a function
(configuration, "train" or "val") -> `Dataset`, and one configuration -> `CategoryTable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_panoptic import (
    CocoFiles,
    CocoPanopticConfig,
    coco_files,
    load_coco_categories,
    load_coco_panoptic,
)
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.label_space import label_space, remapped
from tfpanoptic.data.records.dataset import RecordsConfig, load_records, records_categories
from tfpanoptic.data.records.tfds import TfdsConfig, load_tfds, tfds_categories
from tfpanoptic.data.sets.ade20k import Ade20kConfig, ade20k_categories, load_ade20k
from tfpanoptic.data.sets.cityscapes import CityscapesConfig, cityscapes_set_categories, load_cityscapes
from tfpanoptic.data.sets.coco import CocoConfig, coco_set_categories, coco_set_files, load_coco
from tfpanoptic.data.sets.custom import CustomConfig, custom_categories, custom_files, load_custom
from tfpanoptic.data.sets.mapillary import MapillaryConfig, load_mapillary, mapillary_categories
from tfpanoptic.data.sets.nuclei import NucleiConfig, load_nuclei, nuclei_categories, nuclei_files
from tfpanoptic.data.sets.shapes import ShapesConfig, load_shapes, shapes_categories, shapes_files
from tfpanoptic.data.shares import split_of


class DatasetKind(NamedTuple):
    """How a dataset is configured and read.

    Attributes:
        config: its class, a `DatasetConfig`.
        read: (configuration, "train" or "val") -> the set's own part, in its own categories.
        table: configuration -> its own categories; reads no image.
        coco_files: for sets in COCO panoptic format, (configuration, "train" or "val") -> where the part lies, or None:
            so `doctor` finds all that is wrong in it, where `read` stops at the first problem.
    """

    config: type
    read: Callable[[Any, str], Dataset]
    table: Callable[[Any], CategoryTable]
    coco_files: Callable[[Any, str], CocoFiles | None] | None = None

    def load(self, config: Any, split: str) -> Dataset:
        """A split as everyone sees it: of the share that the configuration says, in the categories of its `remap`.

        Args:
            config: of the class `config`.
            split: "train", "val" or, where images choose weights that are not reported, "select".

        Raises:
            InputError: as `read`, `data.shares.split_of` and `data.label_space.remapped`.
        """
        return self.load_splits(config, (split,))[split]

    def load_splits(self, config: Any, splits: Iterable[str]) -> dict[str, Dataset]:
        """Several splits; the files of each part are read once."""
        parts = cache(lambda part: self.read(config, part))
        datasets = {split: split_of(config, split, parts) for split in splits}
        if config.remap is None:
            return datasets
        return {split: remapped(dataset, config.remap) for split, dataset in datasets.items()}

    def categories(self, config: Any) -> CategoryTable:
        """The category table, after the configuration's `remap`.

        Raises:
            InputError: as `table` and `data.label_space.label_space`.
        """
        table = self.table(config)
        return table if config.remap is None else label_space(table, config.remap).categories


DATASETS = {
    "nuclei": DatasetKind(NucleiConfig, load_nuclei, nuclei_categories, nuclei_files),
    "shapes": DatasetKind(ShapesConfig, load_shapes, shapes_categories, shapes_files),
    "coco": DatasetKind(CocoConfig, load_coco, coco_set_categories, coco_set_files),
    "cityscapes": DatasetKind(CityscapesConfig, load_cityscapes, cityscapes_set_categories),
    "ade20k": DatasetKind(Ade20kConfig, load_ade20k, ade20k_categories),
    "mapillary": DatasetKind(MapillaryConfig, load_mapillary, mapillary_categories),
    "custom": DatasetKind(CustomConfig, load_custom, custom_categories, custom_files),
    "coco_panoptic": DatasetKind(CocoPanopticConfig, load_coco_panoptic, load_coco_categories, coco_files),
    "records": DatasetKind(RecordsConfig, load_records, records_categories),
    "tfds": DatasetKind(TfdsConfig, load_tfds, tfds_categories),
}
