"""A model over many images: predictions as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tfpanoptic.data.folder_listing import IMAGE_SUFFIXES, files_below
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.predict.tiles import TiledSegmenter
from tfpanoptic.progress import progress
from tfpanoptic.result import PanopticResult, save_results
from tfpanoptic.segmenter import PanopticSegmenter


class Photo(NamedTuple):
    """An image to segment.

    Attributes:
        path: where it is.
        name: what results are named after: the file's name, of one in a sub-folder its path below the given folder.
    """

    path: Path
    name: str


def find_images(paths: Sequence[str | Path], recursive: bool = False) -> list[Photo]:
    """The images among `paths`: files as they are, folders by what lies in them, sorted.

    Args:
        paths: images and folders. Hidden files of folders are left out.
        recursive: take the images of sub-folders, too.

    Raises:
        InputError: there are none, a path does not exist, a folder holds no image, or two images have one name
            (their results would have one, too).
    """
    if not paths:
        raise InputError("no image is given; expected images or folders of images")
    found: list[Photo] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += _images_in(path, recursive)
        elif path.is_file():
            found.append(Photo(path, path.name))
        else:
            raise InputError(f"{path}: no such file or folder; expected an image or a folder of images")
    names: dict[Path, Path] = {}
    for path, name in found:
        stem = Path(name).with_suffix("")
        if stem in names and path.resolve() == names[stem].resolve():
            raise InputError(f"{path}: given twice")
        if stem in names:
            raise InputError(f"{path}: has the name of {names[stem]}; results are named after the image")
        names[stem] = path
    return found


def _images_in(folder: Path, recursive: bool) -> list[Photo]:
    inside = _photos(folder, files_below(folder, "*") if recursive else folder.iterdir())
    if inside:
        return inside
    below = [] if recursive else _photos(folder, files_below(folder, "*"))
    if below:
        told = f"none in this folder itself, {len(below)} in its sub-folders, first {below[0].name}"
        raise InputError(f"{folder}: {told}; --recursive takes those")
    raise InputError(f"{folder}: no image in this folder; expected {', '.join(IMAGE_SUFFIXES)}")


def _photos(folder: Path, paths: Iterable[Path]) -> list[Photo]:
    """The visible images among paths below a folder, sorted."""
    images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    named = [Photo(path, path.relative_to(folder).as_posix()) for path in sorted(images)]
    return [photo for photo in named if not any(part.startswith(".") for part in photo.name.split("/"))]


def write_predictions(
    segmenter: PanopticSegmenter | TiledSegmenter,
    photos: Sequence[Photo],
    out: str | Path,
    overwrite: bool = False,
    skip_errors: bool = False,
) -> list[str]:
    """Writes `panoptic.json`, `panoptic/NAME.png` and `overlay/NAME.png`; category ids are the dataset's own.

    Each result is written when it is there, so that those before an error are kept.

    Args:
        segmenter: the model, or one that sees photos in tiles.
        photos: of `find_images`.
        out: the folder.
        overwrite: replace older results in it.
        skip_errors: go on past images that cannot be read.

    Returns:
        One line for each image that was left out.

    Raises:
        InputError: an image cannot be read and `skip_errors` is False, none can, one lies in `out`, or `out` exists.
        WorkFailed: there is not enough memory for an image.
    """
    for photo in photos:
        if Path(out).resolve() in photo.path.resolve().parents:
            raise InputError(f"{photo.path}: lies in {out}, where the results go; expected another folder for them")
    left_out: list[str] = []
    with progress("predict", len(photos)) as track:

        def results() -> Iterator[PanopticResult]:
            for number, photo in enumerate(photos):
                kept = f"; {number - len(left_out)} of {len(photos)} results are in {out}"
                try:
                    result = _segmented(segmenter, photo, kept)
                except InputError as error:
                    if not skip_errors:
                        raise InputError(f"{error}{kept}; --skip-errors goes on past such files") from None
                    left_out.append(str(error))
                else:
                    yield result
                track.advance()
            if len(left_out) == len(photos):
                raise InputError(f"{left_out[0]}; none of {len(photos)} images can be read")

        save_results(results(), out, overwrite)
    return left_out


def _segmented(segmenter: PanopticSegmenter | TiledSegmenter, photo: Photo, kept: str) -> PanopticResult:
    from tensorflow.errors import ResourceExhaustedError

    try:
        return replace(segmenter.segment(photo.path), name=photo.name)
    except (MemoryError, ResourceExhaustedError):
        raise WorkFailed(f"{photo.path}: not enough memory for an image of this size{kept}") from None
