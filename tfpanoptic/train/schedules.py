"""Learning rates over the steps: constant, polynomial, cosine or in steps, with a linear warm-up."""

from __future__ import annotations

import math

import keras
from keras import ops

from tfpanoptic.settings.training import ScheduleConfig


@keras.saving.register_keras_serializable("tfpanoptic")
class RunSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of a run at each step; a plain Keras optimizer takes it as well.

    With rate r, T steps, start s0, warm-up of W steps from fraction f, and progress x = s / T:
    poly: r ((1 - e) (1 - x) ** power + e), e the final fraction (Source: DeepLab).
    cosine: r ((1 - e) (1 + cos(pi x)) / 2 + e).
    step: r drop_factor ** (number of drop steps up to s).
    Warm-up, from s0 to s0 + W: r (f + (1 - f) (s - s0) / W), and 0 before s0. It
    replaces that part of the schedule (Source: DeepLab2, trainer/trainer.py), multiplies it (Source: Detectron2,
    solver/lr_scheduler.py), or precedes it: then x = (s - s0 - W) / (T - s0 - W) (Source: EoMT).

    Args:
        learning_rate: r.
        steps: T.
        settings: a `ScheduleConfig` as a mapping.
        start_step: s0.
    """

    def __init__(self, learning_rate: float, steps: int, settings: dict, start_step: int = 0):
        super().__init__()
        self.learning_rate, self.steps, self.start_step = learning_rate, steps, start_step
        self.config = ScheduleConfig.model_validate(settings)

    def __call__(self, step):
        """Rate at `step`, a scalar float32."""
        config, step = self.config, ops.cast(step, "float32")
        shape = self._shape(step)
        if not (self.start_step or config.warmup_steps):
            return self.learning_rate * shape
        rising = (step - self.start_step) / max(1, config.warmup_steps)
        rising = config.warmup_fraction + (1.0 - config.warmup_fraction) * rising
        if config.warmup == "multiplies":
            rising = rising * shape
        factor = ops.where(step < self.start_step + config.warmup_steps, rising, shape)
        return self.learning_rate * ops.where(step < self.start_step, 0.0, factor)

    def _shape(self, step):
        """The schedule without its warm-up, as a fraction of the rate."""
        config = self.config
        if config.name == "constant":
            return ops.ones_like(step)
        if config.name == "step":
            drops = [ops.where(step < drop, 1.0, config.drop_factor) for drop in config.drop_steps]
            return math.prod(drops[1:], start=drops[0])
        begin = self.start_step + config.warmup_steps if config.warmup == "precedes" else 0
        left = ops.clip((self.steps - step) / (self.steps - begin), 0.0, 1.0)
        left = left**config.power if config.name == "poly" else 0.5 * (1.0 - ops.cos(math.pi * left))
        return (1.0 - config.final_fraction) * left + config.final_fraction

    def get_config(self) -> dict:
        """What `from_config` needs."""
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "settings": self.config.model_dump(mode="json"),
            "start_step": self.start_step,
        }


def learning_rate_schedule(
    config: ScheduleConfig, learning_rate: float, steps: int, start_step: int = 0, warmup_steps: int | None = None
) -> RunSchedule:
    """Schedule of a run of `steps` steps; start and warm-up are those of a group of variables, if it has its own."""
    settings = config.model_dump(mode="json")
    if warmup_steps is not None:
        settings["warmup_steps"] = warmup_steps
    return RunSchedule(learning_rate, steps, settings, start_step)
