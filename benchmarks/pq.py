"""Time of panoptic quality: the NumPy evaluation, and the Keras metric in a graph.

`python benchmarks/pq.py` prints medians over `--runs` images of random blocks, beside the histogram of all pixel
pairs by `numpy.unique`, which is what the official API does first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.evaluation.panoptic_quality import count
from tfpanoptic.metrics.panoptic_quality import PanopticQuality
from tfpanoptic.segment_map import from_panoptic_map

TABLE = CategoryTable(tuple(Category(i, f"category {i}", i <= 8, (0, 0, 0), i) for i in range(1, 20)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    print(f"NumPy {np.__version__}, TensorFlow {tf.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for height, width in ((480, 640), (1024, 2048)):
        truth, prediction = (scene(seed, height, width) for seed in (0, 1))
        maps = [from_panoptic_map(panoptic, TABLE) for panoptic in (truth, prediction)]
        metric = PanopticQuality(TABLE)
        update = tf.function(metric.update_state)
        tensors = [tf.constant(panoptic[None]) for panoptic in (truth, prediction)]
        pixels = median_ms(
            lambda t=truth, p=prediction: np.unique(t.astype(np.int64) << 32 | p, return_counts=True), runs
        )
        print(f"{height} x {width}, {len(maps[0].segments)} and {len(maps[1].segments)} segments:")
        for name, function in {
            "evaluation, NumPy": lambda maps=maps: count(*maps, len(TABLE)),
            "metric, in a graph": lambda update=update, tensors=tensors: update(*tensors),
        }.items():
            median = median_ms(function, runs)
            print(
                f"  {name:20s} {median:7.1f} ms, {pixels / median:5.1f} x the histogram of all pixels ({pixels:.1f} ms)"
            )


def scene(seed: int, height: int, width: int) -> np.ndarray:
    """Panoptic map of blocks: eight thing categories with three instances each, eleven of stuff, void."""
    labels = [0, *(c * 10_000 + i for c in range(1, 9) for i in (1, 2, 3)), *(c * 10_000 for c in range(9, 20))]
    blocks = np.random.default_rng(seed).integers(0, len(labels), (height // 32, width // 32))
    return np.array(labels, np.int32)[blocks.repeat(32, 0).repeat(32, 1)]


def median_ms(function, runs: int) -> float:
    """Median time of a call in ms, after a first one."""
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


if __name__ == "__main__":
    main()
