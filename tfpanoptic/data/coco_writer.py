"""Sets of other formats written in COCO panoptic format: `images/`, `panoptic/`, `panoptic.json`, `conversion.json`.

Areas and boxes are those of the pixels that are written. Truth lies on the upright photo, as the library reads it.

Source: the format section of https://cocodataset.org/#format-data ("Panoptic Segmentation").
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tfpanoptic.atomic import new_folder, require_free, require_outside
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.conversions.source import Scene, Source
from tfpanoptic.data.conversions.tally import Tally
from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.errors import InputError, Problems, unwritten
from tfpanoptic.photo.image_file import load_pixels, open_image
from tfpanoptic.photo.pixels import TRANSPOSITIONS, exif_orientation, upright_size
from tfpanoptic.progress import progress
from tfpanoptic.segment_map import SegmentMap, extents, ids_to_rgb, to_coco_segments
from tfpanoptic.threads import in_order
from tfpanoptic.version import __version__

CONTENTS = ("images", "panoptic", "panoptic.json", "conversion.json")
# What becomes of photos, and what truth of a photo with an EXIF orientation is drawn on.
PHOTOS = ("copy", "hard-link", "symlink")
DRAWN_ON = ("auto", "upright", "stored")


@dataclass(frozen=True)
class WriteOptions:
    """How a set is written.

    Attributes:
        overwrite: replace an older one.
        photos: one of `PHOTOS`; hard links need the same file system, symbolic ones are absolute.
        drawn_on: one of `DRAWN_ON`: what the truth of a photo with an EXIF orientation was drawn on; "auto" goes by
            the sizes, and takes the upright photo where both have the same.
        skip_missing: leave out images whose photo is not on the disk.
        skip_damaged: leave out images whose photo or truth cannot be used.
        workers: threads; 0 for one a core.
    """

    overwrite: bool = False
    photos: str = "copy"
    drawn_on: str = "auto"
    skip_missing: bool = False
    skip_damaged: bool = False
    workers: int = 0


class _Written(NamedTuple):
    """One image that was written, and what was lost."""

    image: dict[str, Any]
    annotation: dict[str, Any]
    tally: Tally


def write_source(source: Source, out: Path, options: WriteOptions, origin: dict[str, Any]) -> dict[str, Any]:
    """Writes a set; nothing is there before all of it is.

    Args:
        source: the set.
        out: folder to make.
        options: how.
        origin: what `conversion.json` says of where the set is from.

    Returns:
        The content of `conversion.json`: `images`, `segments`, `crowds`, `segments_per_category`, `changes` (of
        `Tally.to_list`) and the origin.

    Raises:
        InputError: the folder cannot be written; photos are missing, or an image cannot be used, and are not to be
            left out; nothing is left.
        WorkFailed: the disk is full.
    """
    require_free(out, CONTENTS, options.overwrite)
    photos = {scene.photo.parent for scene in source.scenes if isinstance(scene.photo, Path)}
    require_outside(out, [*source.read, *photos])
    tally = Tally()
    tally.join(source.tally)
    scenes = _present(source.scenes, options.skip_missing, tally)
    names = _png_names(scenes)
    with new_folder(out, CONTENTS, options.overwrite) as folder:
        try:
            for part in ("images", "panoptic"):
                (folder / part).mkdir()
            write = partial(_write_scene, folder=folder, categories=source.categories, options=options)
            items = list(zip(scenes, names, strict=True))
            # Closed before the folder is: threads that are left would go on writing to it.
            with closing(in_order(write, items, options.workers)) as results, progress("images", len(scenes)) as track:
                written = []
                for result in results:
                    track.advance()
                    written += [result] if isinstance(result, _Written) else []
                    if isinstance(result, InputError):
                        _leave_out(result, tally, options.skip_damaged)
            if not written:
                raise InputError("no image is left that can be used; expected at least one")
            for image in written:
                tally.join(image.tally)
            report = {"tfpanoptic": __version__, **origin, **_counts(written, source.categories, tally)}
            _write_jsons(folder, source, written, report)
        except OSError as error:
            raise unwritten(out, error) from None
    return report


def _leave_out(error: InputError, tally: Tally, wanted: bool) -> None:
    if not wanted:
        raise InputError(f"{error}; --skip-damaged leaves such images out")
    tally.add("image-damaged", str(error))


def _present(scenes: Sequence[Scene], skip: bool, tally: Tally) -> list[Scene]:
    """The scenes whose photos exist."""
    listing = FolderListing()
    missing = [s for s in scenes if isinstance(s.photo, Path) and not listing.has(s.photo)]
    if missing and not skip:
        more = f", and {len(missing) - 1} more of {len(scenes)} photos" if len(missing) > 1 else ""
        raise InputError(f"{missing[0].photo}: no such file{more}; expected a photo, or --skip-missing")
    for scene in missing:
        tally.add("photo-missing", scene.file_name)
    gone = set(map(id, missing))
    return [scene for scene in scenes if id(scene) not in gone]


def _png_names(scenes: Sequence[Scene]) -> list[str]:
    """The name of each truth: the photo's with another ending; where two would be one, all have it behind their own.

    Raises:
        InputError: two photos of one name.
    """
    problems = Problems("in the names of photos")
    for name, count in Counter(scene.file_name for scene in scenes).items():
        if count > 1:
            problems.add(f"{name}: {count} images of this name; expected one")
    problems.check()
    names = [str(PurePosixPath(scene.file_name).with_suffix(".png")) for scene in scenes]
    return names if len(set(names)) == len(names) else [f"{scene.file_name}.png" for scene in scenes]


def _write_scene(
    item: tuple[Scene, str], folder: Path, categories: CategoryTable, options: WriteOptions
) -> _Written | InputError:
    """Writes one image; the error where it cannot be used."""
    scene, png_name = item
    tally = Tally()
    try:
        content = scene.photo if isinstance(scene.photo, Path) else BytesIO(scene.photo())
        name = str(content) if isinstance(content, Path) else scene.file_name
        with open_image(content, name) as image:
            orientation, stored, upright = exif_orientation(image), image.size[::-1], upright_size(image)
            load_pixels(image, name)
        truth = scene.read(tally)
        if orientation != 1:
            truth = _on_upright(truth, orientation, stored, upright, options.drawn_on, scene.file_name, tally)
        if truth.shape != upright:
            found, expected = (f"{height} x {width}" for height, width in (truth.shape, upright))
            raise InputError(f"{name}: {expected} (height x width), its truth {found}; expected one size")
        segments = _segments(truth, categories)
    except InputError as error:
        return error
    if not segments:
        tally.add("no-segment", scene.file_name)
    target = folder / "images" / scene.file_name
    png = folder / "panoptic" / png_name
    for path in (target, png):
        path.parent.mkdir(parents=True, exist_ok=True)
    _put_photo(content, target, options.photos)
    Image.fromarray(ids_to_rgb(truth.ids)).save(png)
    size = {"height": upright[0], "width": upright[1]}
    image_id = scene.entry["id"]
    return _Written(
        {"id": image_id, "file_name": scene.file_name, **size, **scene.entry},
        {"image_id": image_id, "file_name": png_name, "segments_info": segments},
        tally,
    )


def _on_upright(
    truth: SegmentMap,
    orientation: int,
    stored: tuple[int, int],
    upright: tuple[int, int],
    drawn_on: str,
    name: str,
    tally: Tally,
) -> SegmentMap:
    """The truth of a photo that its EXIF orientation turns or mirrors, as it lies on the upright photo."""
    if drawn_on == "upright" or (drawn_on == "auto" and truth.shape == upright):
        tally.add("orientation", f"{name} (orientation {orientation})")
        return truth
    if truth.shape != stored:
        return truth  # which fits neither
    tally.add("turned", f"{name} (orientation {orientation})")
    turned = Image.fromarray(truth.ids).transpose(TRANSPOSITIONS[orientation])
    return SegmentMap(np.asarray(turned, np.int32), truth.segments)


def _segments(truth: SegmentMap, categories: CategoryTable) -> list[dict[str, Any]]:
    """`segments_info` with the areas of the pixels; rows without a pixel are none.

    Raises:
        InputError: more segments than a PNG holds.
    """
    rows = truth.segments.copy()
    rows["area"] = extents(truth.ids).of(rows["id"]).areas
    if rows["id"].max(initial=0) >= 1 << 24:
        raise InputError(f"segment id {rows['id'].max()}; expected at most {(1 << 24) - 1}, as a PNG holds")
    entries = to_coco_segments(SegmentMap(truth.ids, rows[rows["area"] > 0]), categories)
    return [{key: value for key, value in entry.items() if key != "score"} for entry in entries]


def _put_photo(content: Path | BytesIO, target: Path, photos: str) -> None:
    """The photo, byte by byte as it is, or a link to it."""
    if isinstance(content, BytesIO):
        target.write_bytes(content.getvalue())
    elif photos == "symlink":
        target.symlink_to(content.resolve())
    elif photos == "hard-link":
        os.link(content.resolve(), target)
    else:
        shutil.copyfile(content, target)


def _counts(written: list[_Written], categories: CategoryTable, tally: Tally) -> dict[str, Any]:
    names = {category.source_id: category.name for category in categories}
    segments = [segment for image in written for segment in image.annotation["segments_info"]]
    uses = Counter(names[segment["category_id"]] for segment in segments)
    return {
        "images": len(written),
        "segments": len(segments),
        "crowds": sum(segment["iscrowd"] for segment in segments),
        "segments_per_category": {name: uses[name] for name in names.values()},
        "changes": tally.to_list(),
    }


def _write_jsons(folder: Path, source: Source, written: list[_Written], report: dict[str, Any]) -> None:
    content = {
        **source.extra,
        "images": [image.image for image in written],
        "annotations": [image.annotation for image in written],
        "categories": source.categories.to_coco() if source.entries is None else source.entries,
    }
    with (folder / "panoptic.json").open("w", encoding="utf-8") as file:
        json.dump(content, file)
    with (folder / "conversion.json").open("w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
        file.write("\n")
