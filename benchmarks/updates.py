"""Time of one update of ResNet-50's variables, beside the Keras optimizer that does the same.

`python benchmarks/updates.py` prints medians over `--runs` updates as compiled graphs, taken in turns, and their
ratio: without groups, which is what the Keras optimizer does, and with groups and layer-wise rates, which it cannot.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.train.updates import Updates

SGD = {"name": "sgd", "learning_rate": 1e-3, "weight_decay": 1e-4}
ADAMW = {"name": "adamw", "learning_rate": 1e-3, "weight_decay": 1e-4}
GROUPS = {
    "groups": [
        {"match": "bias$", "learning_rate_factor": 2.0},
        {"match": "^stage", "start_step": 5, "warmup_steps": 5},
    ],
    "layer_decay": {"factor": 0.8, "layers": 5, "match": "^stage([0-4])"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    runs = parser.parse_args().runs
    devices = [d.name for d in tf.config.list_logical_devices()]
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {', '.join(devices)}")
    print(f"{len(SHAPES)} variables, {sum(math.prod(shape) for _, shape in SHAPES) / 1e6:.1f} M parameters")
    for clip_norm, ema in ((None, None), (1.0, 0.999)):
        print("plain:" if ema is None else "with clipping and moving average:")
        for optimizer in (ADAMW, SGD):
            options = {**optimizer, "clip_norm": clip_norm}
            ours, grouped = our_step(options, ema), our_step({**options, **GROUPS}, ema)
            times = medians_ms([keras_step(options, ema), ours, grouped], runs)
            row = ", ".join(f"{name} {ms:6.1f} ms" for name, ms in zip(("Keras", "ours", "with groups"), times))
            print(f"  {optimizer['name']:5s} {row}; ratio {times[1] / times[0]:.2f}, {times[2] / times[0]:.2f}")


def resnet50_shapes() -> list[tuple[str, tuple[int, ...]]]:
    """Name and shape of each trainable variable of ResNet-50 with its classifier."""
    convolutions = [("stem_conv", (7, 7, 3, 64))]
    channels = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            convolutions += [(f"{name}_conv1", (1, 1, channels, width)), (f"{name}_conv2", (3, 3, width, width))]
            convolutions += [(f"{name}_conv3", (1, 1, width, 4 * width))]
            if block == 1:
                convolutions += [(f"{name}_shortcut", (1, 1, channels, 4 * width))]
            channels = 4 * width
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for name, shape in convolutions:
        shapes += [(f"{name}_kernel", shape), (f"{name}_gamma", shape[-1:]), (f"{name}_beta", shape[-1:])]
    return [*shapes, ("classifier_kernel", (2048, 1000)), ("classifier_bias", (1000,))]


SHAPES = resnet50_shapes()


def make_variables() -> list[keras.Variable]:
    return [keras.Variable(tf.random.stateless_normal(shape, (0, 1)), name=name) for name, shape in SHAPES]


def our_step(options: dict, ema: float | None):
    config = TrainingConfig.model_validate({"optimizer": options, "ema": ema})
    updates = Updates(config, make_variables())
    return tf.function(lambda gradients: updates.apply(gradients), jit_compile=False)


def keras_step(options: dict, ema: float | None):
    schedule = keras.optimizers.schedules.PolynomialDecay(options["learning_rate"], 60_000, 0.0, 0.9)
    common = {"weight_decay": options["weight_decay"], "global_clipnorm": options["clip_norm"]}
    common |= {"use_ema": ema is not None, "ema_momentum": ema or 0.99}
    kinds = {
        "adamw": lambda: keras.optimizers.AdamW(schedule, **common),
        "sgd": lambda: keras.optimizers.SGD(schedule, momentum=0.9, **common),
    }
    optimizer = kinds[options["name"]]()
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    variables = make_variables()
    optimizer.build(variables)
    return tf.function(lambda gradients: optimizer.apply(gradients, variables), jit_compile=False)


def medians_ms(steps: list, runs: int) -> list[float]:
    """Median time of each function in ms, after calls that trace; they take turns, so that a busy moment meets all."""
    gradients = [1e-2 * tf.random.stateless_normal(shape, (0, 2)) for _, shape in SHAPES]
    for step in steps:
        for _ in range(3):
            step(gradients)
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(runs):
        for step, taken in zip(steps, times):
            start = time.perf_counter()
            step(gradients)
            tf.test.experimental.sync_devices()
            taken.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


if __name__ == "__main__":
    main()
