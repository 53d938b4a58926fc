"""Time of a training step by its normalisation: ours, Keras' own batch normalisation, and none.

`python benchmarks/batch_norm.py` prints medians over `--runs` rounds of Panoptic-DeepLab at 257 x 257, batch 2, each
round one call of everything: its forward pass in inference, and training steps (forward, backward, SGD). Ratios of
one run can be compared; times of two runs on a shared machine cannot.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from turns import medians_ms, waiting

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.layers.norm import BatchNorm
from tfpanoptic.models.panoptic_deeplab import PanopticDeepLabConfig, build

CATEGORIES = CategoryTable(tuple(Category(i, f"category{i}", i < 9, (0, 0, 0), i) for i in range(1, 20)))
SIZE, BATCH = 257, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--backbones", nargs="+", default=["resnet50", "mobilenet_v3_large"])
    arguments = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for backbone in arguments.backbones:
        times = medians_ms({name: waiting(run) for name, run in functions(backbone).items()}, arguments.runs)
        forward, keras_step = times["forward pass"], times["step, Keras' batch normalisation"]
        print(f"{backbone}, {SIZE} x {SIZE}, batch {BATCH}:")
        for name, median in times.items():
            print(
                f"  {name:34s} {median:7.0f} ms, {median / forward:4.2f} x forward, {keras_step / median:4.2f} x Keras'"
            )


def functions(backbone: str) -> dict:
    """What is timed: functions without arguments, traced."""
    batch = network(backbone, "batch")
    made = {
        "forward pass": forward_pass(batch),
        "step, ours": training_step(batch),
        "step, no normalisation": training_step(network(backbone, "none")),
    }
    ours, BatchNorm.call = BatchNorm.call, keras.layers.BatchNormalization.call
    made["step, Keras' batch normalisation"] = training_step(batch)
    BatchNorm.call = ours
    return made


def network(backbone: str, norm: str) -> keras.Model:
    config = PanopticDeepLabConfig(backbone={"name": backbone}, norm={"kind": norm})
    return build(config, CATEGORIES).train


def inputs() -> dict:
    size = (SIZE, SIZE)
    return {
        "image": tf.random.uniform((BATCH, *size, 3), 0, 255),
        "valid_size": tf.constant([size] * BATCH),
        "seed": tf.constant([[0, image] for image in range(BATCH)]),
    }


def forward_pass(model: keras.Model):
    batch = inputs()
    run = tf.function(lambda: model(batch, training=False)["semantic_logits"])
    run()  # traces, as long as `BatchNorm` is what it should be
    return run


def training_step(model: keras.Model):
    batch, optimizer = inputs(), keras.optimizers.SGD(1e-6)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = model(batch, training=True)
            loss = tf.add_n([tf.reduce_mean(tf.square(output)) for output in outputs.values()])
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    step()  # traces
    return step


if __name__ == "__main__":
    main()
