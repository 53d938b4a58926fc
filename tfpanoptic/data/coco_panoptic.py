"""COCO panoptic format: a JSON of segments and one PNG of segment ids an image.

Source: the format section of https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.cityscapes_ids import cityscapes_categories
from tfpanoptic.data.coco_json import ImageEntry, read_category_list, read_images, read_lists
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.data.layout import NO_VALIDATION, require_path, require_split
from tfpanoptic.errors import InputError, SettingError, raise_first
from tfpanoptic.segment_map import SegmentMap, ids_to_rgb, to_coco_segments
from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath, PathSetting


class CocoFiles(NamedTuple):
    """Where a split in COCO panoptic format lies: folder of photos, panoptic JSON, folder of PNGs."""

    images: Path
    annotations: Path
    panoptic: Path


def files_in(folder: Path) -> CocoFiles:
    """Where a split lies in a folder of the layout of `write_coco_panoptic`."""
    return CocoFiles(folder / "images", folder / "panoptic.json", folder / "panoptic")


class CocoSplitConfig(StrictConfig):
    """Where one split lies; relative paths start at the configuration's folder, or else at the working directory."""

    images: FilePath
    annotations: FilePath
    panoptic: FilePath


class CocoPanopticConfig(DatasetConfig):
    """A dataset in COCO panoptic format."""

    name: Literal["coco_panoptic"] = "coco_panoptic"
    train: CocoSplitConfig
    # Without one, `val_share` takes it from the training images.
    val: CocoSplitConfig | None = None
    # The categories: "coco" or "cityscapes" for the official ones, or a JSON with a list of them, alone or under
    # `categories`; all those of the training annotations, and by default they themselves. A list alone is enough to
    # build a model or to convert weights.
    categories: Annotated[str, PathSetting(names=("coco", "cityscapes"))] | None = None

    @property
    def has_val(self) -> bool:
        """Whether `val` says where one lies."""
        return self.val is not None


def load_coco_panoptic(config: CocoPanopticConfig, split: str) -> Dataset:
    """The dataset of a configuration's split, "train" or "val", with its categories matched by name.

    Raises:
        SettingError: a file or a folder of the split is missing, or the categories'.
        InputError: another split, wrong files, or training annotations with categories that `categories` lacks.
    """
    require_split("coco_panoptic", split)
    paths = config.train if split == "train" else config.val
    if paths is None:
        raise SettingError("data.val", NO_VALIDATION)
    require_path(f"data.{split}.annotations", paths.annotations, "a COCO panoptic JSON")
    require_path(f"data.{split}.images", paths.images, "the folder of its photos")
    require_path(f"data.{split}.panoptic", paths.panoptic, "the folder of its PNGs")
    table = load_coco_categories(config)
    dataset = read_coco_panoptic(paths.images, paths.annotations, paths.panoptic, categories=table)
    if split == "train" and dataset.truth_only:
        raise InputError(
            f"data.categories: {config.categories} lacks the categories {', '.join(dataset.truth_only)} of the "
            f"training annotations {paths.annotations}; give a JSON that has them, or leave data.categories out"
        )
    return replace(dataset, split=split)


def coco_files(config: CocoPanopticConfig, split: str) -> CocoFiles | None:
    """Where a configuration's split lies, None without such a split; nothing is looked for."""
    paths = {"train": config.train, "val": config.val}.get(split)
    return CocoFiles(Path(paths.images), Path(paths.annotations), Path(paths.panoptic)) if paths else None


def load_coco_categories(config: CocoPanopticConfig) -> CategoryTable:
    """The configuration's category table; reads one JSON at most, no image.

    Raises:
        SettingError: the file is missing.
        InputError: it holds no panoptic categories.
    """
    if config.categories is None:
        expected = "a COCO panoptic JSON; data.categories=FILE gives another JSON with the categories"
        require_path("data.train.annotations", config.train.annotations, expected)
        return categories_of_file(Path(config.train.annotations))
    if config.categories not in OFFICIAL:
        require_path("data.categories", config.categories, f"{', '.join(OFFICIAL)} or a JSON with the categories")
    return named_categories(config.categories)


def coco_categories() -> CategoryTable:
    """COCO's 133 panoptic categories, 80 things and 53 stuff.

    Source: `panoptic_coco_categories.json` of the COCO panoptic API.
    """
    return categories_of_file(Path(__file__).parent / "bundled" / "coco_panoptic_categories.json")


