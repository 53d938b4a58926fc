"""Settings of a training run."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.paths import FilePath


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression ({error})") from None
    return text


# Searched in the path of a variable, such as `stage3_block2_conv1/kernel`.
Pattern = Annotated[str, AfterValidator(_pattern)]


class GroupConfig(StrictConfig):
    """What is different for the variables whose path `match` is found in; what is not set stays as it was."""

    match: Pattern
    # Times the learning rate; under adam and adamw it scales the update, not the gradient.
    learning_rate_factor: float | None = Field(None, gt=0)
    # A number of their own; true is the optimizer's weight_decay, false is none.
    weight_decay: float | bool | None = None
    # No update and no state. Batch statistics are the business of the layer, not of this.
    frozen: bool | None = None
    # Their rate is 0 before this step, and then begins with the warm-up; momentum and moments gather all the while.
    start_step: int | None = Field(None, ge=0)
    # In place of the schedule's.
    warmup_steps: int | None = Field(None, ge=0)

    @field_validator("weight_decay")
    @classmethod
    def _decay_shrinks(cls, value: float | bool | None) -> float | bool | None:
        if value is not None and value < 0:
            raise ValueError("expected a number from 0 on, true or false")
        return value


class LayerDecayConfig(StrictConfig):
    """A learning-rate factor by depth, for vision transformers: `factor ** (layers - 1 - layer)`.

    Variables that neither pattern finds (final normalisation, heads, anything new) keep the whole rate.
    """

    factor: float = Field(gt=0, le=1)
    layers: int = Field(ge=1)
    # Its one group of digits is the number of the layer, from 0, such as `^block([0-9]+)/`.
    match: Pattern
    # What comes before the layers and has the rate of layer 0: patch embedding, positions, tokens.
    first: Pattern | None = None

    @model_validator(mode="after")
    def _one_number(self) -> LayerDecayConfig:
        groups = re.compile(self.match).groups
        if groups != 1:
            raise ValueError(f"match {self.match!r}: expected one group, the layer's number, found {groups}")
        return self


class OptimizerConfig(StrictConfig):
    """The optimizer. Defaults are DeepLab2's Adam, with Keras' epsilon."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(5e-4, gt=0)
    # AdamW and SGD. None for variables called bias, gamma or beta, unless a group says so.
    weight_decay: float = Field(0.0, ge=0)
    # decoupled: p -= rate * decay * p beside the update, as Keras does it. coupled (sgd): decay * p joins the gradient.
    decay: Literal["decoupled", "coupled"] = "decoupled"
    momentum: float = Field(0.9, ge=0, lt=1)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(gt=0, lt=1)]] = (0.9, 0.999)
    epsilon: float = Field(1e-7, gt=0)
    # Whose arithmetic. sgd: v = m v + rate g, p -= v (keras; Caffe's too) or v = m v + g, p -= rate v (pytorch).
    # adam, adamw: epsilon beside the root of the second moment before (keras) or after (pytorch) its bias correction.
    arithmetic: Literal["keras", "pytorch"] = "keras"
    # Where a step schedule drops the rate, sgd's buffers, which hold it in Keras' arithmetic, drop with it (UPSNet).
    rescale_momentum: bool = False
    # Gradients of the whole batch are scaled so that their joint norm stays below this; null leaves them.
    clip_norm: float | None = Field(None, gt=0)
    # In order; where several match, a later one overrides the keys that it sets.
    groups: tuple[GroupConfig, ...] = ()
    # Joins the factor of the groups as one more factor.
    layer_decay: LayerDecayConfig | None = None

    @model_validator(mode="after")
    def _optimizer_takes_them(self) -> OptimizerConfig:
        if self.name == "adam":
            decays = [(f"groups.{i}.weight_decay", group.weight_decay) for i, group in enumerate(self.groups)]
            for key, value in [("weight_decay", self.weight_decay), *decays]:
                if value:
                    raise ValueError(f"adam takes no {key} (found {value}); adamw does")
        if self.name != "sgd" and self.decay == "coupled":
            raise ValueError(f"decay 'coupled' is of sgd, found it with {self.name}")
        if self.rescale_momentum and (self.name != "sgd" or self.arithmetic != "keras"):
            raise ValueError(
                f"rescale_momentum is of sgd in keras' arithmetic, found it with {self.name}, {self.arithmetic}"
            )
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
    # A batch is worked on in so many equal parts, one after the other, with the memory of one, and makes one update.
    # Order of the data, steps and schedule stay; batch normalisation sees the parts. For the loop; `fit` takes Keras'.
    accumulate: int = Field(1, ge=1)
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
    # Weights to start from, a safetensors file of ours; they come over those of `model.backbone.weights`. Outputs of
    # categories are matched by name, and by thing or stuff, in whatever order the file has them.
    initial_weights: FilePath | None = None
    # False leaves weights of other shapes or names as initialised, and the outputs of categories that the file lacks.
    initial_weights_strict: bool = True

    @model_validator(mode="after")
    def _parts_are_equal(self) -> TrainingConfig:
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size must be a multiple of accumulate {self.accumulate}, found {self.batch_size}")
        return self

    @model_validator(mode="after")
    def _schedule_fits_the_steps(self) -> TrainingConfig:
        schedule, groups = self.schedule, self.optimizer.groups
        if schedule.warmup_steps >= self.steps:
            raise ValueError(f"schedule.warmup_steps {schedule.warmup_steps} must be below steps {self.steps}")
        for i, group in enumerate(groups):
            warmup_steps = schedule.warmup_steps if group.warmup_steps is None else group.warmup_steps
            end = (group.start_step or 0) + warmup_steps
            if end >= self.steps:
                raise ValueError(f"optimizer.groups.{i}: its warm-up ends at {end}, must be below steps {self.steps}")
        if schedule.drop_steps and schedule.drop_steps[-1] >= self.steps:
            raise ValueError(f"schedule.drop_steps {schedule.drop_steps[-1]} must be below steps {self.steps}")
        if self.optimizer.rescale_momentum and schedule.name != "step":
            raise ValueError(f"optimizer.rescale_momentum needs schedule.name step, found {schedule.name}")
        return self
