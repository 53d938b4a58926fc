"""The way back from tuned settings, and which folders may have such. It is used without TensorFlow."""

from __future__ import annotations

from pathlib import Path

from tfpanoptic.errors import InputError
from tfpanoptic.presets.cache import is_published
from tfpanoptic.run_folder import RunFolder


def reset(path: Path) -> str:
    """Removes a run's tuned settings; the line that says what holds now.

    Raises:
        InputError: not a run folder of the user's.
    """
    run = own_run(path)
    if not run.tuned.is_file():
        return f"{run.path}: no tuned settings; those of config.yaml hold"
    run.tuned.unlink()
    return f"{run.tuned}: removed; the settings of config.yaml hold"


def own_run(path: Path) -> RunFolder:
    """The run folder.

    Raises:
        InputError: it is a published model, whose settings are its authors' and the same for all, or no run folder.
    """
    if is_published(path):
        raise InputError(
            f"{path}: a published model; tune a run folder of your own, as "
            f"`PanopticSegmenter.from_preset({str(path)!r}).save_preset(FOLDER)` writes it"
        )
    run = RunFolder(path)
    if not run.path.is_dir():
        raise InputError(f"{path}: no such folder; expected the run folder of `tfpanoptic train`")
    run.trained_experiment()
    return run
