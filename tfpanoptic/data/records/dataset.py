"""Datasets out of TFRecord shards: our own records, and those of DeepLab2 and of TensorFlow's Model Garden."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import read_images, read_lists
from tfpanoptic.data.coco_panoptic import OFFICIAL, image_record, match_categories, named_categories
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.data.layout import NO_VALIDATION, require_split
from tfpanoptic.data.records.manifest import read_manifest, require_whole
from tfpanoptic.data.records.scan import scan
from tfpanoptic.data.records.schema import STORAGE
from tfpanoptic.data.records.tools import FIRST, TOOLS, Tool
from tfpanoptic.errors import InputError, SettingError, raise_first
from tfpanoptic.json_entry import integer
from tfpanoptic.segment_map import segment_rows
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath, PathSetting

# Labels that DeepLab2 gives to void, unless a category has them.
VOID_LABELS = (0, 255)
# `panoptic_label_divisor` in DeepLab2's `data/dataset.py`.
DIVISORS = {"coco": 256, "cityscapes": 1000, "ade20k": 1000}

# Start, number and count in the name of a shard.
_NUMBERED = re.compile(r"(.*?)(\d+)-of-(\d+).*")


class RecordsConfig(DatasetConfig):
    """A dataset in TFRecord shards."""

    name: Literal["records"] = "records"
    # Folders of the shards, as `tfpanoptic data records` or the tool has written them; a set may lack `val`.
    train: FilePath
    val: FilePath | None = None
    written_by: Literal["tfpanoptic", "deeplab2", "model_garden"] = "tfpanoptic"
    # A name as "coco" or "cityscapes", or a JSON with a list of categories, alone or under `categories`. Records of
    # tfpanoptic have their own; of other tools' records the labels are the ids of this list.
    categories: Annotated[str, PathSetting(names=tuple(OFFICIAL))] | None = None
    # Names of another tool's shards; `{split}` stands for train or val.
    pattern: str = "{split}-*.tfrecord"
    # For DeepLab2's records of categories of one's own: `panoptic_label_divisor` and `ignore_label` of its set.
    divisor: int | None = Field(None, ge=1)
    ignore_label: int | None = Field(None, ge=0)

    @property
    def has_val(self) -> bool:
        """Whether `val` says where a validation part lies."""
        return self.val is not None

    @model_validator(mode="after")
    def _other_tools_need_categories(self) -> RecordsConfig:
        if self.divisor is not None and self.written_by != "deeplab2":
            raise SettingError("data.divisor", f"is for records of deeplab2, found {self.written_by}")
        if self.written_by == "tfpanoptic":
            if self.ignore_label is not None:
                raise SettingError(
                    "data.ignore_label", "is for records of other tools; in those of tfpanoptic 0 is void"
                )
        elif self.categories is None:
            expected = f"{', '.join(OFFICIAL)} or a JSON; records of {self.written_by} do not name their categories"
            raise SettingError("data.categories", f"expected {expected}")
        elif self.written_by == "deeplab2" and self.divisor is None and self.categories not in DIVISORS:
            raise SettingError("data.divisor", "expected the panoptic_label_divisor that DeepLab2 wrote these with")
        return self


def load_records(config: RecordsConfig, split: str) -> Dataset:
    """The dataset of a configuration's split, "train" or "val".

    Raises:
        SettingError: the folder of the split is missing or has no shard.
        InputError: another split; a shard is missing, cut short or of another version; or training records with
            categories that `categories` lacks.
    """
    require_split("records", split)
    folder = config.train if split == "train" else config.val
    if folder is None:
        raise SettingError("data.val", NO_VALIDATION)
    if not Path(folder).is_dir():
        raise SettingError(f"data.{split}", f"{folder}: no such folder; expected one with TFRecord shards")
    table = records_categories(config)
    if config.written_by != "tfpanoptic":
        return _load_tool(config, Path(folder), split, table)
    dataset = read_records(Path(folder), table)
    if split == "train" and dataset.truth_only:
        missing = ", ".join(dataset.truth_only)
        raise InputError(f"data.categories: {config.categories} lacks the categories {missing} of {folder}")
    return replace(dataset, split=split)


def records_categories(config: RecordsConfig) -> CategoryTable:
    """The configuration's category table; no shard is read.

    Raises:
        InputError: the file with the categories, or the manifest, cannot be used.
    """
    if config.categories is not None:
        return named_categories(config.categories)
    return read_manifest(Path(config.train)).categories.require_panoptic_map(config.train)


def read_records(folder: Path, categories: CategoryTable | None = None) -> Dataset:
    """The dataset in a folder of our records; sizes of the shards are checked, none is read.

    Args:
        folder: with `manifest.json`.
        categories: a model's table, as in `read_coco_panoptic`.

    Raises:
        InputError: a file is missing, cut short or of another version, or they do not agree.
    """
    manifest = read_manifest(folder)
    require_whole(folder, manifest)
    path = folder / manifest.annotations.name
    sink = raise_first(path)
    lists = read_lists(path, sink)
    matched = match_categories(manifest.categories, categories, str(path))
    records = []
    for entry in read_images(lists, matched.ids, sink):
        extra = dict(entry.extra)
        try:
            shard = manifest.shards[integer(extra, "shard", 0, len(manifest.shards) - 1)]
            offset = integer(extra, "offset", 0, shard.bytes)
        except (InputError, KeyError) as error:
            raise InputError(f"{path}: image {entry.file_name}: no place in a shard ({error})") from None
        place = folder / shard.name
        left = {key: value for key, value in extra.items() if key not in ("shard", "offset")}
        records.append(replace(image_record(entry, place, place), extra=left, storage=STORAGE, offset=offset))
    if len(records) != manifest.images:
        raise InputError(f"{path}: {len(records)} images, but the manifest says {manifest.images}")
    table = matched.table
    return Dataset("records", folder.name, table, tuple(records), matched.truth_only, matched.table_only)


def _load_tool(config: RecordsConfig, folder: Path, split: str, table: CategoryTable) -> Dataset:
    """The dataset of another tool's shards, which are read once."""
    tool = TOOLS[config.written_by]
    pattern = config.pattern.replace("{split}", split)
    paths = sorted(path for path in folder.iterdir() if fnmatch(path.name, pattern))
    if not paths:
        raise SettingError("data.pattern", f"{folder / pattern}: no such file; expected the shards of {split}")
    _require_complete(folder, [path.name for path in paths])
    categories = _categories_by_label(config, table)
    void = _void_labels(config, categories)
    divisor = tool.divisor or config.divisor or DIVISORS[str(config.categories)]
    found = scan(paths, config.written_by, tool.describe)
    records = []
    for path, entries in found:
        for entry in entries:
            record = ImageRecord(
                path, path, entry["name"], entry["id"], entry["height"], entry["width"], np.array([]),
                storage=tool.storage, offset=entry["offset"],
            )  # fmt: skip
            records.append(_with_segments(record, entry, tool, divisor, categories, void, table))
    require_unlike(records)
    return Dataset(name="records", split=split, categories=table, records=tuple(records))