# Tables that `categories` may name.
OFFICIAL = {"coco": coco_categories, "cityscapes": cityscapes_categories}


def named_categories(categories: str) -> CategoryTable:
    """The table of a name in `OFFICIAL` or of a file.

    Raises:
        InputError: as `categories_of_file`.
    """
    return OFFICIAL[categories]() if categories in OFFICIAL else categories_of_file(Path(categories))


def categories_of_file(path: Path) -> CategoryTable:
    """The table of a JSON that is a list of categories, or has one under `categories`.

    Raises:
        InputError: it holds no panoptic categories.
    """
    return CategoryTable.from_coco(read_category_list(path), str(path)).require_panoptic_map(str(path))


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
        InputError: a file is missing, the JSON is not a panoptic one or an entry of it has a wrong type or value, an
            id is unknown or used twice, or a category is a thing in one table and stuff in the other.
    """
    images_dir, annotation_json, panoptic_dir = Path(images_dir), Path(annotation_json), Path(panoptic_dir)
    sink = raise_first(annotation_json)
    lists = read_lists(annotation_json, sink)
    own = CategoryTable.from_coco(lists["categories"], str(annotation_json))
    matched = match_categories(own, categories, str(annotation_json))
    listing = FolderListing()
    records = image_records(
        annotation_json,
        lists,
        matched.ids,
        lambda entry: listing.require(images_dir / entry.file_name, annotation_json),
        lambda entry: listing.require(panoptic_dir / entry.png_name, annotation_json),
    )
    return Dataset(name, annotation_json.stem, matched.table, records, matched.truth_only, matched.table_only)


def image_records(
    annotation_json: Path,
    lists: dict[str, list[Any]],
    category_ids: dict[int, int],
    photo_of: Callable[[ImageEntry], Path],
    png_of: Callable[[ImageEntry], Path],
) -> tuple[ImageRecord, ...]:
    """The images of a panoptic JSON, in its order; no pixel is read yet.

    Args:
        annotation_json: the file, for messages.
        lists: its lists, by `coco_json.read_lists`.
        category_ids: the file's category id -> ours, 0 for a category that counts as void.
        photo_of: an image -> its photo.
        png_of: an image -> its PNG.

    Raises:
        InputError: as `read_coco_panoptic`, or what the two functions raise.
    """
    entries = list(read_images(lists, category_ids, raise_first(annotation_json)))
    if not entries:
        raise InputError(f"{annotation_json}: expected at least one image, found none")
    return tuple(image_record(entry, photo_of(entry), png_of(entry)) for entry in entries)


def image_record(entry: ImageEntry, photo: Path, png: Path) -> ImageRecord:
    """An image of a panoptic JSON with its files; segments of category 0 are void."""
    known, ids = entry.segments["category"] > 0, entry.segments["id"]
    return ImageRecord(
        image_path=photo,
        panoptic_path=png,
        file_name=entry.file_name,
        image_id=entry.image_id,
        height=entry.height,
        width=entry.width,
        segments=entry.segments[known],
        extra=entry.extra,
        id_map=None if known.all() else np.stack([ids, np.where(known, ids, 0)], axis=1),
    )


class MatchedCategories(NamedTuple):
    """The categories of a truth and of a model, matched by name.

    Attributes:
        table: the model's, with what it lacks behind.
        ids: the truth's source id -> the id in the table.
        truth_only, table_only: as of `Dataset`.
    """

    table: CategoryTable
    ids: dict[int, int]
    truth_only: tuple[str, ...]
    table_only: tuple[str, ...]


def match_categories(truth: CategoryTable, categories: CategoryTable | None, origin: str) -> MatchedCategories:
    """The categories of a truth, matched to those of a model, if there is one.

    Args:
        truth: the truth's.
        categories: the model's; None for the truth's own.
        origin: the truth's file, for messages.

    Raises:
        InputError: a category is a thing in one table and stuff in the other, or there are too many.
    """
    given = truth if categories is None else categories
    table = join_categories(given, truth, origin).require_panoptic_map(origin)
    joined, known, found = table.by_name(), given.by_name(), truth.by_name()
    return MatchedCategories(
        table,
        {c.source_id: joined[c.name].id for c in truth},
        tuple(name for name in found if name not in known),
        tuple(name for name in known if name not in found),
    )


def join_categories(table: CategoryTable, truth: Iterable[Category], origin: str = "categories") -> CategoryTable:
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
