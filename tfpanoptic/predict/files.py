"""A model over many images: predictions as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tfpanoptic.data.folder_listing import IMAGE_SUFFIXES
from tfpanoptic.errors import InputError
from tfpanoptic.progress import progress
from tfpanoptic.result import PanopticResult, save_results
from tfpanoptic.segmenter import PanopticSegmenter


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """The images among `paths`: files as they are, folders by what lies in them, sorted.

    Raises:
        InputError: there are none, a path does not exist, a folder holds no image, or two images have one name
            (their results would have one, too).
    """
    if not paths:
        raise InputError("no image is given; expected images or folders of images")
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not inside:
                raise InputError(f"{path}: no image in this folder; expected {', '.join(IMAGE_SUFFIXES)}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file or folder; expected an image or a folder of images")
    names: dict[str, Path] = {}
    for path in found:
        if path.stem in names and path.resolve() == names[path.stem].resolve():
            raise InputError(f"{path}: given twice")
        if path.stem in names:
            raise InputError(f"{path}: has the name of {names[path.stem]}; results are named after the image")
        names[path.stem] = path
    return found


def write_predictions(
    segmenter: PanopticSegmenter, images: Sequence[Path], out: str | Path, overwrite: bool = False
) -> None:
    """Writes `panoptic.json`, `panoptic/NAME.png` and `overlay/NAME.png`; category ids are the dataset's own.

    Raises:
        InputError: an image cannot be read, or `out` exists; nothing is written then.
    """
    with progress("predict", len(images)) as track:

        def results() -> Iterator[PanopticResult]:
            for path in images:
                yield segmenter.segment(path)
                track.advance()

        save_results(results(), out, overwrite)
