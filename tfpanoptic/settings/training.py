"""Settings of a training run."""

from __future__ import annotations

from typing import Literal

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
    """The learning rate over the steps."""

    name: Literal["constant", "poly", "cosine"] = "poly"
    power: float = Field(0.9, gt=0)
    # The rate rises linearly from 0 over these steps; the schedule counts from step 0 all the same.
    warmup_steps: int = Field(0, ge=0)
    # Where the schedule ends, as a fraction of the rate.
    final_fraction: float = Field(0.0, ge=0, le=1)


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
    def _warm_up_ends(self) -> TrainingConfig:
        if self.schedule.warmup_steps >= self.steps:
            raise ValueError(f"schedule.warmup_steps {self.schedule.warmup_steps} must be below steps {self.steps}")
        return self
