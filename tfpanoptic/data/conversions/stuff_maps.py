"""Maps of stuff that fill what no object covers: one grey PNG a photo whose values are category ids.

Source: COCO-Stuff's pixel maps (value = category id, 0 for none); its `stuffthingmaps` hold category id - 1 and 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.conversions.source import ConversionOptions, require_folder
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.data.label_maps import label_pixels
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.segment_map import relabel


@dataclass(frozen=True, eq=False)
class StuffMaps:
    """A folder of maps, `NAME.png` for the photo `NAME.jpg`.

    Attributes:
        folder: of the maps.
        table: categories; those of things are passed over.
        void: values that are void.
        offset: what is added to a value to make it a category id.
    """

    folder: Path
    table: CategoryTable
    void: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, options: ConversionOptions, table: CategoryTable, file_names: Sequence[str]) -> StuffMaps | None:
        """Those that the options name; None for none.

        Raises:
            InputError: options without a folder, no such folder, no category of stuff, or a photo lacks its map.
        """
        if options.stuff_maps is None:
            for name in ("stuff_categories", "stuff_offset"):
                if getattr(options, name) is not None:
                    raise InputError(f"--{name.replace('_', '-')}: expected --stuff-maps, too")
            return None
        require_folder(options.stuff_maps, "the folder of the stuff maps, --stuff-maps")
        if not set(table.stuff_ids) - ({table.by_name()[options.rest].id} if options.rest else set()):
            raise InputError("--stuff-maps: no category is stuff; expected --stuff-categories FILE, or --stuff NAMES")
        offset = options.stuff_offset or 0
        maps = cls(options.stuff_maps, table, (*options.void, 255 if offset else 0), offset)
        listing, problems = FolderListing(), Problems("in the stuff maps")
        for name in file_names:
            if not listing.has(maps._path(name)):
                problems.add(f"{maps._path(name)}: no such file; expected a map of stuff for {name}")
        problems.check()
        return maps

    def read(self, file_name: str, size: tuple[int, int], tally: Tally) -> np.ndarray:
        """Our ids of the stuff of a photo, int32 `[H, W]`, 0 where void.

        Raises:
            InputError: the map cannot be read, has another size, or a value of no category.
        """
        path = self._path(file_name)
        values = label_pixels(path)
        if values.ndim != 2:
            raise InputError(f"{path}: expected one channel, category ids, found {values.shape[-1]}")
        if values.shape != size:
            found, wanted = (f"{height} x {width}" for height, width in (values.shape, size))
            raise InputError(f"{path}: {found} (height x width), its photo is {wanted} in the JSON")
        present = np.unique(values).tolist()
        ids = {category.source_id - self.offset: category for category in self.table}
        strange = [value for value in present if value not in ids and value not in self.void]
        if strange:
            hint = "" if self.offset else "; maps that hold category id - 1 and 255 need --stuff-offset 1"
            raise InputError(
                f"{path}: value {strange[0]} is of no category; expected one of {sorted(ids)[:20]}, or a void one, "
                f"{', '.join(map(str, self.void))}{hint}"
            )
        if any(ids[value].isthing for value in present if value in ids and value not in self.void):
            tally.add("thing-in-stuff-map", path.name)
        stuff = [value for value in present if value in ids and not ids[value].isthing and value not in self.void]
        return relabel(values, stuff, [ids[value].id for value in stuff])

    def _path(self, file_name: str) -> Path:
        return self.folder / PurePosixPath(file_name.replace("\\", "/")).with_suffix(".png")
