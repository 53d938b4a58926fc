"""Time of matching queries to segments, beside SciPy in the same run.

`python benchmarks/matching.py` prints medians over `--runs` calls, taken in turns. First the assignment alone: of
random costs, and of costs where all segments want the same queries, as at the start of a training. Then all
that a training step of EoMT-S matches (two images of 640 x 640, four predictions, 12,544 points): costs and assignment,
beside the same costs handed to SciPy. Last its share of such a step, forward and backward, without the update.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment
from turns import medians_ms, waiting

from tfpanoptic.experiment import Experiment
from tfpanoptic.losses.mask_classification import match, predictions_of
from tfpanoptic.losses.mask_matching import matching_costs
from tfpanoptic.ops.assignment import assign
from tfpanoptic.ops.sampling import random_uniform
from tfpanoptic.segmenter import PanopticSegmenter

BATCH, PREDICTIONS, QUERIES, PLACES, CATEGORIES = 2, 4, 200, 100, 133
PROBLEMS = BATCH * PREDICTIONS
CHANNELS = (*range(1, CATEGORIES + 1), 0)
CONFIG = Path(__file__).parents[1] / "configs/eomt/small_640_coco.yaml"
SEED = [[1, 2], [3, 4]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--side", type=int, default=640, help="of the images, in pixels")
    parser.add_argument("--points", type=int, default=12_544)
    options = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{PROBLEMS} assignments, {QUERIES} queries, {PLACES} places:")
    for segments in ([12] * PROBLEMS, [5, 10, 15, 20, 25, 30, 35, 40], [PLACES] * PROBLEMS):
        for kind in ("random", "similar"):
            print_assignment(kind, np.array(segments, np.int32), options.runs)
    for segments in (12, 40):
        print_matching(segments, options)
    print_step(12, options)


def print_assignment(kind: str, count: np.ndarray, runs: int) -> None:
    random = np.random.default_rng(0)
    cost = random.normal(0, 1, (PROBLEMS, QUERIES, PLACES)).astype(np.float32)
    if kind == "similar":
        cost = 3 * random.normal(0, 1, (PROBLEMS, QUERIES, 1)).astype(np.float32) + 0.3 * cost
    graph, given = tf.function(assign), (tf.constant(cost), tf.constant(count))
    contestants = {"ours": waiting(lambda: graph(*given)[0]), "scipy": lambda: by_scipy(cost, count)}
    ours, scipy = medians_ms(contestants, runs).values()
    name = f"{count.min()} to {count.max()} segments, {kind} costs"
    print(f"  {name:36s} {ours:7.1f} ms, SciPy {scipy:6.2f} ms; ratio {ours / scipy:5.1f} x")


def print_matching(segments: int, options: argparse.Namespace) -> None:
    random = np.random.default_rng(1)
    side, cells = options.side, options.side // 4
    outputs = {}
    for end in [*(f"_{number}" for number in range(PREDICTIONS - 1)), ""]:
        outputs[f"mask_logits{end}"] = tf.constant(
            random.normal(0, 3, (BATCH, cells, cells, QUERIES)).astype("float32")
        )
        outputs[f"class_logits{end}"] = tf.constant(
            random.normal(0, 1, (BATCH, QUERIES, len(CHANNELS))).astype("float32")
        )
    targets = random_targets(random, side, segments)

    @tf.function
    def costs(outputs):
        pairs = zip(predictions_of(outputs, PREDICTIONS), drawn(options.points), strict=True)
        return tf.concat([matching_costs(*logits, targets, CHANNELS, at).total() for logits, at in pairs], 0)

    matched = matching(targets, options.points)
    count = np.full(PROBLEMS, segments)
    whole, alone, scipy = medians_ms(
        {
            "whole": waiting(lambda: matched(outputs)[0]),
            "costs": waiting(lambda: costs(outputs)),
            "with SciPy": lambda: by_scipy(costs(outputs).numpy(), count),
        },
        options.runs,
    ).values()
    print(f"Costs and assignment, {BATCH} images {side} x {side} with {segments} segments, {PREDICTIONS} predictions:")
    print(f"  {whole:6.1f} ms, costs alone {alone:6.1f} ms; with SciPy {scipy:6.1f} ms; ratio {whole / scipy:4.2f} x")


def print_step(segments: int, options: argparse.Namespace) -> None:
    """The network has random weights: at the start of a training all queries want the same segments."""
    side = options.side
    settings = [f"augment.crop=[{side},{side}]", f"model.targets.points={options.points}"]
    experiment = Experiment.from_yaml(CONFIG, settings)
    model = PanopticSegmenter(experiment, experiment.load_categories())
    random = np.random.default_rng(2)
    targets = {**random_targets(random, side, segments), "point_seed": tf.constant(SEED)}
    batch = {
        "image": tf.constant(random.integers(0, 256, (BATCH, side, side, 3)), tf.float32),
        "seed": tf.constant(SEED),
        "step": tf.zeros(BATCH, tf.int32),
        "targets": targets,
    }

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.add_n(list(model.loss_shares(model(batch, training=True), targets).values()))
        return tape.gradient(loss, model.trainable_variables)

    outputs = tf.function(lambda: model(batch, training=True), autograph=False)()
    matched = matching(targets, options.points)
    whole, alone = medians_ms(
        {"step": waiting(step), "matching": waiting(lambda: matched(outputs)[0])}, min(options.runs, 5)
    ).values()
    print(f"A step of EoMT-S, {BATCH} images {side} x {side} with {segments} segments:")
    print(f"  {whole:6.0f} ms, matching {alone:6.1f} ms; share {100 * alone / whole:4.1f} %")


def random_targets(random: np.random.Generator, side: int, segments: int) -> dict[str, tf.Tensor]:
    blocks = random.integers(0, segments + 1, (BATCH, 16, 16)).astype(np.int32)
    category = np.where(np.arange(PLACES) < segments, random.integers(1, CATEGORIES + 1, (BATCH, PLACES)), 0)
    return {
        "segment_map": tf.constant(blocks.repeat(side // 16, axis=1).repeat(side // 16, axis=2)),
        "segment_category": tf.constant(category, tf.int32),
    }


def drawn(points: int) -> list:
    return [random_uniform(tf.constant(SEED), (2, points), draw) for draw in range(PREDICTIONS)]


def matching(targets: dict, points: int):
    """A graph: outputs -> the query of each place of every prediction."""
    return tf.function(lambda outputs: match(predictions_of(outputs, PREDICTIONS), targets, CHANNELS, drawn(points)))


def by_scipy(cost: np.ndarray, count: np.ndarray) -> list:
    return [linear_sum_assignment(costs[:, :number]) for costs, number in zip(cost, count, strict=True)]


if __name__ == "__main__":
    main()
