"""Time and memory of axial attention and of whole bottom-up models.

`python benchmarks/bottom_up.py` prints medians over `--runs` rounds. Axial attention, beside the same written as plain
sums over all pairs, forward and with gradients: one attention along the width in training, with its normalisations, at
the sizes of Axial-DeepLab-S on Cityscapes. Models with random weights: the network, its backbone alone and the whole
from a photo to its segments. Ratios of one run can be compared; times of two runs on a shared machine cannot.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from peak_memory import peak_megabytes
from turns import medians_ms, waiting

from tfpanoptic import PanopticSegmenter
from tfpanoptic.backbones import BACKBONES
from tfpanoptic.data.input_size import prepare_batch
from tfpanoptic.inference import segmenting_function
from tfpanoptic.layers.axial_attention import FURTHEST, AxisAttention
from tfpanoptic.layers.norm import Norm

HEADS = 8
# Height, width, channels of the input (half of them keys), span: stages 5, 3 and 3 with the paper's span.
CASES = {"65x129": (65, 129, 512, None), "129x257": (129, 257, 128, None), "129x257 span 65": (129, 257, 128, 65)}
CONFIGS = Path(__file__).parents[1] / "configs"
MODELS = {
    "panoptic_deeplab_coco": "panoptic_deeplab/resnet50_os32_coco.yaml",
    "panoptic_deeplab": "panoptic_deeplab/resnet50_os32_cityscapes.yaml",
    "axial_deeplab_s": "axial_deeplab/axial_deeplab_s_cityscapes.yaml",
    "max_deeplab_s_backbone": "axial_deeplab/max_deeplab_s_backbone_cityscapes.yaml",
    "deeperlab": "deeperlab/xception71_cityscapes.yaml",
}
SIZES = ("641x641", "1025x2049")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES), help="Of axial attention.")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="HEIGHTxWIDTH of the photos.")
    arguments = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in arguments.cases:
        print_case(name, *CASES[name], arguments.runs)
    for name in arguments.models:
        print_model(name, [tuple(map(int, size.split("x"))) for size in arguments.sizes], arguments.runs)


def print_model(name: str, sizes: list[tuple[int, int]], runs: int) -> None:
    keras.utils.set_random_seed(0)
    # Photos keep the size that was asked for, but for the pixel or two that the grid adds.
    model = PanopticSegmenter.from_yaml(CONFIGS / MODELS[name], ["input.long_side=null", "input.pad_to=null"])
    experiment, network = model.experiment, model.infer_network
    config = experiment.model
    image = keras.Input((None, None, 3))
    norm = Norm(**config.norm.model_dump())
    record, options = BACKBONES[config.backbone.name], config.backbone
    if record.drops(options):  # in training alone
        options = options.model_copy(update={"drop_path": 0.0})
    backbone = keras.Model(image, record.build(image, options, norm))
    whole = segmenting_function(network, experiment, model.categories)
    of_image = tf.function(backbone, input_signature=[tf.TensorSpec([1, None, None, 3])], autograph=False)
    of_inputs = tf.function(
        lambda image, valid_size: network({"image": image, "valid_size": valid_size}, training=False),
        input_signature=[tf.TensorSpec([1, None, None, 3]), tf.TensorSpec([1, 2], tf.int32)],
        autograph=False,
    )
    for size in sizes:
        photo = tf.cast(tf.random.uniform((1, *size, 3), 0, 256, tf.int32), tf.uint8)
        prepared = prepare_batch(photo, experiment.input, experiment.grid)
        functions = {
            "network": waiting(partial(of_inputs, *prepared)),
            "backbone": waiting(partial(of_image, prepared[0] / 127.5 - 1.0)),
            "whole": waiting(partial(whole, photo)),
        }
        count = len(np.setdiff1d(whole(photo).segment_ids, 0))
        times = medians_ms(functions, runs)
        share, ratio = times["backbone"] / times["network"], times["whole"] / times["network"]
        print(f"{name}, {size[0]} x {size[1]}, {count} segments:")
        print(
            f"  network {times['network'] / 1e3:7.2f} s, backbone {100 * share:4.0f} % of it, "
            f"image to segments {ratio:5.2f} x the network"
        )


def print_case(name: str, height: int, width: int, channels: int, span: int | None, runs: int) -> None:
    keras.utils.set_random_seed(0)
    layer = AxisAttention(2, channels // 2, channels, HEADS, span)
    x = tf.random.normal((1, height, width, channels))
    layer.build(x.shape)

    def plain(x):
        return plain_attention(layer, x)

    def ours(x):
        return layer(x, training=True)

    difference = float(tf.reduce_max(tf.abs(ours(x) - plain(x))))
    print(f"{name}, {channels} channels (largest difference {difference:.1e}):")
    for kind, of in (("forward", lambda f: f), ("forward and gradients", lambda f: gradients(f, layer))):
        functions = {"ours": tf.function(of(ours)), "plain sums": tf.function(of(plain))}
        memory = {key: peak_megabytes(function, (x,)) for key, function in functions.items()}
        times = medians_ms({key: waiting(partial(function, x)) for key, function in functions.items()}, runs)
        for key, median in times.items():
            ratio = times["plain sums"] / median
            print(f"  {kind}, {key:12s} {median:8.1f} ms, {ratio:5.2f} x as fast as plain sums, {memory[key]:7.0f} MB")


def plain_attention(layer: AxisAttention, x):
    """The layer in training as its definition reads: all pairs, three kinds of logits, each normalised."""
    qkv = normalized(tf.einsum("bhwc,cd->bhwd", x, layer.qkv_kernel), layer.qkv_norm, (0, 1, 2))
    rows = tf.reshape(qkv, (-1, x.shape[2], qkv.shape[-1]))
    parts = tf.split(rows, [layer.key_channels, layer.key_channels, layer.value_channels], axis=-1)
    query, key, values = (tf.reshape(part, (*part.shape[:2], HEADS, -1)) for part in parts)
    cells = tf.range(x.shape[2])
    distance = cells[None] - cells[:, None]
    index = tf.clip_by_value(distance, -FURTHEST, FURTHEST) + FURTHEST
    of_query, of_key, of_value = (
        tf.gather(tf.convert_to_tensor(table), index)
        for table in (layer.query_positions, layer.key_positions, layer.value_positions)
    )
    logits = tf.stack(
        [
            tf.einsum("rlnd,rmnd->rnlm", query, key),
            tf.einsum("rlnd,lmd->rnlm", query, of_query),
            tf.einsum("rmnd,lmd->rnlm", key, of_key),
        ]
    )
    visible = None if layer.span is None else tf.cast(tf.abs(distance) <= layer.span // 2, tf.float32)
    logits = tf.reduce_sum(normalized(logits, layer.logit_norm, (1, 3, 4), (3, 1, HEADS, 1, 1), visible), 0)
    if visible is not None:
        logits -= 1e9 * (1.0 - visible)
    weights = tf.nn.softmax(logits)
    retrieved = tf.stack(
        [tf.einsum("rnlm,rmnd->rlnd", weights, values), tf.einsum("rnlm,lmd->rlnd", weights, of_value)]
    )
    retrieved = normalized(retrieved, layer.output_norm, (1, 2), (2, 1, 1, HEADS, values.shape[-1]))
    return tf.reshape(tf.reduce_sum(retrieved, 0), (*x.shape[:3], layer.value_channels))


def normalized(x, norm, axes, shape=(-1,), visible=None):
    """Batch normalisation over `axes`; where `visible` is 0, nothing counts."""
    if visible is None:
        mean, variance = tf.nn.moments(x, axes, keepdims=True)
    else:
        mean, variance = tf.nn.weighted_moments(x, axes, visible, keepdims=True)
    scale = tf.reshape(norm.gamma, shape) * tf.math.rsqrt(variance + 1e-3)
    return (x - mean) * scale + tf.reshape(norm.beta, shape)


def gradients(function, layer):
    """A function that gives the gradients of the mean square in the map and in the weights."""

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_mean(tf.square(function(x)))
        sources = [x, *(weight.value for weight in layer.trainable_weights)]
        return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, sources)]

    return step


if __name__ == "__main__":
    main()
