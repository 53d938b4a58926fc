"""What `tfpanoptic tune` is asked for, and which settings and values that means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.settings.tuned import SECTION, override

# GB of outputs that are kept in memory.
MEMORY = 2.0


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """The options as they were given; empty where they were not.

    Attributes:
        run: run folder of a trained model.
        sweeps: settings to tune in place of the architecture's, with the values to try, `key.path=a,b,c`.
        data: name, folder or JSON of images with truth, as in `doctor.sources.find_source`.
        images, gt, gt_dir: images with truth, as in `read_coco_panoptic`.
        seed: of the choice of the two halves.
        limit: only so many images, chosen by the seed.
        memory: GB of outputs that are kept in memory.
        force: write settings that gain nothing on the images held back, too.
        dry_run: write nothing into the run.
        json_file: what to write the numbers to.
    """

    run: Path
    sweeps: tuple[str, ...] = ()
    data: str | None = None
    images: Path | None = None
    gt: Path | None = None
    gt_dir: Path | None = None
    seed: int = 0
    limit: int | None = None
    memory: float = MEMORY
    force: bool = False
    dry_run: bool = False
    json_file: Path | None = None


def values_to_try(run: RunFolder, experiment: Experiment, sweeps: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Setting, such as `model.postprocess.stuff_area` -> its values, rising; the present one is among them.

    Args:
        run: its configuration is what the values are checked with.
        experiment: of the run, as it was trained.
        sweeps: as in `TuneOptions`; without any, what the architecture names.

    Raises:
        InputError: the architecture has nothing to tune, a setting is none of those or given twice, or a
            value is wrong.
    """
    tunable = experiment.architecture.tunable
    if not tunable:
        raise InputError(f"{run.config}: {experiment.model.name} has no settings to tune")
    chosen = dict(map(_sweep, sweeps)) if sweeps else {f"{SECTION}{name}": t.values for name, t in tunable.items()}
    if sweeps and len(chosen) < len(sweeps):
        raise InputError(f"{' '.join(sweeps)}: a setting is given twice; expected key.path=value,value,...")
    for setting in chosen:
        if setting.removeprefix(SECTION) not in tunable or not setting.startswith(SECTION):
            known = ", ".join(f"{SECTION}{name}" for name in tunable)
            raise InputError(f"{setting}: not a setting to tune of {experiment.model.name}; expected one of {known}")
    tried = {}
    for setting, values in chosen.items():
        name = setting.removeprefix(SECTION)
        # The configuration reads the values: 13.0 is 13 where an integer is expected.
        experiments = [run.trained_experiment([override(setting, value)]) for value in values]
        read = [getattr(each.model.postprocess, name) for each in (experiment, *experiments)]
        tried[setting] = tuple(sorted(set(read)))
    return tried


def _sweep(text: str) -> tuple[str, tuple[Any, ...]]:
    """Setting and values of `key.path=a,b,c`; brackets around the values are taken, too."""
    setting, _, values = text.partition("=")
    try:
        read = yaml.safe_load(f"[{values.strip().removeprefix('[').removesuffix(']')}]")
    except yaml.YAMLError:
        read = []
    if not read or not all(isinstance(value, (int, float, str)) for value in read):
        raise InputError(f"{text!r}: expected key.path=value,value,... with the values to try")
    return setting.strip(), tuple(read)


def present_values(experiment: Experiment, settings: Sequence[str]) -> dict[str, Any]:
    """The values of these settings in an experiment."""
    return {setting: getattr(experiment.model.postprocess, setting.removeprefix(SECTION)) for setting in settings}
