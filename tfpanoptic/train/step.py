"""One step of a run: from a global batch to an update, with all of it at once or part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfpanoptic.losses.shares import weighted_shares
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.train.updates import Updates

# Global batch -> weighted, averaged loss terms and their sum `loss`.
Step = Callable[[dict[str, Any]], dict[str, tf.Tensor]]


def make_step(strategy: tf.distribute.Strategy, segmenter: PanopticSegmenter, updates: Updates, parts: int = 1) -> Step:
    """The function of a step.

    Args:
        strategy: where `segmenter` and `updates` were made.
        segmenter: the model.
        updates: of its variables.
        parts: how many equal parts each replica's share of the batch is worked on in, one after the other. The step
            is one update all the same; activations of one part are in memory, and the sums of the gradients.
    """
    if parts == 1:
        return _step_at_once(strategy, segmenter, updates)
    return _step_in_parts(strategy, segmenter, updates, parts)


def _step_at_once(strategy, segmenter: PanopticSegmenter, updates: Updates) -> Step:
    def replica_step(batch: dict[str, Any]) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            shares = segmenter.loss_shares(segmenter(batch, training=True), batch["targets"])
            loss = tf.add_n(list(shares.values()))
        updates.apply(tape.gradient(loss, updates.trained))
        return {**shares, "loss": loss}

    return _on_replicas(strategy, replica_step)


def _step_in_parts(strategy, segmenter: PanopticSegmenter, updates: Updates, parts: int) -> Step:
    """A part and the update are graphs of their own, so that tracing does not grow with the number of parts.

    A loop in the graph would do so on one device, but replicas cannot exchange anything within one.
    """
    with strategy.scope():
        sums = GradientSums(updates.trained)

    def replica_part(batch: dict[str, Any], number: tf.Tensor) -> dict[str, tf.Tensor]:
        part = tf.nest.map_structure(lambda values: _part(values, number, parts), batch)
        with tf.GradientTape() as tape:
            outputs = segmenter(part, training=True)
            shares = part_shares(segmenter, outputs, part["targets"], batch["targets"], parts)
            loss = tf.add_n(list(shares.values()))
        sums.add(tape.gradient(loss, updates.trained))
        return {**shares, "loss": loss}

    def replica_update() -> dict[str, tf.Tensor]:
        updates.apply(sums.take())
        return {}

    part_step, update = _on_replicas(strategy, replica_part), _on_replicas(strategy, replica_update)

    def step(batch: dict[str, Any]) -> dict[str, tf.Tensor]:
        losses = [part_step(batch, tf.constant(number)) for number in range(parts)]
        update()
        return {name: tf.add_n([loss[name] for loss in losses]) for name in losses[0]}

    return step


def part_shares(
    segmenter: PanopticSegmenter, outputs: dict[str, Any], targets: dict[str, Any], whole: dict[str, Any], parts: int
) -> dict[str, Any]:
    """Weighted loss terms, scalars, of one of the parts of a batch; over parts and replicas they add up to the loss.

    What is counted in images or in targets is that of the whole batch, so these terms are what they are without parts.
    What depends on outputs is counted in each part, and the means of the parts are averaged.

    Args:
        segmenter: the model.
        outputs: of its train network, for the part.
        targets: of the part.
        whole: targets of this replica's share of the batch.
        parts: how many there are.

    Source: PyTorch Lightning's accumulate_grad_batches, with which EoMT trains, averages the parts' losses throughout.
    """
    architecture, model = segmenter.experiment.architecture, segmenter.experiment.model
    terms = architecture.loss(outputs, targets, model, segmenter.categories)
    counts = architecture.counts_of_outputs(outputs, targets, model)
    counts = {name: parts * count for name, count in counts.items()}
    counts |= architecture.counts_of_targets(whole, model)
    images = tf.ones_like(tf.repeat(next(iter(terms.values())), parts))
    return weighted_shares(terms, architecture.loss_weights(model), counts, images)


class GradientSums:
    """Sums of the gradients of the parts of a batch, a replica's own; nothing is left in them between two steps.

    Args:
        variables: Keras variables whose gradients they are. Make the sums in the same strategy's scope.
    """

    def __init__(self, variables: list):
        self._sums = [
            tf.Variable(
                tf.zeros(variable.shape, variable.dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
                name=f"{variable.path.replace('/', '_')}_gradient",
            )
            for variable in variables
        ]
        self._missing = [False] * len(variables)

    def add(self, gradients: list) -> None:
        """Adds a part's gradients; to be called inside `strategy.run`. None must be so in every part."""
        self._missing = [gradient is None for gradient in gradients]
        for total, gradient in zip(self._sums, gradients):
            if gradient is not None:
                total.assign_add(tf.convert_to_tensor(gradient))

    def take(self) -> list:
        """The sums, None for variables without a gradient; they begin again from 0."""
        taken = [None if missing else total.read_value() for total, missing in zip(self._sums, self._missing)]
        for total in self._sums:
            total.assign(tf.zeros_like(total))
        return taken


def _part(values: tf.Tensor, number: tf.Tensor, parts: int) -> tf.Tensor:
    """Every `parts`-th of `values` `[B, ...]`, from `number` on: the same images whatever number of replicas."""
    return tf.reshape(values, (-1, parts, *values.shape[1:]))[:, number]


def _on_replicas(strategy, replica_step: Callable[..., dict[str, tf.Tensor]]) -> Callable[..., dict[str, tf.Tensor]]:
    """`replica_step` on every replica, compiled, its results summed over them."""

    # XLA on the CPU was four times slower here, and cannot run several logical CPUs.
    # Nothing in a step is a Python condition on tensors; AutoGraph would only warn about what it cannot convert.
    @tf.function(jit_compile=False, reduce_retracing=True, autograph=False)
    def step(*arguments):
        shares = strategy.run(replica_step, args=arguments)
        return {name: strategy.reduce("SUM", value, axis=None) for name, value in shares.items()}

    return step