def _require_complete(folder: Path, names: list[str]) -> None:
    """Checks that of shards whose names say how many there are none is missing."""
    numbers: dict[tuple[str, str], set[int]] = {}
    for name in names:
        found = _NUMBERED.fullmatch(name)
        if found is not None:
            numbers.setdefault((found[1], found[3]), set()).add(int(found[2]))
    for (start, count), there in numbers.items():
        missing = sorted(set(range(int(count))) - there)
        if missing:
            raise InputError(
                f"{folder}: {start}{missing[0]:05d}-of-{count} is missing, {len(missing)} of {count} shards are"
            )


def _categories_by_label(config: RecordsConfig, table: CategoryTable) -> dict[int, int]:
    """A label of the records -> our category id."""
    if config.written_by == "deeplab2" and config.categories in OFFICIAL:
        first = 0 if config.categories == "cityscapes" else 1  # Cityscapes' train ids begin with 0, and 255 is void
        return {category.id - 1 + first: category.id for category in table}
    return {category.source_id: category.id for category in table}


def _void_labels(config: RecordsConfig, categories: dict[int, int]) -> set[int]:
    if config.ignore_label is not None:
        if config.ignore_label in categories:
            raise SettingError("data.ignore_label", f"{config.ignore_label} is the label of a category")
        return {config.ignore_label}
    return {label for label in VOID_LABELS if label not in categories}


def _with_segments(
    record: ImageRecord,
    entry: dict[str, Any],
    tool: Tool,
    divisor: int,
    categories: dict[int, int],
    void: set[int],
    table: CategoryTable,
) -> ImageRecord:
    """The record with the segments that the ids of its map mean."""
    ids, areas = np.array(entry["ids"], np.int64), np.array(entry["areas"], np.int64)
    labels, instances = np.divmod(ids - FIRST, divisor)
    ignored = np.isin(labels, list(void))
    unknown = labels[~ignored & ~np.isin(labels, list(categories))]
    if unknown.size:
        known = f"{min(categories)}..{max(categories)} and {', '.join(map(str, sorted(void)))} for void"
        raise InputError(
            f"{record.panoptic_name}: label {unknown[0]} is of no category; expected labels of {known} "
            f"(data.categories, data.divisor {divisor}, data.ignore_label)"
        )
    category = np.array([categories[label] for label in labels[~ignored].tolist()], np.int32)
    crowd = table.isthing[category] & (instances[~ignored] == 0) & tool.crowds
    segments = segment_rows(ids[~ignored], category, crowd, areas[~ignored])
    id_map = np.stack([ids, np.where(ignored, 0, ids)], axis=1).astype(np.int32)
    return replace(record, segments=segments, id_map=id_map)


def require_unlike(records: Iterable[ImageRecord]) -> None:
    """Checks that no two images have one name, by which evaluations know them.

    Raises:
        InputError: two have.
    """
    seen: dict[str, ImageRecord] = {}
    for record in records:
        other = seen.setdefault(record.file_name, record)
        if other is not record:
            places = f"{other.image_path} at byte {other.offset} and {record.image_path} at byte {record.offset}"
            raise InputError(f"image {record.file_name} is there twice, in {places}")
