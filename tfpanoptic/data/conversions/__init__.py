"""Sets in other formats, read as images with segment maps; `data.coco_writer` writes them in COCO panoptic format.

A kind is one file and one line here: (source, options) -> `Source`, the options it takes, and what the source is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tfpanoptic.data.conversions.cityscapes import open_cityscapes
from tfpanoptic.data.conversions.coco_instances import open_coco_instances
from tfpanoptic.data.conversions.coco_panoptic import open_coco_panoptic
from tfpanoptic.data.conversions.label_maps import open_label_maps
from tfpanoptic.data.conversions.labelme import open_labelme
from tfpanoptic.data.conversions.panoptic_2ch import open_panoptic_2ch
from tfpanoptic.data.conversions.source import ConversionOptions, Source


class Conversion(NamedTuple):
    """How a set in another format is read.

    Attributes:
        open: (where it lies, options) -> the set; it raises `InputError` for one that cannot be used.
        options: names in `ConversionOptions` that it looks at.
        source: what it expects where, for people.
    """

    open: Callable[[Path, ConversionOptions], Source]
    options: tuple[str, ...]
    source: str


CONVERSIONS = {
    "coco-instances": Conversion(
        open_coco_instances,
        ("images", "stuff", "rest", "overlap", "stuff_maps", "stuff_categories", "stuff_offset", "void", "no_crowds"),
        "an instances JSON, or a folder with one and images/",
    ),
    "coco-panoptic": Conversion(
        open_coco_panoptic, ("images", "panoptic", "stuff"), "a panoptic JSON, or a folder with panoptic.json"
    ),
    "cityscapes": Conversion(open_cityscapes, ("split",), "the folder with leftImg8bit/ and gtFine/"),
    "label-maps": Conversion(
        open_label_maps,
        ("images", "categories", "stuff", "rest", "void", "instances", "instance_only", "components"),
        "a folder with semantic/ and instance/, or of maps",
    ),
    "labelme": Conversion(
        open_labelme, ("images", "categories", "stuff", "rest", "overlap"), "a folder of labelme JSONs"
    ),
    "panoptic-2ch": Conversion(
        open_panoptic_2ch,
        ("images", "categories", "stuff", "rest", "void", "crowd"),
        "a folder of PNGs: red is the category id, green the instance",
    ),
}
