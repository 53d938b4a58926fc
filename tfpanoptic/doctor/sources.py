"""The data that the arguments of the doctor mean: where they lie, what is wrong with them, and their ceiling.

It is used without TensorFlow as long as no ceiling is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfpanoptic.data import DATASETS
from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.folder_listing import images_below
from tfpanoptic.doctor.ceiling import ceiling
from tfpanoptic.doctor.check import check
from tfpanoptic.doctor.entries import image_names
from tfpanoptic.doctor.options import BUNDLED, CEILING_IMAGES, LAYOUT
from tfpanoptic.errors import InputError, settings_of
from tfpanoptic.settings.config import validate

if TYPE_CHECKING:
    from tfpanoptic.experiment import Experiment


class Source(NamedTuple):
    """Where the data of one split lie, and how they are read by the rules of training.

    Attributes:
        images, annotations, panoptic: folder of photos, panoptic JSON, folder of PNGs.
        other: photos and JSON of the other split, if there is one.
        load: the dataset; it raises `InputError` at the first problem.
        configured: whether the configuration names these data, so that its categories are the network's.
    """

    images: Path
    annotations: Path
    panoptic: Path
    other: tuple[Path, Path] | None
    load: Callable[[], Dataset]
    configured: bool

    def files(self) -> Iterator[Path]:
        """The JSONs and the images in the folders, of the other split, too."""
        yield from (self.annotations, *(self.other[1:] if self.other else ()))
        for folder in (self.images, self.panoptic, *(self.other[:1] if self.other else ())):
            yield from images_below(folder) if folder.is_dir() else ()


def find_source(
    data: str | None, experiment: Experiment | None, split: str, images: Path | None, panoptic: Path | None
) -> Source:
    """Where the data are that the arguments mean.

    Args:
        data: a name in `BUNDLED`, a folder or a panoptic JSON; None for the data of the experiment.
        experiment: the configuration, if there is one.
        split: "train" or "val".
        images, panoptic: folders of photos and PNGs, if `data` is a JSON.

    Raises:
        InputError: the arguments do not say where the data are, or nothing is there.
    """
    if data is None and experiment is None:
        raise InputError(f"nothing to check: expected --config, or {', '.join(BUNDLED)}, {LAYOUT}")
    path = Path(data or "")
    if data is not None and path.is_file():
        if images is None or panoptic is None:
            raise InputError(f"{data}: a JSON needs --images DIR and --panoptic DIR")
        return _source_of_files((images, path, panoptic), None)
    if images is not None or panoptic is not None:
        raise InputError("--images and --panoptic stand beside a panoptic JSON")
    if data is None or data in BUNDLED:
        return _source_by_name(data, experiment, split)
    if not path.is_dir():
        raise InputError(f"{data}: no such file or folder; expected {', '.join(BUNDLED)}, {LAYOUT}")
    folder = path / split if (path / split / "panoptic.json").is_file() else path
    if not (folder / "panoptic.json").is_file():
        raise InputError(f"{folder}: no panoptic.json in it; expected {LAYOUT}")
    other = _parts(folder.with_name(_other(split))) if folder.name == split else None
    return _source_of_files(_parts(folder), other)


def check_source(source: Source, limit: int | None = None) -> dict[str, Any]:
    """Findings and census of the data, as `check.check` gives them; photos of the other split should not be in them."""
    others = [source.other[0] / name for name in image_names(source.other[1])] if source.other else []
    return check(source.images, source.annotations, source.panoptic, others, limit)


def ceiling_of_source(
    source: Source, experiment: Experiment, config: str | Path, limit: int | None = None
) -> dict[str, Any]:
    """The ceiling that a configuration sets on the data, as `ceiling.ceiling` gives it.

    Args:
        source: sound data.
        experiment: the configuration.
        config: its file, for messages.
        limit: measure only so many images; by default `CEILING_IMAGES`.

    Raises:
        InputError: the data cannot be read, or a setting is wrong.
    """
    with settings_of(config):
        known = experiment.load_categories() if source.configured else None
        return ceiling(
            source.load(), experiment.architecture, experiment.model, experiment.input, known, limit or CEILING_IMAGES
        )


def _source_by_name(name: str | None, experiment: Experiment | None, split: str) -> Source:
    """The data of the configuration, or of `DATASETS` by name."""
    if split not in ("train", "val"):
        raise InputError(f"--split {split!r}: expected train or val")
    configured = experiment is not None and name in (None, experiment.data.name)
    if experiment is not None and configured:
        settings = experiment.data
    else:
        settings = validate(DATASETS[str(name)].config, {"name": name}, f"{name} without a configuration", "data")
    kind = DATASETS[settings.name]
    places = []
    own = settings.has_val
    for part in (split, _other(split)) if own else ("train",):
        entry = getattr(settings, part, None)
        if entry is not None:
            places.append((Path(entry.images), Path(entry.annotations), Path(entry.panoptic)))
        else:
            # Datasets without paths in their configuration are written in the layout of `write_coco_panoptic`.
            places.append(_parts(kind.read(settings, part).records[0].image_path.parents[1]))
    other = (places[1][0], places[1][1]) if own else None
    return Source(*places[0], other, lambda: kind.load(settings, split), configured)


def _source_of_files(own: tuple[Path, Path, Path], other: tuple[Path, Path, Path] | None) -> Source:
    other_parts = (other[0], other[1]) if other is not None and other[1].is_file() else None
    return Source(*own, other_parts, lambda: read_coco_panoptic(*own), False)


def _parts(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "images", folder / "panoptic.json", folder / "panoptic"


def _other(split: str) -> str:
    return "val" if split == "train" else "train"
