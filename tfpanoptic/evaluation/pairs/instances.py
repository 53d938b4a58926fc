"""Separate instance results beside panoptic files: their AP takes the place of that of the panoptic results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.cityscapes_ids import with_ignored_instances
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures import cityscapes_ap, mask_ap
from tfpanoptic.evaluation.pairs.cityscapes import InstanceIdsFile
from tfpanoptic.evaluation.pairs.coco import FileSet, SegmentFile, fingerprint
from tfpanoptic.evaluation.pairs.instance_entries import (
    find_cityscapes_results,
    listed_masks,
    read_cityscapes_results,
    read_coco_instances,
    read_coco_results,
)
from tfpanoptic.segment_map import SegmentMap


@dataclass(frozen=True, eq=False)
class CocoInstances:
    """Results of one image, and its true instances; None for the things of the panoptic truth."""

    detections: list[dict[str, Any]]
    truth: list[dict[str, Any]] | None
    measure: str = "ap"

    def files(self) -> list[Path]:
        """None: the fingerprint of the file set holds the JSONs."""
        return []

    def count_rows(self, truth: SegmentMap, prediction: SegmentMap, categories: CategoryTable) -> np.ndarray:
        """The rows of mask AP, as of `mask_ap.count_rows`."""
        del prediction
        instances = mask_ap.instances_of_map(truth, categories) if self.truth is None else self.truth
        return mask_ap.count_instance_rows(instances, self.detections, categories)


@dataclass(frozen=True, eq=False)
class CityscapesInstances:
    """The results of one image.

    Attributes:
        path: the text file, None where there is none.
        folder: of all results.
        instance_ids: the truth's PNG of instance ids, None where the truth is a panoptic PNG.
    """

    path: Path | None
    folder: Path
    instance_ids: Path | None
    measure: str = "cityscapes_ap"

    def files(self) -> list[Path]:
        """The text file and its masks."""
        return [] if self.path is None else [self.path, *listed_masks(self.path)]

    def count_rows(self, truth: SegmentMap, prediction: SegmentMap, categories: CategoryTable) -> np.ndarray:
        """The rows of Cityscapes AP, as of `cityscapes_ap.count_rows`."""
        del prediction
        if self.instance_ids is not None:
            truth = with_ignored_instances(truth, self.instance_ids)
        if self.path is None:
            return cityscapes_ap.count_instance_rows(truth, (), categories)
        found = read_cityscapes_results(self.path, self.folder, truth.shape, categories)
        return cityscapes_ap.count_instance_rows(truth, found, categories)


@dataclass(frozen=True, eq=False)
class PanopticThings:
    """The things of a panoptic result, compared with a truth of instance ids as the benchmark of instances sees it.

    Attributes:
        instance_ids: the truth's PNG of instance ids.
    """

    instance_ids: Path
    measure: str = "cityscapes_ap"

    def files(self) -> list[Path]:
        """None beside those of truth and prediction."""
        return []

    def count_rows(self, truth: SegmentMap, prediction: SegmentMap, categories: CategoryTable) -> np.ndarray:
        """The rows of Cityscapes AP, as of `cityscapes_ap.count_rows`."""
        things = (
            (int(row["category"]), float(row["score"]), prediction.ids == row["id"])
            for row in prediction.segments
            if categories[int(row["category"])].isthing
        )
        truth = with_ignored_instances(truth, self.instance_ids)
        return cityscapes_ap.count_instance_rows(truth, things, categories)


def with_panoptic_things(files: FileSet) -> FileSet:
    """The files with the things of their panoptic results as instances, for measure "cityscapes_ap".

    Where the truth is in panoptic PNGs, they do not say where single caravans and trailers are; a note says so.
    Label maps are compared as they are.
    """
    if not all(isinstance(pair.truth, InstanceIdsFile) for pair in files.pairs):
        if not any(isinstance(pair.truth, SegmentFile) for pair in files.pairs):
            return files
        note = (
            "Cityscapes AP of a truth in panoptic PNGs: single caravans and trailers are void in it, which the "
            "benchmark does not excuse; its own number needs --gt-dir with PNGs of instance ids"
        )
        return replace(files, notes=(*files.notes, note))
    pairs = [replace(pair, instances=PanopticThings(pair.truth.path)) for pair in files.pairs]
    return replace(files, pairs=tuple(pairs))


def with_coco_instances(
    files: FileSet, results: str | Path, truth: str | Path | None = None, subset: bool = False
) -> FileSet:
    """The files with the instances of a COCO results JSON; measure "ap" is theirs.

    Args:
        files: of `read_coco_files`.
        results: the JSON, a list of detections.
        truth: COCO instances JSON; None for the things of the panoptic truth.
        subset: pass over detections in other images; a note tells in how many.

    Raises:
        InputError: as `instances.read_coco_results` and `instances.read_coco_instances`.
    """
    sizes = {pair.image_id: (pair.height, pair.width) for pair in files.pairs}
    if any(height is None for height, _ in sizes.values()):
        raise InputError(
            f"{results}: instance results in COCO format need a truth with --gt, which has the images' ids"
        )
    beyond: set[int | str] | None = set() if subset else None
    detections = read_coco_results(results, sizes, files.categories, beyond)  # type: ignore[arg-type]
    instances = None if truth is None else read_coco_instances(truth, sizes, files.categories)  # type: ignore[arg-type]
    pairs = [
        replace(
            p, instances=CocoInstances(detections[p.image_id], None if instances is None else instances[p.image_id])
        )
        for p in files.pairs
    ]
    source = fingerprint([results] if truth is None else [results, truth], [files.source])
    notes = files.notes
    if beyond:
        notes = (*notes, f"{results}: detections in {len(beyond)} images that the truth does not have; passed over")
    if not any(detections.values()):
        notes = (*notes, f"{results}: holds no detection of these images; every thing is missed")
    return replace(files, pairs=tuple(pairs), source=source, notes=notes, without_score=0)


def with_cityscapes_instances(files: FileSet, folder: str | Path, allow_missing: bool = False) -> FileSet:
    """The files with the instance results of a folder, a text file an image; measure "cityscapes_ap" is theirs.

    Args:
        files: of `read_cityscapes_files`.
        folder: of the results.
        allow_missing: take images without a text file as such in which nothing was found.

    Raises:
        InputError: as `instances.find_cityscapes_results`; or an image has no text file.
    """
    found = find_cityscapes_results(folder, [pair.name for pair in files.pairs])
    without = [pair.name for pair in files.pairs if pair.name not in found]
    if without and not allow_missing:
        raise InputError(
            f"{folder}: no text file of results for {len(without)} of {len(files.pairs)} images, first {without[0]}; "
            "--allow-missing counts their instances as missed"
        )
    pairs = []
    for pair in files.pairs:
        instance_ids = pair.truth.path if isinstance(pair.truth, InstanceIdsFile) else None
        pairs.append(replace(pair, instances=CityscapesInstances(found.get(pair.name), Path(folder), instance_ids)))
    source = fingerprint(sorted(found.values()), [files.source])
    return replace(files, pairs=tuple(pairs), source=source, without_score=0)
