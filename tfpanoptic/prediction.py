"""A model over many images: predictions as files, and any COCO panoptic set to evaluate it on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.dataset import Dataset, read_image, read_segment_map
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.report.scenes import Scenes
from tfpanoptic.progress import progress
from tfpanoptic.result import PanopticResult, save_results
from tfpanoptic.segment_map import SegmentMap
from tfpanoptic.segmenter import PanopticSegmenter

IMAGE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """The images among `paths`: files as they are, folders by what lies in them, sorted.

    Raises:
        InputError: a path does not exist, a folder holds no image, or two images have one name
            (their results would have one, too).
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise InputError(f"{path}: no image in this folder; expected {', '.join(IMAGE_SUFFIXES)}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file or folder; expected an image or a folder of images")
    names: dict[str, Path] = {}
    for path in found:
        if path.stem in names and path.resolve() == names[path.stem].resolve():
            raise InputError(f"{path}: given twice")
        if path.stem in names:
            raise InputError(f"{path}: has the name of {names[path.stem]}; results are named after the image")
        names[path.stem] = path
    return found


def write_predictions(
    segmenter: PanopticSegmenter, images: Sequence[Path], out: str | Path, overwrite: bool = False
) -> None:
    """Writes `panoptic.json`, `panoptic/NAME.png` and `overlay/NAME.png`; category ids are the dataset's own.

    Raises:
        InputError: an image cannot be read, or `out` exists; nothing is written then.
    """
    with progress("predict", len(images)) as track:

        def results() -> Iterator[PanopticResult]:
            for path in images:
                yield segmenter.segment(path)
                track.advance()

        save_results(results(), out, overwrite)


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
        image = read_image(records[name])
        return image, read_segment_map(records[name]), segmenter.predicted(dataset, image)

    return scene


def tell_unmatched(dataset: Dataset) -> None:
    """Names on standard error the categories that only the dataset or only the model has."""
    for line in dataset.unmatched():
        print(line, file=sys.stderr)
