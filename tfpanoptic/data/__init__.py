"""Datasets: records of images with panoptic truth, augmentation, and the way into a network.

A dataset is one file and one line here: its configuration class, a function
(configuration, "train" or "val") -> `Dataset`, and one configuration -> `CategoryTable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_panoptic import CocoPanopticConfig, load_coco_categories, load_coco_panoptic
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.label_space import label_space, remapped
from tfpanoptic.data.nuclei import NucleiConfig, load_nuclei, nuclei_categories
from tfpanoptic.data.shapes import ShapesConfig, load_shapes, shapes_categories
from tfpanoptic.data.shares import split_of


class DatasetKind(NamedTuple):
    """How a dataset is configured and read.

    Attributes:
        config: its class, a `DatasetConfig`.
        read: (configuration, "train" or "val") -> the set's own part, in its own categories.
        table: configuration -> its own categories; reads no image.
    """

    config: type
    read: Callable[[Any, str], Dataset]
    table: Callable[[Any], CategoryTable]

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
    "nuclei": DatasetKind(NucleiConfig, load_nuclei, nuclei_categories),
    "shapes": DatasetKind(ShapesConfig, load_shapes, shapes_categories),
    "coco_panoptic": DatasetKind(CocoPanopticConfig, load_coco_panoptic, load_coco_categories),
}
