"""A model on datasets with truth: which ones it can be measured on, and what a report shows of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.dataset import Dataset, read_record_image, read_segment_map
from tfpanoptic.errors import InputError
from tfpanoptic.report.scenes import Scenes
from tfpanoptic.segment_map import SegmentMap
from tfpanoptic.segmenter import PanopticSegmenter


def matched_dataset(segmenter: PanopticSegmenter, images: Path, annotations: Path, panoptic: Path) -> Dataset:
    """Any COCO panoptic set for the evaluation of a model; categories are matched by name, images by file name.

    A category of the truth that the model lacks counts as missed. Segments of a category that the
    truth lacks are left out: nobody labelled them, so they can be neither right nor wrong.

    Raises:
        InputError: the set cannot be read, or shares no category with the model.
    """
    dataset = read_coco_panoptic(images, annotations, panoptic, categories=segmenter.categories)
    if len(dataset.table_only) == len(segmenter.categories):
        ours, theirs = (", ".join(names[:4]) for names in (dataset.table_only, dataset.truth_only))
        raise InputError(f"{annotations}: no category in common: the truth has {theirs}, the model has {ours}")
    return dataset


def scenes_of(segmenter: PanopticSegmenter, dataset: Dataset) -> Scenes:
    """What a report shows of an image: photo, truth and prediction, by the image's name."""
    records = {record.file_name: record for record in dataset.records}

    def scene(name: str) -> tuple[np.ndarray, SegmentMap, SegmentMap]:
        image = read_record_image(records[name])
        return image, read_segment_map(records[name]), segmenter.predicted(dataset, image)

    return scene


def tell_unmatched(dataset: Dataset) -> None:
    """Names on standard error the categories that only the dataset or only the model has."""
    for line in dataset.unmatched():
        print(line, file=sys.stderr)
