"""Time and memory of Panoptic-DeepLab's post-processing.

`python benchmarks/postprocess.py` prints medians over `--runs` calls on the stored 427 x 640 image (78 centres),
beside a plain version with one mask per instance, and the memory that a 1024 x 2048 image with 200 centres needs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from peak_memory import peak_megabytes

from tfpanoptic.postprocess.centers import group_and_merge, panoptic_deeplab_postprocess

FIXTURE = Path(__file__).parents[1] / "tests" / "fixtures" / "postprocess" / "panoptic_deeplab.npz"
NUM_CATEGORIES = 133


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    print(f"TensorFlow {tf.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print_memory()  # first, while nothing freed lies around to be used again
    reference = np.load(FIXTURE)
    things = tuple(reference["thing_ids"].tolist())
    threshold, _, stuff_area, _, kernel, _ = reference["1/params"].tolist()
    maps = [
        tf.constant(reference[f"1/{name}"].astype(dtype)[None])
        for name, dtype in (("semantic", np.int32), ("heatmap", np.float32), ("offset", np.float32))
    ]

    def ours(max_centers):
        settings = (things, NUM_CATEGORIES, threshold, int(kernel), max_centers, int(stuff_area))
        return tf.function(lambda *maps: group_and_merge(*maps, *settings)["segment_ids"])

    plain = tf.function(lambda *maps: one_mask_per_instance(*maps, things, threshold, int(kernel), int(stuff_area)))
    functions = {"75 places": ours(75), "200 places": ours(200), "one mask per instance": plain}
    times = {name: median_ms(function, maps, runs) for name, function in functions.items()}
    print("427 x 640, 78 centres, from semantic map, heatmap and offsets:")
    for name, (median, fastest) in times.items():
        ratio = times["one mask per instance"][0] / median
        print(f"  {name:24s} median {median:7.1f} ms, fastest {fastest:7.1f} ms, {ratio:5.1f} x the plain version")


def median_ms(function, arguments, runs: int) -> tuple[float, float]:
    """Median and fastest time of a call, in ms, after one that traces."""
    function(*arguments)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function(*arguments).numpy()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times), min(times)


def one_mask_per_instance(semantic, heatmap, offset, thing_ids, threshold, kernel, stuff_area):
    """The same panoptic map in the plain way: all distances at once, then one pass over the image a segment."""
    semantic, offset = semantic[0], offset[0]
    height, width = tf.unstack(tf.shape(semantic))
    above = tf.where(heatmap > threshold, heatmap, 0.0)[..., None]
    peaks = (above == tf.nn.max_pool2d(above, kernel, 1, "SAME")) & (above > 0)
    centers = tf.cast(tf.where(peaks[0, ..., 0]), tf.float32)  # [N, 2]
    pixel = tf.cast(tf.stack(tf.meshgrid(tf.range(height), tf.range(width), indexing="ij"), -1), tf.float32)
    pointed = tf.reshape(pixel + offset, [1, -1, 2])
    nearest = tf.argmin(tf.norm(centers[:, None] - pointed, axis=-1), axis=0, output_type=tf.int32)
    is_thing = tf.reduce_any(semantic[..., None] == tf.constant(thing_ids), axis=-1)
    instance = tf.where(is_thing, tf.reshape(nearest, [height, width]) + 1, 0)
    panoptic = tf.zeros_like(semantic)
    for number in tf.range(1, tf.shape(centers)[0] + 1):
        mask = instance == number
        category = tf.argmax(tf.math.bincount(tf.boolean_mask(semantic, mask), minlength=NUM_CATEGORIES + 1))
        panoptic = tf.where(mask, tf.cast(category, tf.int32) * 10_000 + number, panoptic)
    for category in tf.range(1, NUM_CATEGORIES + 1):
        mask = (semantic == category) & ~is_thing
        if tf.math.count_nonzero(mask) >= stuff_area:
            panoptic = tf.where(mask, category * 10_000, panoptic)
    return panoptic


def print_memory() -> None:
    """Memory above what was held before the call, at 1024 x 2048 with 200 centres (Linux only)."""
    height, width, things = 1024, 2048, tuple(range(1, 12))
    random = np.random.default_rng(0)
    semantic = tf.constant(random.integers(1, 20, (1, height, width)), tf.int32)
    heatmap = tf.constant(random.uniform(size=(1, height, width)), tf.float32)
    offset = tf.constant(random.normal(size=(1, height, width, 2)), tf.float32)
    group = tf.function(lambda *maps: group_and_merge(*maps, things, 19, 0.1, 13, 200, 2048))
    print("1024 x 2048, 200 centres, memory beside the inputs:")
    print(f"  grouping and merging               {peak_megabytes(group, (semantic, heatmap, offset)):6.0f} MB")
    for channels in (19, 134):
        outputs = {
            "semantic_logits": tf.random.normal([1, height // 4, width // 4, channels]),
            "center_heatmap": tf.random.uniform([1, height // 4, width // 4, 1]),
            "center_offset": tf.random.normal([1, height // 4, width // 4, 2]),
        }
        settings = (tuple(range(1, channels + 1)), things, channels, True, 0.1, 13, 200, 2048)
        valid = tf.constant([[height, width]])
        whole = postprocess_at((height, width), settings)
        print(f"  the whole way, {channels:3d} channels        {peak_megabytes(whole, (outputs, valid)):6.0f} MB")


def postprocess_at(size, settings):
    return tf.function(lambda outputs, valid: panoptic_deeplab_postprocess(outputs, size, valid, *settings))


if __name__ == "__main__":
    main()
