"""PanopticResult: a segmented image as a person gets it back."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from tfpanoptic.atomic import replace_file, require_free
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import COUNTED_IDS
from tfpanoptic.segment_map import SegmentMap, ids_to_rgb, to_coco_segments

# What `save_results` writes.
CONTENTS = ("panoptic.json", "panoptic", "overlay")
_MAX_GROUPS_IN_REPR = 8
_DOTS_PER_INCH, _MAX_INCHES = 100, 12.0


@dataclass(frozen=True, eq=False, repr=False)
class PanopticResult:
    """One image's segments with the names of their categories.

    Attributes:
        segment_map: the segments, at the image's own size.
        categories: what they can be.
        image: uint8 `[H, W, 3]`, RGB, what pictures are drawn over; None draws the segments alone.
        name: the image's file name, None for an image without one.
    """

    segment_map: SegmentMap
    categories: CategoryTable
    image: np.ndarray | None = None
    name: str | None = None

    @classmethod
    def from_segment_map(
        cls,
        segment_map: SegmentMap,
        categories: CategoryTable,
        image: np.ndarray | None = None,
        name: str | None = None,
    ) -> PanopticResult:
        """The result of a segment map, after checking that the parts belong together.

        Raises:
            InputError: the image is not uint8 RGB of the segment map's size, a segment is of no known
                category, or two segments have the same id or id 0.
        """
        height, width = segment_map.shape
        if image is not None and (image.shape != (height, width, 3) or image.dtype != np.uint8):
            found = f"{image.dtype} {list(image.shape)}"
            raise InputError(f"{name or 'image'}: expected uint8 [{height}, {width}, 3], found {found}")
        rows = segment_map.segments
        unknown = sorted(set(rows["category"].tolist()) - set(categories.ids))
        if unknown:
            raise InputError(f"{name or 'segment map'}: category {unknown[0]} is not in 1..{len(categories)}")
        if len(np.unique(rows["id"])) < len(rows) or (rows["id"] == 0).any():
            raise InputError(f"{name or 'segment map'}: expected distinct segment ids above 0, found {rows['id']}")
        return cls(segment_map, categories, image, name)

    @property
    def segmentation(self) -> np.ndarray:
        """Segment id of each pixel, int32 `[H, W]`, 0 where void."""
        return self.segment_map.ids

    @cached_property
    def segments_info(self) -> list[dict[str, Any]]:
        """One dict a segment: id, category_id, name, isthing, score, area, bbox, iscrowd.

        `category_id` is the dataset's own, `bbox` is (x, y, width, height), and lengths are in pixels,
        all as in COCO files.
        """
        known = self.categories.by_source_id()
        return [
            {**segment, "name": known[segment["category_id"]].name, "isthing": known[segment["category_id"]].isthing}
            for segment in to_coco_segments(self.segment_map, self.categories)
        ]

    def overlay(self, alpha: float = 0.6, labels: bool = True, scale: int | None = None) -> np.ndarray:
        """The segments drawn over the image, uint8; see `visualize.overlay.draw_overlay`."""
        from tfpanoptic.visualize.overlay import draw_overlay

        return draw_overlay(self.image, self.segment_map, self.categories, alpha, labels, scale)

    def plot(self, ax=None):
        """Shows the overlay in a matplotlib Axes, a new one if none is given, and returns it.

        Raises:
            InputError: matplotlib is not installed.
        """
        try:
            from matplotlib import pyplot
        except ImportError:
            raise InputError("plot needs matplotlib, which is not installed: pip install tfpanoptic[viz]") from None
        picture = self.overlay()
        if ax is None:
            inches = np.array([picture.shape[1], picture.shape[0]]) / _DOTS_PER_INCH
            _, ax = pyplot.subplots(figsize=inches * min(1.0, _MAX_INCHES / inches.max()), layout="constrained")
        ax.imshow(picture)
        ax.set_axis_off()
        if self.name:
            ax.set_title(self.name)
        return ax

    def to_coco(self, image_id: int, file_name: str) -> tuple[dict[str, Any], bytes]:
        """The annotation of a COCO panoptic JSON, and the bytes of its PNG.

        Args:
            image_id: as in the JSON's list of images.
            file_name: of the PNG, as the annotation names it.

        Raises:
            InputError: a segment id does not fit the PNG (more than 24 bits).
        """
        annotation = {
            "image_id": image_id,
            "file_name": file_name,
            "segments_info": to_coco_segments(self.segment_map, self.categories),
        }
        return annotation, _png(ids_to_rgb(self.segmentation))

    def to_coco_rle(self, image_id: int) -> list[dict[str, Any]]:
        """A COCO annotation with RLE for each segment; see `adapters.coco_rle.to_coco_rle`."""
        from tfpanoptic.adapters.coco_rle import to_coco_rle

        return to_coco_rle(self.segment_map, self.categories, image_id)

    @classmethod
    def from_coco_rle(cls, annotations, categories: CategoryTable, size=None, image=None, name=None) -> PanopticResult:
        """The result of an image's COCO annotations; see `adapters.coco_rle.from_coco_rle`."""
        from tfpanoptic.adapters.coco_rle import from_coco_rle

        return cls.from_segment_map(from_coco_rle(annotations, categories, size), categories, image, name)

    def to_transformers(self, id2label=None) -> dict[str, Any]:
        """`segmentation` and `segments_info` of Transformers; see `adapters.transformers.to_transformers`."""
        from tfpanoptic.adapters.transformers import to_transformers

        return to_transformers(self.segment_map, self.categories, id2label)

    @classmethod
    def from_transformers(
        cls, prediction, categories: CategoryTable, id2label, image=None, name=None
    ) -> PanopticResult:
        """The result of what Transformers says of an image; see `adapters.transformers.from_transformers`."""
        from tfpanoptic.adapters.transformers import from_transformers

        return cls.from_segment_map(from_transformers(prediction, categories, id2label), categories, image, name)

    def to_detectron2(self, metadata=None) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """Detectron2's `(panoptic_seg, segments_info)`; see `adapters.detectron2.to_detectron2`."""
        from tfpanoptic.adapters.detectron2 import to_detectron2

        return to_detectron2(self.segment_map, self.categories, metadata)

    @classmethod
    def from_detectron2(
        cls, panoptic_seg, categories: CategoryTable, metadata, image=None, name=None
    ) -> PanopticResult:
        """The result of Detectron2's pair; see `adapters.detectron2.from_detectron2`."""
        from tfpanoptic.adapters.detectron2 import from_detectron2

        return cls.from_segment_map(from_detectron2(panoptic_seg, categories, metadata), categories, image, name)

    def to_supervision(self, id2label=None) -> Any:
        """`supervision.Detections`; see `adapters.supervision.to_supervision`."""
        from tfpanoptic.adapters.supervision import to_supervision

        return to_supervision(self.segment_map, self.categories, id2label)

    @classmethod
    def from_supervision(
        cls, detections, categories: CategoryTable, id2label=None, image=None, name=None
    ) -> PanopticResult:
        """The result of `supervision.Detections` with masks; see `adapters.supervision.from_supervision`."""
        from tfpanoptic.adapters.supervision import from_supervision

        return cls.from_segment_map(from_supervision(detections, categories, id2label), categories, image, name)

    def save(self, folder: str | Path, name: str | None = None) -> dict[str, Path]:
        """Writes NAME_overlay.png, NAME_panoptic.png and NAME.json (COCO panoptic format) into `folder`.

        Files of these names are replaced; none is ever there in part.

        Args:
            folder: made if it does not exist.
            name: what the files are called; by default the image's name without its ending.

        Returns:
            The paths, under "overlay", "panoptic" and "json".

        Raises:
            InputError: the folder cannot be made or written to.
        """
        folder, name = Path(folder), name or self.stem
        annotation, panoptic = self.to_coco(1, f"{name}_panoptic.png")
        replace_file(folder / f"{name}_overlay.png", _png(self.overlay()))
        replace_file(folder / f"{name}_panoptic.png", panoptic)
        replace_file(folder / f"{name}.json", _coco_json([self._coco_image(1)], [annotation], self.categories))
        return {
            "overlay": folder / f"{name}_overlay.png",
            "panoptic": folder / f"{name}_panoptic.png",
            "json": folder / f"{name}.json",
        }

    @property
    def stem(self) -> str:
        """The image's name without its ending, "result" if it has none: what files are called."""
        return Path(self.name).stem if self.name else "result"

    def _coco_image(self, image_id: int) -> dict[str, Any]:
        height, width = self.segment_map.shape
        return {"id": image_id, "file_name": self.name or self.stem, "height": height, "width": width}

    def _repr_png_(self) -> bytes:
        """The overlay as a PNG: notebooks show it."""
        return _png(self.overlay())

    def __repr__(self) -> str:
        """The size, how many instances of each thing, and which stuff."""
        height, width = self.segment_map.shape
        counts: Counter[str] = Counter()
        for segment in self.segments_info:
            counts[segment["name"] + " crowd" * segment["iscrowd"]] += 1
        things = {self.categories[i].name for i in self.categories.thing_ids}
        groups = [f"{count} {name}" for name, count in counts.most_common() if name in things]
        groups += [name for name in counts if name not in things]
        if len(groups) > _MAX_GROUPS_IN_REPR:
            groups[_MAX_GROUPS_IN_REPR:] = [f"{len(groups) - _MAX_GROUPS_IN_REPR} more"]
        title = f"{self.name!r}, " if self.name else ""
        return f"PanopticResult({title}{height} x {width}: {', '.join(groups) or 'no segments'})"


