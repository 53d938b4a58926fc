"""Learning rates over the steps: Keras' polynomial and cosine decay, behind a linear warm-up."""

from __future__ import annotations

import keras
from keras import ops

from tfpanoptic.settings.training import ScheduleConfig


@keras.saving.register_keras_serializable("tfpanoptic")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """`learning_rate * step / steps` before `steps`, then `schedule(step)`, counted from step 0.

    Source: DeepLab2, trainer/trainer.py (its warm-up).
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, learning_rate: float, steps: int):
        super().__init__()
        self.schedule, self.learning_rate, self.steps = schedule, learning_rate, steps

    def __call__(self, step):
        """Rate at `step`, a scalar float32."""
        step = ops.cast(step, "float32")
        rising = self.learning_rate * step / self.steps
        return ops.where(step < self.steps, rising, self.schedule(step))

    def get_config(self) -> dict:
        """What `from_config` needs."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "learning_rate": self.learning_rate, "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict) -> WarmUp:
        """The schedule of a `get_config`."""
        return cls(**{**config, "schedule": keras.saving.deserialize_keras_object(config["schedule"])})


def learning_rate_schedule(config: ScheduleConfig, learning_rate: float, steps: int):
    """Schedule of a run of `steps` steps that starts at `learning_rate`.

    poly: `rate * ((1 - step / steps) ** power)`, down to `final_fraction` of it (Source: DeepLab).
    cosine: half a cosine, down to the same.
    """
    schedules = keras.optimizers.schedules
    if config.name == "cosine":
        schedule = schedules.CosineDecay(learning_rate, steps, alpha=config.final_fraction)
    else:  # a constant rate is the polynomial that ends where it starts
        end = learning_rate * (config.final_fraction if config.name == "poly" else 1.0)
        schedule = schedules.PolynomialDecay(learning_rate, steps, end, config.power)
    return WarmUp(schedule, learning_rate, config.warmup_steps) if config.warmup_steps else schedule
