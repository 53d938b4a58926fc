"""Time and memory of merging the queries of mask classification.

`python benchmarks/queries.py` prints medians over `--runs` calls for the logits of 200 queries at 160 x 160, merged at
640 x 640, with 15 and with 200 candidates, beside a plain version that holds the enlarged maps of all candidates. The
contestants take turns, and must give the same segments.
"""

from __future__ import annotations

import argparse
import os
from functools import partial

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from peak_memory import peak_megabytes
from turns import medians_ms, waiting

from tfpanoptic.postprocess.mask_classification import merge_queries, merge_queries_at_own_size

QUERIES, CATEGORIES, THINGS, STRIDE = 200, 133, tuple(range(1, 81)), 4
CHANNELS = (*range(1, CATEGORIES + 1), 0)
THRESHOLDS = {"score": 0.8, "mask_threshold": 0.5, "overlap": 0.8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--side", type=int, default=640, help="Of the network's input.")
    arguments = parser.parse_args()
    size = (arguments.side,) * 2
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for candidates in (15, QUERIES):
        print(f"{size[0]} x {size[1]}, {QUERIES} queries, {candidates} candidates:")
        compare(scene(size, candidates), size, arguments.runs)


def scene(size, candidates: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits of a batch of one: blobs around the centres of Voronoi cells, some of the queries sure of a category."""
    random = np.random.default_rng(0)
    side = size[0] // STRIDE
    y, x = np.mgrid[:side, :side].astype(np.float32)
    centers = random.uniform(0, side, (QUERIES, 2))
    radius = side / np.sqrt(np.pi * candidates)
    distance = np.hypot(y[..., None] - centers[:, 0], x[..., None] - centers[:, 1])
    masks = (radius - distance + random.normal(0, 0.3, (side, side, QUERIES))).astype(np.float32)
    channel = np.full(QUERIES, CATEGORIES)
    sure = random.choice(QUERIES, candidates, replace=False)
    channel[sure] = random.integers(0, CATEGORIES, candidates)
    logits = random.normal(size=(QUERIES, CATEGORIES + 1)) + 12 * np.eye(CATEGORIES + 1)[channel]
    return tf.constant(logits[None], tf.float32), tf.constant(masks[None])


def compare(logits, size, runs: int) -> None:
    """Prints the times and the memory of one scene."""
    valid = tf.constant([size])

    def ours(class_logits, masks):
        return merge_queries(class_logits, masks, size, valid, CHANNELS, THINGS, **THRESHOLDS).segment_ids

    def at_own_size(class_logits, masks):
        rest = (valid, size, CHANNELS, THINGS)
        return merge_queries_at_own_size(class_logits, masks, size, *rest, **THRESHOLDS).segment_ids

    def plain(class_logits, masks):
        return all_maps_at_once(class_logits, masks, size)

    functions = {name: tf.function(f) for name, f in (("one at a time", ours), ("all at once", plain))}
    functions["one at a time, file's size"] = tf.function(at_own_size)
    first, second, _ = (function(*logits).numpy() for function in functions.values())
    np.testing.assert_array_equal(first[0], second)
    times = medians_ms({name: waiting(partial(f, *logits)) for name, f in functions.items()}, runs)
    for name, function in functions.items():
        ratio, memory = times["all at once"] / times[name], peak_megabytes(function, logits)
        print(f"  {name:28s} median {times[name]:7.1f} ms, {ratio:4.1f} x all at once, {memory:6.0f} MB")


def all_maps_at_once(class_logits, masks, size):
    """Row + 1 of each pixel's segment in the plain way: enlarged maps of all candidates, one pass for each of them."""
    probability = tf.nn.softmax(class_logits[0])
    score, channel = tf.reduce_max(probability, -1), tf.argmax(probability, -1, tf.int32)
    kept = (channel != CATEGORIES) & (score > THRESHOLDS["score"])
    score, category = score[kept], channel[kept] + 1
    logits = tf.boolean_mask(masks, kept, axis=3)
    enlarged = tf.raw_ops.ResizeBilinear(images=logits, size=size, half_pixel_centers=True)[0]
    mask = tf.sigmoid(enlarged)  # [H, W, candidates]
    owner = tf.argmax(mask * score, -1, tf.int32)
    segments = tf.zeros(size, tf.int32)
    row_of_stuff = tf.zeros([CATEGORIES + 1], tf.int32)
    for number in tf.range(tf.size(score)):
        inside, won = mask[..., number] >= THRESHOLDS["mask_threshold"], owner == number
        area, left = tf.math.count_nonzero(inside), tf.math.count_nonzero(inside & won)
        wins = tf.math.count_nonzero(won) / tf.maximum(area, 1) >= THRESHOLDS["overlap"]
        if (area > 0) & (left > 0) & wins:
            row, name = number + 1, category[number]
            if name > len(THINGS):
                row = row_of_stuff[name] if row_of_stuff[name] > 0 else row
                row_of_stuff = tf.tensor_scatter_nd_update(row_of_stuff, [[name]], [row])
            segments = tf.where(inside & won, row, segments)
    return segments


if __name__ == "__main__":
    main()
