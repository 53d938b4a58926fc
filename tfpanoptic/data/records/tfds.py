"""Sets that tensorflow-datasets has prepared, such as `coco/2017_panoptic`: its TFRecord shards, read as they are.

The package tells where the shards of a split are and what its labels are called; images and truth are read here, at
their offsets. Nothing is downloaded or prepared.

Features: `image`, `image/filename`, `image/id`, `panoptic_image`, and under `panoptic_objects` `id`, `label`,
`is_crowd` and `area`. Source: `tensorflow_datasets/object_detection/coco.py`.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_panoptic import OFFICIAL, named_categories
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.data.layout import require_split
from tfpanoptic.data.records.dataset import require_unlike
from tfpanoptic.data.records.scan import bytes_of, integers_of, scan, text_of
from tfpanoptic.data.storage import COCO_PNG, Storage
from tfpanoptic.errors import InputError, SettingError, first_line
from tfpanoptic.photo.image_file import open_image
from tfpanoptic.photo.pixels import upright_size
from tfpanoptic.segment_map import segment_rows
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath, PathSetting

STORAGE = Storage(COCO_PNG, "image", ("panoptic_image",))
_OBJECTS = "panoptic_objects"


class TfdsConfig(DatasetConfig):
    """A prepared set of tensorflow-datasets in the form of its `coco/2017_panoptic`."""

    name: Literal["tfds"] = "tfds"
    # As `tfds.load` takes it, with configuration and version: `coco/2017_panoptic:1.1.0`.
    builder: str = "coco/2017_panoptic"
    # The folder that holds prepared sets.
    data_dir: FilePath
    # Splits as `tfds.load` takes them: `train[:95%]`.
    train: str = "train"
    val: str = "validation"
    # Categories, matched by name, for tensorflow-datasets does not say which are things: a name, or a JSON with a list.
    categories: Annotated[str, PathSetting(names=tuple(OFFICIAL))] = "coco"


def load_tfds(config: TfdsConfig, split: str) -> Dataset:
    """The dataset of a configuration's split, "train" or "val".

    Raises:
        SettingError: tensorflow-datasets is not installed, or the set is not prepared, of another form or file format.
        InputError: another split, or a shard is missing or damaged.
    """
    require_split("tfds", split)
    part = config.train if split == "train" else config.val
    info = _info(config)
    places = _places(config, info, split, part)
    table, names = tfds_categories(config), list(info.features[_OBJECTS]["label"].names)
    known = table.by_name()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingError("data.categories", f"{config.categories} lacks {unknown[0]!r}, a label of {config.builder}")
    category_ids = [known[name].id for name in names]
    records = []
    shards = scan([Path(place.filename) for place in places], "tfds", _describe)
    for (path, entries), place in zip(shards, places):
        if len(entries) != place.examples_in_shard:
            raise InputError(f"{path}: {len(entries)} records, {config.builder} says {place.examples_in_shard}")
        chosen = entries[place.skip : place.skip + place.take]
        records += [_record(path, entry, category_ids) for entry in chosen]
    require_unlike(records)
    return Dataset(name="tfds", split=split, categories=table, records=tuple(records))


def tfds_categories(config: TfdsConfig) -> CategoryTable:
    """The configuration's category table; no shard is read.

    Raises:
        InputError: the file with the categories cannot be used.
    """
    return named_categories(config.categories)


def _info(config: TfdsConfig) -> Any:
    """What the package knows of the set in the folder."""
    try:
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        if (error.name or "") != "tensorflow_datasets":
            raise
        raise SettingError("data.name", "tfds needs tensorflow-datasets: pip install 'tfpanoptic[tfds]'") from None
    expected = f"expected a set that `tfds.load({config.builder!r}, data_dir=...)` has prepared"
    if not Path(config.data_dir).is_dir():
        raise SettingError("data.data_dir", f"{config.data_dir}: no such folder; {expected}")
    try:
        info = tfds.builder(config.builder, data_dir=config.data_dir, try_gcs=False).info
    except Exception as error:  # of its own and of the files it reads
        raise SettingError("data.builder", f"{config.builder}: {first_line(error)}; {expected}") from None
    if not info.splits:
        raise SettingError("data.builder", f"{config.builder}: not prepared in {config.data_dir}; {expected}")
    wanted = {"image", "image/filename", "image/id", "panoptic_image", _OBJECTS}
    missing = sorted(wanted - set(info.features))
    if missing:
        form = "expected the features of coco/2017_panoptic"
        raise SettingError("data.builder", f"{config.builder}: lacks {missing[0]}; {form}")
    if info.file_format != tfds.core.FileFormat.TFRECORD:
        raise SettingError("data.builder", f"{config.builder}: files of {info.file_format}; expected TFRecord")
    return info


def _places(config: TfdsConfig, info: Any, split: str, part: str) -> list[Any]:
    """The shards of a split, each with its `filename`, and which of its records: `take` of them after `skip`."""
    try:
        places = info.splits[part].file_instructions
    except Exception as error:
        known = ", ".join(info.splits)
        raise SettingError(f"data.{split}", f"{part}: {first_line(error)}; expected a part of {known}") from None
    if not places:
        raise SettingError(f"data.{split}", f"{part}: no image in it")
    return places


def _describe(example: Any) -> dict[str, Any]:
    """What is known of an image; see `scan`."""
    name = text_of(example, "image/filename")
    with open_image(BytesIO(bytes_of(example, "image")), name) as image:
        height, width = upright_size(image)
    bytes_of(example, "panoptic_image")
    ids = integers_of(example, f"{_OBJECTS}/id")
    columns = {key: integers_of(example, f"{_OBJECTS}/{key}", len(ids)) for key in ("label", "is_crowd", "area")}
    found = {"name": name, "id": integers_of(example, "image/id", 1)[0], "height": height, "width": width}
    return {**found, "ids": ids, **columns}


def _record(path: Path, entry: dict[str, Any], category_ids: list[int]) -> ImageRecord:
    categories = [category_ids[label] for label in entry["label"]]
    segments = segment_rows(entry["ids"], categories, entry["is_crowd"], entry["area"])
    return ImageRecord(
        path, path, entry["name"], entry["id"], entry["height"], entry["width"], segments,
        storage=STORAGE, offset=entry["offset"],
    )  # fmt: skip
