"""Checkpoints that resume exactly: weights, state of the updates, and the step.

The batch of a step and all randomness of the network are functions of (seed, step), so no more is stored.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import tensorflow as tf

from tfpanoptic.errors import InputError, first_line
from tfpanoptic.train.updates import Updates


class Checkpoints:
    """The checkpoints of one run folder; the latest two are kept.

    Args:
        folder: where they lie.
        model: with all variables built.
        updates: of the model's trainable variables.

    The raw variables are listed one by one. Their numbers are the keys, because the paths of a model's variables
    may change with how often one was made in the process.
    """

    def __init__(self, folder: Path, model: keras.Model, updates: Updates):
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            step=self.step,
            model={f"{i:05d}": v.value for i, v in enumerate(model.variables)},
            optimizer={f"{i:05d}": v.value for i, v in enumerate(updates.variables)},
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self.folder = folder

    def save(self, step: int) -> None:
        """Writes the state after `step` updates; a process killed meanwhile leaves the one before."""
        if self.latest_step() == step:
            return  # a step has one state
        self.step.assign(step)
        try:
            self._manager.save(checkpoint_number=step)
        except tf.errors.OpError:
            for part in self.folder.glob(f"ckpt-{step}[._]*"):  # what a full disk has of it
                shutil.rmtree(part) if part.is_dir() else part.unlink()
            raise

    def latest_step(self) -> int | None:
        """The step of the latest checkpoint, None where there is none."""
        path = self._manager.latest_checkpoint
        return None if path is None else int(path.rpartition("-")[2])

    def restore(self) -> int:
        """Brings back the latest state and returns its step; 0 where there is none.

        Raises:
            InputError: the checkpoint is of another model or optimizer, or damaged.
        """
        path = self._manager.latest_checkpoint
        if path is None:
            return 0
        try:
            self._checkpoint.restore(path).assert_existing_objects_matched().assert_consumed()
        except (AssertionError, IndexError, ValueError, tf.errors.OpError) as error:
            said = first_line(error)
            raise InputError(f"{path}: not a checkpoint of this model and optimizer: {said}") from None
        return int(self.step.numpy())
