"""Time and memory of Panoptic FPN or UPSNet in inference, part by part, beside its own backbone.

`python benchmarks/top_down.py` prints medians over `--runs` calls for ResNet-50 with COCO's 133 categories, 1000
proposals and 100 detections that are all merged, and each part's share of the backbone's time in the same run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from peak_memory import peak_megabytes

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.models.mask_rcnn import STRIDES
from tfpanoptic.ops.roi_align import roi_align

SIZES = ("640x640", "800x1216")
# Every pair of a region and a class may become a detection, and every detection an instance: 100 of each.
BACKBONE = {"name": "resnet50", "stride_on": "1x1", "max_pool": True}
MODELS = {
    "panoptic_fpn": {"backbone": BACKBONE, "postprocess": {"detection_score": 0.0, "instance_score": 0.0}},
    "upsnet": {"backbone": BACKBONE, "postprocess": {"detection_score": 0.0}},
}
SEMANTIC = {"panoptic_fpn": "semantic_fpn", "upsnet": "semantic_head"}
CATEGORIES = CategoryTable(tuple(Category(i, f"category{i}", i <= 80, (0, 0, 0), i) for i in range(1, 134)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="HEIGHTxWIDTH, multiples of 32.")
    parser.add_argument("--model", choices=MODELS, default="panoptic_fpn")
    arguments = parser.parse_args()
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    architecture = ARCHITECTURES[arguments.model]
    config = architecture.config.model_validate(MODELS[arguments.model])

    def merge(outputs, size, valid):
        return architecture.postprocess(outputs, size, valid, config, CATEGORIES).segment_ids

    channels = len(architecture.channels(config, CATEGORIES)["semantic_logits"])
    print_memory(merge, channels)  # first, while nothing freed lies around to be used again
    keras.utils.set_random_seed(0)
    network = architecture.build(config, CATEGORIES).infer
    for weight in network.weights:
        # Blocks that add little, as in a trained network: the features keep their size.
        if weight.path.endswith("_conv3/batch_norm/gamma"):
            weight.assign(0.2 * weight)
    parts = parts_of(network, SEMANTIC[arguments.model])
    for size in (tuple(map(int, text.split("x"))) for text in arguments.sizes):
        print_size(network, parts, merge, size, arguments.runs)


def parts_of(network, semantic: str) -> dict[str, keras.Model]:
    """The convolutional parts as models of their own."""

    def layer(name):
        return network.get_layer(name)

    maps = layer("fpn").input
    levels = layer("fpn").output
    return {
        "backbone": keras.Model(network.input, maps),
        "pyramid": keras.Model(maps, levels),
        "semantic branch": keras.Model(levels[:4], layer(semantic).output),
    }


def print_size(network, parts: dict, merge, size: tuple[int, int], runs: int) -> None:
    rng = np.random.default_rng(0)
    image = tf.constant(rng.uniform(0, 255, (1, *size, 3)), tf.float32)
    valid = tf.constant([size], tf.int32)
    times: dict[str, float] = {}

    def measure(name, function, *arguments):
        traced = tf.function(function, autograph=False)
        times[name], result = median_seconds(lambda: traced(*arguments), runs)
        return result

    maps = measure("backbone", lambda i, v: parts["backbone"]({"image": i, "valid_size": v}), image, valid)
    levels = measure("pyramid", lambda *maps: parts["pyramid"](list(maps)), *maps)
    semantic = measure("semantic branch", lambda *levels: parts["semantic branch"](list(levels)), *levels[:4])
    said = measure("RPN", lambda *levels: network.get_layer("rpn")(list(levels)), *levels)
    boxes, scores = measure("proposals", lambda *said: network.get_layer("proposals")(*said, valid), *said)
    measure("RoIAlign of 1000 boxes", lambda b, *levels: roi_align(list(levels), STRIDES[:4], b, 7), boxes, *levels[:4])
    logits, deltas = measure(
        "box head (with RoIAlign)",
        lambda b, *levels: network.get_layer("box_head")(list(levels), b),
        boxes,
        *levels[:4],
    )
    found = measure(
        "detections", lambda *parts: network.get_layer("detect")(*parts, valid), boxes, scores, logits, deltas
    )
    index = found[2]
    for number in (20, 100):
        masks = measure(
            f"mask head, {number} masks",
            lambda b, i, wanted, *levels: network.get_layer("mask_head")(list(levels), b, i, wanted),
            found[0],
            index,
            tf.constant([number]),
            *levels[:4],
        )
    category = tf.gather(tf.constant(CATEGORIES.thing_ids, tf.int32), index)
    outputs = {
        "semantic_logits": semantic,
        "boxes": found[0],
        "scores": found[1],
        "box_category": tf.where(found[1] > 0, category, 0),
        "mask_logits": masks,
    }
    measure("merging of 100 detections", lambda o: merge(o, size, valid), outputs)
    measure(
        "whole, image to segments",
        lambda i, v: merge(network({"image": i, "valid_size": v}), size, v),
        image,
        valid,
    )
    own = times["backbone"]
    print(f"{size[0]} x {size[1]}, {int(tf.reduce_sum(tf.cast(found[1] > 0, tf.int32)))} detections:")
    for name, seconds in times.items():
        print(f"  {name:28s} {1e3 * seconds:8.1f} ms, {seconds / own:5.2f} x the backbone")
    after = times["whole, image to segments"] - own - times["pyramid"]
    print(
        f"  {'all after the pyramid':28s} {1e3 * after:8.1f} ms, {after / own:5.2f} x the backbone, "
        f"{after / (own + times['pyramid']):5.2f} x backbone and pyramid"
    )


def median_seconds(function, runs: int):
    """Median time of a call after one that traces, and its result."""
    result = function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        result = function()
        tf.nest.map_structure(lambda tensor: tensor.numpy().ravel()[:1], result)
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def print_memory(merge, channels: int, size: tuple[int, int] = (1024, 2048), detections: int = 100) -> None:
    """Memory of merging, pasted masks and enlarged logits included."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, (800, 1600), (1, detections, 2))
    outputs = {
        "semantic_logits": tf.constant(rng.normal(size=(1, size[0] // 4, size[1] // 4, channels)), tf.float32),
        "boxes": tf.constant(np.concatenate([corner, corner + rng.uniform(30, 400, corner.shape)], -1), tf.float32),
        "scores": tf.constant(np.linspace(1, 0.6, detections)[None], tf.float32),
        "box_category": tf.constant(rng.integers(1, 81, (1, detections)), tf.int32),
        "mask_logits": tf.constant(rng.normal(1, 2, (1, detections, 28, 28)), tf.float32),
    }
    whole = tf.function(lambda outputs: merge(outputs, size, tf.constant([size])), autograph=False)
    needed = peak_megabytes(whole, (outputs,))
    print(f"merging of {detections} detections at {size[0]} x {size[1]}: {needed:.0f} MB beside the inputs")


if __name__ == "__main__":
    main()
