"""Label maps: a semantic and an instance image a photo, or one instance image alone; see `data.label_maps`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.connected_components import connected_components
from tfpanoptic.data.conversions.category_file import table_of
from tfpanoptic.data.conversions.map_folders import map_categories, with_photos
from tfpanoptic.data.conversions.source import ConversionOptions, Source, require_folder
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.label_maps import (
    VOID_VALUES,
    LabelMapFile,
    instance_numbers,
    label_map_files,
    numbered_segments,
)
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.segment_map import SegmentMap

# The instance number of a thing that says it has none. Source: as in `evaluation.pairs.label_maps`.
NO_NUMBER = 0


def open_label_maps(source: Path, options: ConversionOptions) -> Source:
    """The images of a folder of label maps.

    A thing with instance number 0 is a crowd. Without things, maps of category ids are enough. Of
    maps that hold instance numbers alone, 0 and `void` are void.

    Args:
        source: a folder in a form of `data.label_maps`; or of category ids, with instance numbers in the folder
            `instances`; or, with `instance_only`, of instance numbers.
        options: see `CONVERSIONS`.

    Raises:
        InputError: no such folder or file, wrong categories, or, told together, maps that lack their partner.
    """
    require_folder(source, "a folder of label maps")
    problems = Problems("in the label maps")
    if options.instance_only is not None:
        return _instances_alone(source, options, problems)
    table, entries = map_categories(options)
    folder = source / "semantic" if (source / "semantic").is_dir() else source
    beside = source / "instance" if folder != source else None
    components = options.components or not table.thing_ids
    instance_folder = None if components else options.instances or beside
    semantic = label_map_files(folder, problems)
    instance = label_map_files(instance_folder, problems) if instance_folder else {}
    maps = {}
    for name, path in semantic.items():
        if instance_folder is not None and name not in instance:
            problems.add(f"{path}: no image of this name in {instance_folder}")
        void = (*VOID_VALUES, *options.void)
        file = LabelMapFile(path, instance.get(name), table, components, NO_NUMBER, void)
        maps[name] = partial(_read, file=file)
    return with_photos(maps, source, options, table, entries, problems)


def _read(tally: Tally, file: LabelMapFile) -> SegmentMap:
    truth = file.read()
    for row in truth.segments[truth.segments["iscrowd"]]:
        name = file.categories[int(row["category"])].name
        tally.add("crowd", f"{file.path.name} ({name}), {row['area']:.0f} pixels")
    return truth


def _instances_alone(source: Path, options: ConversionOptions, problems: Problems) -> Source:
    """The set of instance maps of one category."""
    for name in ("categories", "instances", "stuff"):
        if getattr(options, name):
            raise InputError(f"--instance-only names the only category; expected no --{name}")
    given = [{"id": 1, "name": options.instance_only, "isthing": 1}]
    table, entries = table_of(given, options.rest, "--instance-only")
    folder = source / "instance" if (source / "instance").is_dir() else source
    void = (0, *options.void)
    maps: dict[str, Callable[[Tally], SegmentMap]] = {
        name: partial(_read_alone, path=path, table=table, void=void, components=options.components)
        for name, path in label_map_files(folder, problems).items()
    }
    return with_photos(maps, source, options, table, entries, problems)


def _read_alone(tally: Tally, path: Path, table: CategoryTable, void: tuple[int, ...], components: bool) -> SegmentMap:
    numbers = instance_numbers(path)
    nothing = (numbers[..., None] == void).any(axis=-1)
    if components:
        numbers = connected_components(numbers)
    elif len(np.unique(numbers[~nothing])) == 1:
        tally.add("one-instance", path.name)
    return numbered_segments((~nothing).astype(int), numbers, table, None)
