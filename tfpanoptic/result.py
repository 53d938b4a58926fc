"""PanopticResult: a segmented image as a person gets it back."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfpanoptic.atomic import new_folder, replace_file
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

    `folder/panoptic.json`, `folder/panoptic/NAME.png` and `folder/overlay/NAME.png`, NAME being the image's
    name without its ending. The files appear when the last one is done. Results are taken one at a time,
    so a generator of any length will do.

    Raises:
        InputError: the folder exists and is not empty (unless `overwrite`, which replaces older results and
            nothing else), cannot be written to, or two images have the same name.
    """
    folder = Path(folder)
    images: list[dict] = []
    annotations: list[dict] = []
    categories: CategoryTable | None = None
    names: dict[str, str] = {}
    with new_folder(folder, CONTENTS, overwrite) as partial:
        (partial / "panoptic").mkdir()
        (partial / "overlay").mkdir()
        for number, result in enumerate(results, start=1):
            image = result._coco_image(number)
            if result.stem in names:
                both = f"{names[result.stem]} and {image['file_name']}"
                raise InputError(f"{folder}: {both} would both be written as {result.stem}.png")
            names[result.stem] = image["file_name"]
            annotation, panoptic = result.to_coco(number, f"{result.stem}.png")
            (partial / "panoptic" / annotation["file_name"]).write_bytes(panoptic)
            (partial / "overlay" / annotation["file_name"]).write_bytes(_png(result.overlay()))
            images.append(image)
            annotations.append(annotation)
            categories = result.categories
        if categories is None:
            raise InputError(f"{folder}: no results to write; expected at least one")
        (partial / "panoptic.json").write_text(_coco_json(images, annotations, categories))
    return len(images)


def _coco_json(images: list[dict], annotations: list[dict], categories: CategoryTable) -> str:
    lists = {"images": images, "annotations": annotations, "categories": categories.to_coco()}
    return json.dumps({"info": {"image_ids": COUNTED_IDS}, **lists})


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
