"""Settings of a training run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tfpanoptic.settings.config import StrictConfig


class OptimizerConfig(StrictConfig):
    """The optimizer. Defaults are DeepLab2's Adam, with Keras' epsilon."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(5e-4, gt=0)
    # AdamW and SGD: decoupled, as Keras does it; none for biases and normalisation.
    weight_decay: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    epsilon: float = Field(1e-7, gt=0)
    # Gradients of the whole batch are scaled so that their joint norm stays below this; null leaves them.
    clip_norm: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _decay_is_decoupled(self) -> OptimizerConfig:
        if self.name == "adam" and self.weight_decay:
            raise ValueError(f"adam takes no weight_decay (found {self.weight_decay}); adamw does")
        return self


class ScheduleConfig(StrictConfig):
    """The learning rate over the steps; step s is the one after s updates."""

    name: Literal["constant", "poly", "cosine", "step"] = "poly"
    power: float = Field(0.9, gt=0)
    # Where poly and cosine end, as a fraction of the rate.
    final_fraction: float = Field(0.0, ge=0, le=1)
    # step: the rate is multiplied by drop_factor from each of these steps on.
    drop_steps: tuple[Annotated[int, Field(ge=1)], ...] = ()
    drop_factor: float = Field(0.1, gt=0, lt=1)
    # The rate rises linearly over these steps, from this fraction of it.
    warmup_steps: int = Field(0, ge=0)
    warmup_fraction: float = Field(0.0, ge=0, lt=1)
    # replaces: the schedule counts from step 0 all the same (DeepLab2). multiplies: so it does, and the rise is a
    # factor of it (Detectron2). precedes: poly and cosine count from the end of the warm-up (EoMT).
    warmup: Literal["replaces", "multiplies", "precedes"] = "replaces"

    @model_validator(mode="after")
    def _drops_are_steps(self) -> ScheduleConfig:
        if (self.name == "step") != bool(self.drop_steps):
            raise ValueError(f"drop_steps are what step needs and only step takes, found {self.drop_steps}")
        if list(self.drop_steps) != sorted(set(self.drop_steps)):
            raise ValueError(f"drop_steps: expected rising steps, found {self.drop_steps}")
        return self


class TrainingConfig(StrictConfig):
    """How long, how fast, and what is kept. `batch_size` is the global batch, over all replicas."""

    steps: int = Field(60_000, ge=1)
    batch_size: int = Field(8, ge=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    # Decay of the moving average of the weights that is evaluated and kept; null keeps the weights themselves.
    ema: float | None = Field(None, gt=0, lt=1)
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    seed: int = Field(0, ge=0, lt=2**31)
    log_every: int = Field(20, ge=1)
    evaluate_every: int = Field(5_000, ge=1)
    # At most so many images of `val` during training; null takes all.
    evaluate_images: int | None = Field(None, ge=1)
    checkpoint_every: int = Field(1_000, ge=1)
    # Weights to start from, a safetensors file of ours.
    initial_weights: str | None = None
    # False leaves weights of other shapes or names, such as a head for other categories, as initialised.
    initial_weights_strict: bool = True

    @model_validator(mode="after")
    def _schedule_fits_the_steps(self) -> TrainingConfig:
        schedule = self.schedule
        if schedule.warmup_steps >= self.steps:
            raise ValueError(f"schedule.warmup_steps {schedule.warmup_steps} must be below steps {self.steps}")
        if schedule.drop_steps and schedule.drop_steps[-1] >= self.steps:
            raise ValueError(f"schedule.drop_steps {schedule.drop_steps[-1]} must be below steps {self.steps}")
        return self
