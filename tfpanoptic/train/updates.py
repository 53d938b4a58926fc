"""The updates of a run: optimizer, learning rates, clipping and moving average over groups of variables.

The training loop uses these. `fit` takes plain Keras optimizers, which have one rate for all variables.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from tfpanoptic.settings.training import OptimizerConfig, TrainingConfig
from tfpanoptic.train.groups import Rule, variable_rules
from tfpanoptic.train.schedules import learning_rate_schedule


class Updates:
    """One update a step of every variable that is not frozen.

    Args:
        config: of the run.
        variables: the trainable Keras variables of a built model. Make the updates in the same strategy's scope.

    Attributes:
        trained: the variables that are not frozen, in order; gradients are taken of these.
        iterations: how many updates were made, an int64 Keras variable.
        variables: all state that a checkpoint needs.

    Raises:
        InputError: a group matches no variable, or none is left to train.

    With the rate r of the variable's group, decay d, momentum m, and g the clipped gradient, sgd is
    `v = m v - r g; p += v` in Keras' arithmetic and `v = m v + g; p -= r v` in PyTorch's. adam is
    `p -= r c m1 / (sqrt(m2) + epsilon)` with c = sqrt(1 - beta2 ** t) / (1 - beta1 ** t), and epsilon times
    sqrt(1 - beta2 ** t) in PyTorch's. Decay comes first: `p -= r d p` if decoupled, `g += d p` if coupled.
    Source: keras.optimizers, torch.optim, Loshchilov and Hutter 2019 (decoupled decay).
    """

    def __init__(self, config: TrainingConfig, variables: list):
        rules = variable_rules(config, [variable.path for variable in variables])
        self._settings, self._average_decay = config.optimizer, config.ema
        self.trained = [variable for variable, rule in zip(variables, rules) if rule]
        self._rules: list[Rule] = [rule for rule in rules if rule]
        self._schedules = {timing: _schedule(config, *timing) for timing in {_timing(rule) for rule in self._rules}}
        self._main_schedule = _schedule(config, 0, config.schedule.warmup_steps)
        self._momentum_drops = config.schedule.drop_steps if config.optimizer.rescale_momentum else ()
        self._drop_factor = config.schedule.drop_factor
        self.iterations = keras.Variable(
            0, dtype="int64", trainable=False, name="iterations", aggregation="only_first_replica"
        )
        self._averages = [_slot(variable, "average") for variable in self.trained] if config.ema else []
        names = _slot_names(config.optimizer)
        self._slots = [[_slot(variable, name) for name in names] for variable in self.trained]
        self.variables = [self.iterations, *self._averages, *(slot for slots in self._slots for slot in slots)]

    @property
    def learning_rate(self) -> float:
        """Rate of the next update, of variables that no group changes."""
        return float(keras.ops.convert_to_numpy(self._main_schedule(self.iterations)))

    @property
    def learning_rates(self) -> dict[str, float]:
        """Rate of the next update of each variable that is trained, by its path."""
        rates = {timing: schedule(self.iterations) for timing, schedule in self._schedules.items()}
        return {
            variable.path: rule.learning_rate_factor * float(keras.ops.convert_to_numpy(rates[_timing(rule)]))
            for variable, rule in zip(self.trained, self._rules)
        }

    def apply(self, gradients: list) -> None:
        """One update from one replica's share of the gradients of `trained`; to be called inside `strategy.run`.

        The shares are summed, and the sum is clipped by its joint norm, before any variable changes. A variable
        whose gradient is None stays as it is.
        """
        missing = [variable.path for variable, gradient in zip(self.trained, gradients) if gradient is None]
        if missing:
            warnings.warn(f"no gradient for {', '.join(missing)}", stacklevel=2)
        context: Any = tf.distribute.get_replica_context()
        sums = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
        if context.num_replicas_in_sync > 1:
            sums = context.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        if self._settings.clip_norm is not None:
            sums, _ = tf.clip_by_global_norm(sums, self._settings.clip_norm)
        rest = iter(sums)
        context.merge_call(self._update, args=([g if g is None else next(rest) for g in gradients],))

    def _update(self, strategy, gradients: list) -> None:
        """Runs once for all replicas; each variable's update runs on each of its devices."""
        step = tf.convert_to_tensor(self.iterations.value)
        base = {timing: schedule(step) for timing, schedule in self._schedules.items()}
        rates = {rule: base[_timing(rule)] * rule.learning_rate_factor for rule in dict.fromkeys(self._rules)}
        decays = {rule: self._decay(rule, rate) for rule, rate in rates.items()}
        scalars = self._scalars(tf.cast(step, tf.float32))
        for variable, rule, slots, gradient in zip(self.trained, self._rules, self._slots, gradients):
            if gradient is None:
                continue
            arguments = (gradient, [slot.value for slot in slots], rates[rule], decays[rule], scalars)
            strategy.extended.update(variable.value, self._update_variable, args=arguments, group=False)
        # After the first update the average is the weights themselves.
        kept = tf.where(step == 0, 0.0, self._average_decay or 0.0)
        for variable, average in zip(self.trained, self._averages):
            strategy.extended.update(average.value, _move_average, args=(variable.value, kept), group=False)
        strategy.extended.update(self.iterations.value, lambda variable: variable.assign_add(1), group=False)

    def _decay(self, rule: Rule, rate):
        """What `_update_variable` multiplies the variable by: the decay, times the rate if it is decoupled."""
        if not rule.weight_decay:
            return None
        return rule.weight_decay if self._settings.decay == "coupled" else rule.weight_decay * rate

    def _scalars(self, step) -> dict[str, Any]:
        """What the kernels take beside the rate, the same for all variables."""
        settings = self._settings
        if settings.name == "sgd":
            drops = [tf.where(step == drop, self._drop_factor, 1.0) for drop in self._momentum_drops]
            return {"momentum": tf.reduce_prod(tf.stack([settings.momentum, *drops]))}
        powers = [tf.pow(beta, step + 1.0) for beta in settings.betas]
        epsilon = tf.constant(settings.epsilon)
        if settings.arithmetic == "pytorch":
            epsilon *= tf.sqrt(1.0 - powers[1])
        return {
            "beta1_power": powers[0],
            "beta2_power": powers[1],
            "beta1": settings.betas[0],
            "beta2": settings.betas[1],
            "epsilon": epsilon,
        }

    def _update_variable(self, variable, gradient, slots, rate, decay, scalars) -> None:
        """One variable on one device; TensorFlow's kernels do each form in one pass."""
        if decay is not None and self._settings.decay == "coupled":
            gradient += decay * variable
        elif decay is not None:
            variable.assign_sub(decay * variable)
        handles = [slot.handle for slot in slots]
        if self._settings.name != "sgd":
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=handles[0], v=handles[1], lr=rate, grad=gradient, **scalars
            )
        elif not handles:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=rate, delta=gradient)
        elif self._settings.arithmetic == "keras":
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle, accum=handles[0], lr=rate, grad=gradient, **scalars
            )
        else:
            tf.raw_ops.ResourceApplyMomentum(var=variable.handle, accum=handles[0], lr=rate, grad=gradient, **scalars)

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Within it, the variables have their moving average, if the run keeps one."""
        own = [keras.ops.convert_to_numpy(variable) for variable in self.trained[: len(self._averages)]]
        try:
            self.use_average()
            yield
        finally:
            for variable, value in zip(self.trained, own):
                variable.assign(value)

    def use_average(self) -> None:
        """Sets the variables to their moving average, if the run keeps one."""
        for variable, average in zip(self.trained, self._averages):
            variable.assign(average)


def _timing(rule: Rule) -> tuple[int, int]:
    return rule.start_step, rule.warmup_steps


def _schedule(config: TrainingConfig, start_step: int, warmup_steps: int):
    return learning_rate_schedule(
        config.schedule, config.optimizer.learning_rate, config.steps, start_step, warmup_steps
    )


def _slot_names(settings: OptimizerConfig) -> list[str]:
    if settings.name == "sgd":
        return ["momentum"] if settings.momentum else []
    return ["momentum", "velocity"]


def _slot(variable, name: str):
    """A zero of a variable's shape, which lies where the variable lies."""
    return keras.Variable(
        initializer="zeros",
        shape=variable.shape,
        dtype=variable.dtype,
        trainable=False,
        name=f"{variable.path.replace('/', '_')}_{name}",
    )


def _move_average(average, value, kept) -> None:
    average.assign(kept * average + (1.0 - kept) * value)