def save_results(results: Iterable[PanopticResult], folder: str | Path, overwrite: bool = False) -> int:
    """Writes many results as one COCO panoptic set with pictures, and returns how many.

    `folder/panoptic.json`, `folder/panoptic/NAME.png` and `folder/overlay/NAME.png`, NAME being the image's name
    without its ending, with its folders if it is a relative path. Results are taken one at a time, so a generator of
    any length will do, and each is written at once: where one cannot be made or written, those before it stay, and the
    JSON lists them.

    Raises:
        InputError: the folder exists and is not empty (unless `overwrite`, which replaces older results and
            nothing else, once the first new one is there), cannot be written to, two images have the same name, or
            there are no results.
    """
    written = _ResultFolder(Path(folder), overwrite)
    try:
        for result in results:
            written.add(result)
    except BaseException:
        with suppress(InputError):  # the first error tells more
            written.finish()
        raise
    written.finish()
    if not written.images:
        raise InputError(f"{folder}: no results to write; expected at least one")
    return len(written.images)


class _ResultFolder:
    """A COCO panoptic set with pictures that grows by a result at a time; its JSON lists what is there.

    Args:
        folder: where to.
        overwrite: replace older results once the first new one comes.
    """

    def __init__(self, folder: Path, overwrite: bool):
        require_free(folder, CONTENTS, overwrite)
        self.folder = folder
        self.images: list[dict] = []
        self.annotations: list[dict] = []
        self._categories: CategoryTable | None = None
        self._names: dict[str, str] = {}
        self._listed = 0  # results that the JSON lists
        self._next_listing = 0.0

    def add(self, result: PanopticResult) -> None:
        """Writes one more result; the JSON follows at once, or soon where it is long."""
        number = len(self.images) + 1
        image, name = result._coco_image(number), _path_without_ending(result)
        if name in self._names:
            both = f"{self._names[name]} and {image['file_name']}"
            raise InputError(f"{self.folder}: {both} would both be written as {name}.png")
        annotation, panoptic = result.to_coco(number, f"{name}.png")
        overlay = _png(result.overlay())
        if number == 1:
            self._remove_older()
        self._names[name] = image["file_name"]
        self._categories = result.categories
        paths = [self.folder / part / annotation["file_name"] for part in ("panoptic", "overlay")]
        try:
            for path, content in zip(paths, (panoptic, overlay)):
                replace_file(path, content)
        except BaseException:
            _remove(paths)
            raise
        self.images.append(image)
        self.annotations.append(annotation)
        if time.monotonic() >= self._next_listing:
            began = time.monotonic()
            self._list()
            # Not more than a twentieth of the time: the JSON of a large set takes longer with each image.
            self._next_listing = time.monotonic() + 20 * (time.monotonic() - began)

    def finish(self) -> None:
        """Lists what is there.

        Raises:
            InputError: the list could not be written; the last results gave way until it could, or the older one holds.
        """
        failure = None
        while self._listed < len(self.images):
            try:
                self._list()
            except InputError as error:
                failure = error
                self.images.pop()
                name = self.annotations.pop()["file_name"]
                _remove([self.folder / part / name for part in ("panoptic", "overlay")])
        if failure is not None:
            raise failure

    def _list(self) -> None:
        assert self._categories is not None
        replace_file(self.folder / "panoptic.json", _coco_json(self.images, self.annotations, self._categories))
        self._listed = len(self.images)

    def _remove_older(self) -> None:
        _remove([self.folder / "panoptic.json"])
        for part in ("panoptic", "overlay"):
            shutil.rmtree(self.folder / part, ignore_errors=True)


def _path_without_ending(result: PanopticResult) -> str:
    """What a result's files are called below their folders: the image's name, with its folders if it is relative."""
    path = PurePosixPath(Path(result.name or result.stem).as_posix())
    if path.is_absolute() or ".." in path.parts:
        return result.stem
    return str(path.with_suffix(""))


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _coco_json(images: list[dict], annotations: list[dict], categories: CategoryTable) -> str:
    lists = {"images": images, "annotations": annotations, "categories": categories.to_coco()}
    return json.dumps({"info": {"image_ids": COUNTED_IDS}, **lists})


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
