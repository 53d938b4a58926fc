"""COCO's two-channel PNGs: red is the category id, green the instance.

Stuff has instance 0. Things count from 0; 255 marks a crowd, as in the example files of the COCO panoptic API. (Its
converter, which is for predictions, knows no crowd.)

Source: the COCO panoptic API, `converters/2channels2panoptic_coco_format.py` and `sample_data`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tfpanoptic.data.conversions.map_folders import map_categories, with_photos
from tfpanoptic.data.conversions.source import ConversionOptions, Source, require_folder
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.label_maps import LabelMapFile, label_map_files
from tfpanoptic.errors import Problems
from tfpanoptic.segment_map import SegmentMap

CROWD = 255


def open_panoptic_2ch(source: Path, options: ConversionOptions) -> Source:
    """The images of a folder of two-channel PNGs; category 0 is void.

    Args:
        source: the folder.
        options: see `CONVERSIONS`; `crowd` is the instance number of crowds, below 0 for none.

    Raises:
        InputError: no such folder or file, or wrong categories.
    """
    require_folder(source, "a folder of two-channel PNGs")
    problems = Problems("in the PNGs")
    table, entries = map_categories(options)
    crowd = CROWD if options.crowd is None else options.crowd
    maps = {
        name: partial(_read, file=LabelMapFile(path, None, table, False, crowd, (0, *options.void)))
        for name, path in label_map_files(source, problems).items()
    }
    return with_photos(maps, source, options, table, entries, problems)


def _read(tally: Tally, file: LabelMapFile) -> SegmentMap:
    return file.read()
