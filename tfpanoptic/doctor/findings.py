"""What can be wrong with panoptic data, and the findings of one check."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

LEVELS = ("error", "warning", "info")
# Examples that are kept of each finding.
MOST_EXAMPLES = 10
# Segments of fewer pixels are named; own choice: one cell of a head at stride 4.
TINY_AREA = 16
# Images with a larger share of void are named. Own choice.
MUCH_VOID = 0.5


class Kind(NamedTuple):
    """One kind of finding: how bad it is, what it says of each of its cases, and what to do."""

    level: str
    what: str
    advice: str


# An error is what training or evaluation refuses, or what makes their numbers wrong.
KINDS = {
    "json-unreadable": Kind("error", "the JSON cannot be read", "give the panoptic JSON, or the folder that has it"),
    "json-instances": Kind(
        "error",
        "this is an *instances* JSON: masks of single objects, not segments of whole images",
        "give the panoptic JSON (COCO: panoptic_val2017.json with its folder of PNGs), or convert the data",
    ),
    "json-other": Kind(
        "error",
        "the JSON is no panoptic one",
        "it needs the lists images, annotations (with segments_info) and categories",
    ),
    "folder-missing": Kind("error", "folder not found", "give the right one with --images or --panoptic"),
    "no-images": Kind("error", "the JSON lists no image that can be used", "correct its lists images and annotations"),
    "no-category": Kind("error", "no category that can be used", "list the categories of the segments"),
    "isthing-missing": Kind(
        "error",
        "category without isthing",
        'add "isthing": 1 to categories with countable things and 0 to stuff; the JSON may be an instances one',
    ),
    "category-invalid": Kind("error", "category with a missing or wrong value", "correct the list categories"),
    "category-twice": Kind("error", "category id or name used twice", "give every category one id and one name"),
    "image-invalid": Kind("error", "entry of images with a missing or wrong value", "correct the entry"),
    "image-id-twice": Kind("error", "image id used twice", "give every image an id of its own"),
    "file-name-twice": Kind("error", "file name used twice", "list every image once"),
    "annotation-invalid": Kind("error", "annotation with a missing or wrong value", "correct the entry"),
    "annotation-twice": Kind("error", "second annotation of one image", "join the annotations, or remove one"),
    "image-without-annotation": Kind(
        "error", "image without an annotation", "add one (segments_info may be empty), or remove the image"
    ),
    "annotation-without-image": Kind(
        "error", "annotation of an image that is not listed", "list the image, or remove the annotation"
    ),
    "png-shared": Kind("error", "two annotations name one PNG", "give every image a PNG of its own"),
    "segment-invalid": Kind(
        "error",
        "segment with a missing or wrong value",
        "a segment needs id (1 to 16777215), category_id and area, integers; iscrowd is 0 or 1",
    ),
    "segment-twice": Kind("error", "segment id used twice in an image", "give the segments of an image different ids"),
    "category-unknown": Kind(
        "error", "segment of a category that is not listed", "list it in categories, or correct category_id"
    ),
    "stuff-crowd": Kind("error", "stuff marked as a crowd", "set iscrowd to 0: only things come in crowds"),
    "too-many-instances": Kind(
        "error", "more than 9,999 instances of a category in one image", "cut the image into tiles"
    ),
    "image-missing": Kind("error", "image file not found", "unpack it, or correct file_name or --images"),
    "image-unreadable": Kind("error", "image file damaged or no image", "copy it again"),
    "image-size": Kind("error", "image of another size than the JSON says", "correct height and width in the JSON"),
    "image-turned": Kind(
        "error",
        "photo that its EXIF orientation turns, while the JSON has the sides as they are stored",
        "remove the orientation from the photos if the truth fits them as stored, else turn the truth and the JSON",
    ),
    "png-missing": Kind("error", "truth PNG not found", "unpack it, or correct its file_name or --panoptic"),
    "png-unreadable": Kind("error", "truth PNG damaged", "copy it again"),
    "png-kind": Kind(
        "error",
        "truth is no RGB PNG of 8 bits a channel",
        "save segment ids as colours: id = R + 256 G + 65536 B, without compression losses",
    ),
    "png-size": Kind(
        "error",
        "truth PNG of another size than the JSON says",
        "correct the JSON, or resize the PNG with nearest neighbours",
    ),
    "id-unlisted": Kind(
        "error", "segment in the PNG that the JSON does not list", "list it, or set its pixels to 0, void"
    ),
    "id-absent": Kind("error", "segment in the JSON without a pixel in the PNG", "remove it from the JSON"),
    "area-differs": Kind(
        "error", "area in the JSON is not the number of pixels", "write the pixel counts: PQ is computed with area"
    ),
    "bbox-differs": Kind("warning", "bbox in the JSON is not that of the pixels", "write (x, y, width, height)"),
    "png-palette": Kind(
        "warning", "truth PNG with a palette, whose colours are read as ids", "save it as RGB, if the indices are meant"
    ),
    "stuff-pieces": Kind(
        "warning",
        "image with stuff of one category in several segments",
        "join them, or set isthing to 1 if they are things: networks give one segment of a stuff category",
    ),
    "no-segment": Kind("warning", "image without any segment", "annotate it, or remove it"),
    "much-void": Kind("warning", "image that is more than half void", "check that nothing was left out"),
    "category-unseen": Kind("warning", "category without a segment", "nothing teaches or measures it here"),
    "image-orientation": Kind(
        "warning",
        "photo that its EXIF orientation turns or mirrors",
        "see that the truth lies on the upright photo; if it was drawn on the stored one, remove the orientation",
    ),
    "image-copy": Kind("warning", "image that equals an earlier one, byte by byte", "remove one of them"),
    "split-copy": Kind(
        "warning", "image that equals one of the other split", "remove it: measuring on training images flatters"
    ),
    "no-things": Kind("info", "no category is a thing", "instances cannot be learned"),
    "no-stuff": Kind("info", "no category is stuff", "all that is no thing is void"),
    "crowd": Kind("info", "crowd: it counts as neither found nor missed", "nothing"),
    "tiny": Kind("info", f"segment of fewer than {TINY_AREA} pixels", "see the ceiling of small segments"),
    "unlisted-file": Kind("info", "file that the JSON does not list", "nothing, if it is meant so"),
}


class Findings:
    """The findings of one check: how often each kind was met, and its first cases."""

    def __init__(self):
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, code: str, example: str) -> None:
        """One more case of a kind.

        Raises:
            KeyError: no such kind; its cases would be lost.
        """
        if code not in KINDS:
            raise KeyError(code)
        self._counts[code] += 1
        examples = self._examples.setdefault(code, [])
        if len(examples) < MOST_EXAMPLES:
            examples.append(example)

    def to_list(self) -> list[dict[str, Any]]:
        """`{"level", "code", "what", "count", "examples", "advice"}` of each kind, errors first."""
        found = [
            {
                "level": kind.level,
                "code": code,
                "what": kind.what,
                "count": self._counts[code],
                "examples": self._examples[code],
                "advice": kind.advice,
            }
            for code, kind in KINDS.items()
            if self._counts[code]
        ]
        return sorted(found, key=lambda finding: LEVELS.index(finding["level"]))
