"""The images that an export is compared on, wherever a person has them: with truth, or photos alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tfpanoptic.data.dataset import Dataset
from tfpanoptic.doctor.options import BUNDLED
from tfpanoptic.doctor.sources import find_source
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.predict.evaluate import matched_categories
from tfpanoptic.predict.files import find_images
from tfpanoptic.run_folder import RunFolder

OWN = ("val", "train", "select")
EXPECTED = (
    "val, train or select of the run, nuclei, shapes, a folder with images/, panoptic/ and panoptic.json (or with one "
    "for each split), another run's folder or configuration, or photos without truth"
)


def measured_images(data: str, segmenter) -> Dataset | Sequence[Path]:
    """The images that `data` means; categories that only they or only the model has are told on standard error.

    Args:
        data: "val", "train" or "select", the run's own, whatever folder is called so; a name in `BUNDLED`; a folder in
            the layout of `doctor`; a run folder or a configuration, for its validation images; a photo or a folder of
            photos.
        segmenter: the model, whose categories are matched by name.

    Returns:
        A dataset whose categories begin with the model's, or files of photos.

    Raises:
        InputError: nothing of that kind is there, or it cannot be read.
    """
    path = Path(data)
    if data in OWN:
        return segmenter.experiment.load_data(data)
    if data not in BUNDLED and not path.exists():
        raise InputError(f"{data}: no such file or folder; expected {EXPECTED}")
    experiment = _experiment(path)
    if experiment is None and data not in BUNDLED and not _has_truth(path):
        return [photo.path for photo in find_images([path])]
    source = find_source(None if experiment is not None else data, experiment, "val")
    remap = segmenter.experiment.data.remap
    dataset = matched_categories(source.load(), segmenter.categories, source.where, remap)
    for line in dataset.unmatched():
        print(line, file=sys.stderr)
    return dataset


def _experiment(path: Path) -> Experiment | None:
    """The experiment of a run folder or of a configuration."""
    if path.is_dir():
        folder = RunFolder(path)
        return folder.load_experiment() if folder.config.is_file() else None
    return Experiment.from_yaml(path) if path.suffix in (".yaml", ".yml") else None


def _has_truth(path: Path) -> bool:
    """Whether it is a folder with a panoptic JSON, or with one for validation."""
    return any((path / place).is_file() for place in ("panoptic.json", "val/panoptic.json"))
