"""The data that the arguments of `data check` and `doctor` mean: where they lie, and how training reads them.

It is used without TensorFlow, but for data in records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpanoptic.data import DATASETS
from tfpanoptic.data.coco_panoptic import CocoFiles, files_in, read_coco_panoptic
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.folder_listing import images_below
from tfpanoptic.data.layout import SPLITS
from tfpanoptic.doctor.options import BUNDLED, LAYOUT
from tfpanoptic.errors import InputError
from tfpanoptic.settings.config import validate

if TYPE_CHECKING:
    from tfpanoptic.experiment import Experiment

# What data in other forms have in their folder, and what to do with them.
OTHER_LAYOUTS = {
    "gtFine": "Cityscapes as downloaded; name it in a configuration: data: {name: cityscapes, root: DIR}",
    "annotations": "perhaps COCO's own layout; give annotations/NAME.json with --images DIR and --panoptic DIR",
    "*.tfrecord*": "shards of records; name them in a configuration and give that with --config",
}


@dataclass(frozen=True)
class Source:
    """The data of one split.

    Attributes:
        where: what messages call it.
        load: reads it by the rules of training; it raises `InputError` at the first problem.
        coco: its files, if they are in COCO panoptic format.
        configured: whether the configuration names these data, so that its categories are the network's.
    """

    where: str
    load: Callable[[], Dataset]
    coco: CocoFiles | None = None
    configured: bool = False

    def to_json(self) -> dict[str, str]:
        """Where the data are, for a report."""
        if self.coco is None:
            return {"dataset": self.where}
        return {name: str(path) for name, path in self.coco._asdict().items()}

    def files(self) -> Iterator[Path]:
        """The files that are read, as far as they are known."""
        if self.coco is None:
            try:
                records = self.load().records
            except InputError:
                return  # the check says what is wrong
            yield from dict.fromkeys(path for record in records for path in (record.image_path, record.panoptic_path))
            return
        yield self.coco.annotations
        for folder in (self.coco.images, self.coco.panoptic):
            yield from images_below(folder) if folder.is_dir() else ()


def find_sources(
    data: str | None,
    experiment: Experiment | None,
    images: Path | None = None,
    panoptic: Path | None = None,
    split: str | None = None,
) -> dict[str, Source]:
    """The splits of the data that the arguments mean; a single one that is neither train nor val is called "data".

    Args:
        data: a name in `BUNDLED`, a folder or a panoptic JSON; None for the data of the experiment.
        experiment: the configuration, if there is one.
        images, panoptic: folders of photos and PNGs, if `data` is a JSON.
        split: another folder to look for beside train and val.

    Raises:
        InputError: the arguments do not say where the data are, or nothing is there.
    """
    if data is None and experiment is None:
        raise InputError(f"nothing to check: expected --config, or {', '.join(BUNDLED)}, {LAYOUT}")
    path = Path(data or "")
    if data is not None and path.is_file():
        if path.suffix.lower() in (".yaml", ".yml"):
            raise InputError(f"{data}: a configuration; give it with --config")
        if images is None or panoptic is None:
            raise InputError(f"{data}: a JSON needs --images DIR and --panoptic DIR")
        return {"data": _source_of_files(CocoFiles(images, path, panoptic))}
    if images is not None or panoptic is not None:
        raise InputError("--images and --panoptic stand beside a panoptic JSON")
    if data is None or data in BUNDLED:
        return _sources_by_name(data, experiment)
    if not path.is_dir():
        raise InputError(f"{data}: no such file or folder; expected {', '.join(BUNDLED)}, {LAYOUT}")
    places = {name: path / name for name in dict.fromkeys((*SPLITS, split)) if name and _has_json(path / name)}
    if not places and _has_json(path):
        own = path.absolute()
        # A folder called as a split has the other one beside it, if there is one.
        beside = {name: own.with_name(name) for name in SPLITS if own.name in SPLITS and _has_json(own.with_name(name))}
        places = beside or {"data": path}
    if not places:
        raise InputError(f"{data}: no panoptic.json in it{_other_layout(path)}; expected {LAYOUT}")
    return {name: _source_of_files(files_in(place)) for name, place in places.items()}


def find_source(data: str | None, experiment: Experiment | None, split: str) -> Source:
    """One split of the data that the arguments mean, as `chosen_split` says.

    Raises:
        InputError: as `find_sources`, or the data have no such split.
    """
    sources = find_sources(data, experiment, split=split)
    return sources[chosen_split(sources, data, split)]


def chosen_split(sources: dict[str, Source], data: str | None, split: str) -> str:
    """The key among sources of the split that is wanted.

    Args:
        sources: of `find_sources`.
        data: its argument; a folder or JSON of one split is that split, whatever `split` says.
        split: "train" or "val", or a folder's name.

    Raises:
        InputError: there is no such split.
    """
    if "data" in sources:
        return "data"
    own = own_split(sources, data)
    if own is None and split not in sources:
        raise InputError(f"--split {split!r}: expected {' or '.join(sources)}")
    return own or split


def own_split(sources: dict[str, Source], data: str | None) -> str | None:
    """The key among sources of the split that a folder is; None for a folder of splits and for all else."""
    folder = Path(data).absolute() if data is not None else None
    return folder.name if folder is not None and folder.name in sources and _has_json(folder) else None


def _sources_by_name(name: str | None, experiment: Experiment | None) -> dict[str, Source]:
    """The data of the configuration, or of `DATASETS` by name."""
    configured = experiment is not None and name in (None, experiment.data.name)
    if experiment is not None and configured:
        settings = experiment.data
    else:
        settings = validate(DATASETS[str(name)].config, {"name": name}, f"{name} without a configuration", "data")
    splits = SPLITS if settings.has_val or settings.val_share else ("train",)
    return {split: _configured_source(settings, split, configured) for split in splits}


def _configured_source(settings: Any, split: str, configured: bool) -> Source:
    kind = DATASETS[settings.name]

    @cache
    def load() -> Dataset:
        return kind.load(settings, split)

    # A share of the images is no JSON of its own.
    whole = not settings.val_share and not settings.select_part
    coco = kind.coco_files(settings, split) if kind.coco_files is not None and whole else None
    return Source(f"{settings.name} {split}" if coco is None else str(coco.annotations), load, coco, configured)


def _source_of_files(files: CocoFiles) -> Source:
    return Source(str(files.annotations), lambda: read_coco_panoptic(*files), files)


def _has_json(folder: Path) -> bool:
    return (folder / "panoptic.json").is_file()


def _other_layout(folder: Path) -> str:
    """What else a folder seems to hold, for messages."""
    for pattern, told in OTHER_LAYOUTS.items():
        if next(folder.glob(pattern), None) is not None:
            return f"; it has {pattern}: {told}"
    parts = sorted(path.parent.name for path in folder.glob("*/panoptic.json"))
    if parts:
        return f"; {' and '.join(parts)} in it have one: name them train and val, or give each alone"
    others = sorted(path.name for path in folder.glob("*.json"))
    advice = "give a panoptic one with --images DIR and --panoptic DIR, convert others with tfpanoptic data convert"
    return f"; it has {others[0]}: {advice}" if others else ""
