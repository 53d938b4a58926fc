"""COCO panoptic format: a JSON of segments and one PNG of segment ids an image.

Source: the format section of https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.config import StrictConfig
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, ids_to_rgb, segment_rows, to_coco_segments

IMAGE_KEYS = {"id", "file_name", "height", "width"}
SEGMENT_KEYS = ("id", "category_id", "area")
MAX_ID = (1 << 24) - 1


class CocoSplitConfig(StrictConfig):
    """Where one split lies; relative paths start at the working directory."""

    images: str
    annotations: str
    panoptic: str


class CocoPanopticConfig(StrictConfig):
    """A dataset in COCO panoptic format."""

    name: Literal["coco_panoptic"] = "coco_panoptic"
    train: CocoSplitConfig
    val: CocoSplitConfig | None = None
    # JSON with the categories: a list, or a file with such a list under `categories`. By default the
    # training annotations; a list alone is enough to build a model or to convert weights without the data.
    categories: str | None = None


def load_coco_panoptic(config: CocoPanopticConfig, split: str) -> Dataset:
    """The dataset of a configuration's split, "train" or "val", with its categories matched by name.

    Raises:
        InputError: the configuration has no such split, or its files are wrong.
    """
    paths = {"train": config.train, "val": config.val}.get(split)
    if paths is None:
        raise InputError(f"data.{split}: not in the configuration; expected images, annotations and panoptic")
    table = load_coco_categories(config)
    dataset = read_coco_panoptic(paths.images, paths.annotations, paths.panoptic, categories=table)
    return replace(dataset, split=split)


def load_coco_categories(config: CocoPanopticConfig) -> CategoryTable:
    """The configuration's category table; reads one JSON, no image.

    Raises:
        InputError: the file is missing or holds no panoptic categories.
    """
    path = Path(config.categories or config.train.annotations)
    content = _parse_json(path)
    entries = content.get("categories") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a list of categories, or a JSON with one under categories")
    return CategoryTable.from_coco(entries, str(path))


def read_coco_panoptic(
    images_dir: str | Path,
    annotation_json: str | Path,
    panoptic_dir: str | Path,
    name: str = "coco_panoptic",
    categories: CategoryTable | None = None,
) -> Dataset:
    """The dataset of a COCO panoptic JSON with its images and PNGs; no pixel is read yet.

    Args:
        images_dir: folder that the JSON's image `file_name`s start from.
        annotation_json: the panoptic JSON, any category ids.
        panoptic_dir: folder that the JSON's annotation `file_name`s start from.
        name: the dataset's name.
        categories: a model's table. The file's categories are matched to it by name; those it lacks get ids
            after its own, so that their segments still count as truth. `truth_only` and `table_only` of the
            result name what did not match.

    Raises:
        InputError: a file is missing, the JSON is not a panoptic one, an id is unknown or used twice, or a
            category is a thing in one table and stuff in the other.
    """
    annotation_json = Path(annotation_json)
    content = _read_json(annotation_json)
    own = CategoryTable.from_coco(content["categories"], str(annotation_json))
    table = own if categories is None else join_categories(categories, own, str(annotation_json))
    by_name = table.by_name()
    category_ids = {c.source_id: by_name[c.name].id for c in own}
    annotations = _annotations_by_image(content["annotations"], annotation_json)
    records = []
    for entry in _images(content["images"], annotation_json):
        if entry["id"] not in annotations:
            raise InputError(f"{annotation_json}: image {entry['file_name']} (id {entry['id']}) has no annotation")
        annotation = annotations.pop(entry["id"])
        records.append(
            ImageRecord(
                image_path=Path(images_dir) / entry["file_name"],
                panoptic_path=Path(panoptic_dir) / annotation["file_name"],
                file_name=entry["file_name"],
                image_id=entry["id"],
                height=entry["height"],
                width=entry["width"],
                segments=_segments(annotation, category_ids, annotation_json),
                extra={key: value for key, value in entry.items() if key not in IMAGE_KEYS},
            )
        )
    if annotations:
        raise InputError(f"{annotation_json}: annotation of image id {next(iter(annotations))}, which is not in images")
    if not records:
        raise InputError(f"{annotation_json}: expected at least one image, found none")
    _require_files([r.image_path for r in records], annotation_json)
    _require_files([r.panoptic_path for r in records], annotation_json)
    given, found = {c.name for c in categories or own}, {c.name for c in own}
    return Dataset(
        name=name,
        split=annotation_json.stem,
        categories=table,
        records=tuple(records),
        truth_only=tuple(c.name for c in own if c.name not in given),
        table_only=tuple(c.name for c in categories or own if c.name not in found),
    )


def join_categories(table: CategoryTable, truth: CategoryTable, origin: str = "categories") -> CategoryTable:
    """`table` with the categories of `truth` that it lacks, by name, behind its own.

    An added category keeps its source id where that is free, else gets the next free one.

    Raises:
        InputError: a name is a thing in one table and stuff in the other.
    """
    joined, known = list(table), table.by_name()
    used = {c.source_id for c in table}
    for category in truth:
        match = known.get(category.name)
        if match is None:
            source_id = category.source_id if category.source_id not in used else max(used) + 1
            used.add(source_id)
            joined.append(replace(category, id=len(joined) + 1, source_id=source_id))
        elif match.isthing != category.isthing:
            truth_kind, own_kind = ("a thing", "stuff") if category.isthing else ("stuff", "a thing")
            raise InputError(f"{origin}: category {category.name} is {truth_kind}, the model has it as {own_kind}")
    return CategoryTable(tuple(joined))


def _read_json(path: Path) -> dict[str, Any]:
    """The JSON, with its three lists present."""
    content = _parse_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise InputError(f"{path}: expected a COCO panoptic JSON with the lists images, annotations and categories")
    return content


def _parse_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a COCO panoptic JSON") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def _images(entries: list[dict], origin: Path) -> list[dict]:
    """The `images` list, checked."""
    seen: dict[str, set] = {"id": set(), "file_name": set()}
    for entry in entries:
        _require_keys(entry, ("id", "file_name", "height", "width"), "image", origin)
        for key, values in seen.items():
            if entry[key] in values:
                raise InputError(f"{origin}: image {key} {entry[key]} used twice")
            values.add(entry[key])
        for key in ("height", "width"):
            if not isinstance(entry[key], int) or entry[key] < 1:
                raise InputError(
                    f"{origin}: image {entry['file_name']}: {key} must be at least 1, found {entry[key]!r}"
                )
    return entries


def _annotations_by_image(entries: list[dict], origin: Path) -> dict[Any, dict]:
    """The `annotations` list keyed by image id."""
    annotations: dict[Any, dict] = {}
    for entry in entries:
        if "segments_info" not in entry and ("segmentation" in entry or "bbox" in entry):
            raise InputError(f"{origin}: an instances JSON (no segments_info); expected a panoptic one")
        _require_keys(entry, ("image_id", "file_name", "segments_info"), "annotation", origin)
        if entry["image_id"] in annotations:
            raise InputError(f"{origin}: image id {entry['image_id']} has two annotations")
        annotations[entry["image_id"]] = entry
    return annotations


def _segments(annotation: dict, category_ids: dict[int, int], origin: Path) -> np.ndarray:
    """Segment table of one annotation, with our category ids."""
    rows, where = annotation["segments_info"], f"segment of {annotation['file_name']}"
    seen = set()
    for row in rows:
        _require_keys(row, SEGMENT_KEYS, where, origin)
        if row["category_id"] not in category_ids:
            raise InputError(f"{origin}: {where}: unknown category id {row['category_id']}, not in categories")
        if not isinstance(row["id"], int) or not 1 <= row["id"] <= MAX_ID:
            raise InputError(f"{origin}: {where}: id must be an integer 1..{MAX_ID}, found {row['id']!r}")
        if not isinstance(row["area"], int | float) or row["area"] < 0:
            raise InputError(f"{origin}: {where}: area must be a number of pixels, found {row['area']!r}")
        if row["id"] in seen:
            raise InputError(f"{origin}: {where}: id {row['id']} used twice")
        seen.add(row["id"])
    return segment_rows(
        [row["id"] for row in rows],
        [category_ids[row["category_id"]] for row in rows],
        [bool(row.get("iscrowd", 0)) for row in rows],
        [row["area"] for row in rows],
    )


def _require_keys(entry: Any, keys: tuple[str, ...], what: str, origin: Path) -> None:
    missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise InputError(f"{origin}: {what} {str(entry)[:80]} lacks {', '.join(missing)}")


def _require_files(paths: list[Path], origin: Path) -> None:
    """Checks that the files exist; lists every folder once, which is fast for 100,000 files."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        if path.parent not in names:
            try:
                names[path.parent] = set(os.listdir(path.parent))
            except OSError as error:
                raise InputError(f"{path.parent}: cannot list this folder ({error.strerror})") from None
        if path.name not in names[path.parent]:
            raise InputError(f"{path}: no such file, but {origin} lists it")


def write_coco_panoptic(
    folder: Path, categories: CategoryTable, scenes: Iterable[tuple[str, np.ndarray, SegmentMap]]
) -> None:
    """Writes `images/`, `panoptic/` and `panoptic.json` into `folder`, which exists and is empty.

    Args:
        folder: where to.
        categories: what the segments' categories mean.
        scenes: (name without suffix, uint8 `[H, W, 3]`, truth) of each image; images become PNGs.
    """
    for part in ("images", "panoptic"):
        (folder / part).mkdir()
    images, annotations = [], []
    for number, (name, image, truth) in enumerate(scenes):
        file_name = f"{name}.png"
        Image.fromarray(image).save(folder / "images" / file_name)
        Image.fromarray(ids_to_rgb(truth.ids)).save(folder / "panoptic" / file_name)
        height, width = truth.shape
        images.append({"id": number, "file_name": file_name, "height": height, "width": width})
        segments = to_coco_segments(truth, categories)
        annotations.append({"image_id": number, "file_name": file_name, "segments_info": segments})
    content = {"images": images, "annotations": annotations, "categories": categories.to_coco()}
    (folder / "panoptic.json").write_text(json.dumps(content))
