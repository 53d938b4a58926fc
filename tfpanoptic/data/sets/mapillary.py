"""Mapillary Vistas 1.2 and 2.0 as downloaded: 18,000 + 2,000 photos.

Version 1.2 has 66 labels, of which 37 things and 28 stuff are evaluated; version 2.0 has 124, of which 70 things and
46 stuff are. The others (ambiguous ones, groups, unlabeled) count as void. What a label is says `config_v1.2.json` or
`config_v2.0.json` of the download; without it the tables here do. Categories have the ids of the panoptic JSON, the
label's place in that file + 1.

Sources of the tables: version 1.2, `MAPILLARY_VISTAS_SEM_SEG_CATEGORIES` in
`mask2former/data/datasets/register_mapillary_vistas.py` of https://github.com/facebookresearch/Mask2Former; version
2.0, the labels of `config_v2.0.json`, whose names and colours are also those of the format `mapillary_vistas` of
https://github.com/openvinotoolkit/datumaro and whose counts are those that the download's own page gives.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, WithJsonSchema

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.coco_json import parse_json
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.layout import require_part, require_root, require_split
from tfpanoptic.data.sets.official import PanopticFiles, photos_of_folder, read_official
from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import flag, integer, require_keys, text
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath

BUNDLED = Path(__file__).parents[1] / "bundled"
VERSIONS = (1.2, 2.0)
FOLDERS = {"train": "training", "val": "validation"}
YEARS = {1.2: 2018, 2.0: 2020}
LABEL_KEYS = frozenset(("name", "readable", "instances", "evaluate", "color"))


def _known_version(version: float) -> float:
    if version not in VERSIONS:
        raise ValueError(f"expected {' or '.join(map(str, VERSIONS))}")
    return version


class MapillaryConfig(DatasetConfig):
    """Mapillary Vistas."""

    name: Literal["mapillary"] = "mapillary"
    # The folder with training/, validation/ and, as a rule, config_v1.2.json and config_v2.0.json.
    root: FilePath
    # Of the annotations; one download may hold both.
    version: Annotated[float, AfterValidator(_known_version), WithJsonSchema({"enum": list(VERSIONS)})] = 1.2


class _Labels(NamedTuple):
    """The labels of a version.

    Attributes:
        table: the evaluated ones.
        known: what the panoptic JSON may call a label -> id in the table, 0 for one that is not evaluated.
    """

    table: CategoryTable
    known: Mapping[str, int]


def load_mapillary(config: MapillaryConfig, split: str) -> Dataset:
    """The photos of training/ or validation/.

    Raises:
        SettingError: a folder or the JSON is missing.
        InputError: another split, wrong files, or photos or PNGs that the JSON lists are missing.
    """
    require_split("mapillary", split)
    layout = _layout(config.version)
    root, folder = require_root(config.root, layout), FOLDERS[split]
    images = require_part(root, [f"{folder}/images"], layout)
    # Version 1.2 came without a folder of its own before there was another.
    places = [f"{folder}/v{config.version}/panoptic", *([f"{folder}/panoptic"] if config.version == 1.2 else [])]
    annotations = require_part(root, [f"{place}/panoptic_{YEARS[config.version]}.json" for place in places], layout)
    labels = _labels(config)
    files = PanopticFiles(annotations, annotations.parent, images, photos_of_folder(images))
    return read_official("mapillary", split, labels.table, files, labels.known)


def mapillary_categories(config: MapillaryConfig) -> CategoryTable:
    """The evaluated categories; of the set's files the list of labels alone is read, if it is there.

    Raises:
        InputError: that file is wrong.
    """
    return _labels(config).table


def _layout(version: float) -> str:
    return (
        f"{{training,validation}}/images/*.jpg and {{training,validation}}/v{version}/panoptic/ with "
        f"panoptic_{YEARS[version]}.json and its PNGs"
    )


def _labels(config: MapillaryConfig) -> _Labels:
    own = [f"config_v{config.version}.json", *(["config.json"] if config.version == 1.2 else [])]
    there = [path for name in own if os.path.isfile(path := Path(config.root) / name)]
    path = there[0] if there else BUNDLED / f"mapillary_vistas_v{config.version}_labels.json"
    content = parse_json(path)
    entries = content.get("labels") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected the list labels of Mapillary Vistas {config.version}")
    categories: list[Category] = []
    known: dict[str, int] = {}
    for place, entry in enumerate(entries):
        try:
            label = _label(entry)
        except InputError as error:
            raise InputError(f"{path}: labels[{place}]: {error}") from None
        number = 0
        if label["evaluate"]:
            number = len(categories) + 1
            categories.append(Category(number, label["readable"], label["instances"], label["color"], place + 1))
        known[label["name"]] = known[label["readable"]] = number
    return _Labels(CategoryTable(tuple(categories)), known)


def _label(entry: Any) -> dict[str, Any]:
    require_keys(entry, LABEL_KEYS)
    color = entry["color"]
    if not isinstance(color, list) or len(color) != 3:
        raise InputError(f"color must be [red, green, blue], found {color!r}")
    channels = tuple(integer({"color": channel}, "color", 0, 255) for channel in color)
    names = {key: text(entry, key).strip() for key in ("name", "readable")}
    return {**names, **{key: flag(entry, key) for key in ("instances", "evaluate")}, "color": channels}
