"""Time of panoptic quality as ratios to decoding: from files, in memory, as a Keras metric, and of other libraries.

`python benchmarks/pq.py` evaluates `--pairs` pairs with one worker and with several. Then it prints, for 640 x 480 and
1024 x 2048, medians over `--runs` rounds in one process on one core; all contestants take their turn in every round, so
that a busy machine slows them alike. The reference is Pillow decoding the pair of PNGs to RGB arrays. Model Garden and
torchmetrics take part where they are installed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from PIL import Image

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.evaluation.counting import count_image, evaluate_files
from tfpanoptic.evaluation.measures import FAST
from tfpanoptic.evaluation.measures.matching import pair_segments
from tfpanoptic.evaluation.pairs.coco import FilePair, FileSet, SegmentFile
from tfpanoptic.segment_map import extents, ids_to_rgb, rows_of, segment_rows

THINGS, STUFF = 8, 11
TABLE = CategoryTable(
    tuple(Category(i, f"category {i}", i <= THINGS, (0, 0, 0), i) for i in range(1, THINGS + STUFF + 1))
)
SIZES = ((480, 640), (1024, 2048))
# About what COCO has: 12 segments an image, and here 40, for the denser ones.
SEGMENTS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=800)
    arguments = parser.parse_args()
    for library in ("numpy", "pillow", "tensorflow-cpu", "tf-models-official", "torchmetrics", "torch"):
        print(library, _version(library), end=", ")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        many_pairs(Path(folder), arguments.pairs)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        for height, width in SIZES:
            one_size(Path(folder), height, width, arguments.runs)


def one_size(folder: Path, height: int, width: int, runs: int) -> None:
    """Prints the times of one pair of images."""
    pair = write_pair(folder, f"{height}", height, width)
    truth, prediction = pair.read()
    contestants: dict[str, Callable[[], object]] = {
        "Pillow, two PNGs to RGB arrays": lambda: decode(pair),
        "files: PQ": lambda: count_image(pair, TABLE, ("pq",)),
        "files: PQ, causes, sizes, mIoU, PC": lambda: count_image(pair, TABLE, FAST),
        "files: the same and Boundary PQ": lambda: count_image(pair, TABLE, (*FAST, "boundary")),
        "segment maps in memory: PQ": lambda: pair_segments(truth, prediction, len(TABLE)).matches,
        **keras_metric(truth.ids, prediction.ids, pair),
        **model_garden(truth.ids, prediction.ids, pair),
        **torchmetrics(truth.ids, prediction.ids, pair),
    }
    medians = medians_ms(contestants, runs)
    reference = next(iter(medians.values()))
    print(f"\n{height} x {width}, {SEGMENTS} segments")
    for name, median in medians.items():
        print(f"  {name:38s} {median:9.2f} ms  {median / reference:8.2f} x decoding")


def many_pairs(folder: Path, count: int) -> None:
    """Prints the time of many pairs with one worker and with several, beside decoding alone with as many processes."""
    pair = write_pair(folder, "many", *SIZES[0])
    pairs = tuple(FilePair(f"{k:06d}", k, pair.height, pair.width, pair.truth, pair.prediction) for k in range(count))
    print(f"\n{count} pairs of {SIZES[0][0]} x {SIZES[0][1]}, all measures read from the pairs")
    for workers in range(1, (os.cpu_count() or 1) + 1):
        for part in (count // 8, count):
            decoding = _ms(lambda part=part, workers=workers: decode_all(pairs[:part], workers)) / 1e3
            files = FileSet(TABLE, pairs[:part], "")
            seconds = _ms(lambda files=files, workers=workers: evaluate_files(files, workers=workers)) / 1e3
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"  {workers} workers, {part:5d} pairs: {part / seconds:5.0f} pairs a second, {seconds:5.1f} s, "
                f"{seconds / decoding:.2f} x decoding ({decoding:.1f} s); peak of this process so far {memory:.0f} MB"
            )


def decode_all(pairs: Sequence[FilePair], workers: int) -> None:
    """Decodes pairs in as many processes as an evaluation with these workers has."""
    if workers == 1:
        for pair in pairs:
            decode(pair)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for _ in pool.map(decode, pairs, chunksize=8):
            pass


def decode(pair: FilePair) -> int:
    """Decodes a pair to RGB arrays."""
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in (pair.truth.path, pair.prediction.path)]
    return sum(array.size for array in arrays)


def write_pair(folder: Path, name: str, height: int, width: int) -> FilePair:
    """A truth of cells with smooth borders, and a prediction of it with moved borders and other categories."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    points = random.uniform(0, 1, (SEGMENTS, 2)) * (height, width)
    numbers = random.choice((1 << 24) - 1, SEGMENTS, replace=False).astype(np.int32) + 1
    numbers[:2] = 0
    files = []
    for side, shift in (("truth", 0), ("prediction", height / 100)):
        wave_y, wave_x = (shift + 6 * np.sin(axis / 17 + shift) for axis in (x, y))
        nearest = np.full((height, width), np.inf, np.float32)
        ids = np.zeros((height, width), np.int32)
        for number, (py, px) in zip(numbers, points, strict=True):
            distance = (y + wave_y - py) ** 2 + (x + wave_x - px) ** 2
            closer = distance < nearest
            nearest[closer], ids[closer] = distance[closer], number
        segments = extents(ids).of(np.unique(ids[ids > 0]))
        categories = segments.ids % len(TABLE) + 1
        path = folder / f"{name}_{side}.png"
        Image.fromarray(ids_to_rgb(ids)).save(path)
        files.append(SegmentFile(path, segment_rows(segments.ids, categories, areas=segments.areas)))
    return FilePair(name, name, height, width, *files)


def panoptic_maps(ids_of_sides: tuple[np.ndarray, ...], pair: FilePair):
    """(category, instance) of each side, int64 `[H, W]`; void is 0, instances count from 1 in the image."""
    for ids, file in zip(ids_of_sides, (pair.truth, pair.prediction), strict=True):
        rows = file.segments
        row = rows_of(rows["id"], ids)
        category = np.where(row >= 0, rows["category"][row], 0).astype(np.int64)
        yield category, np.where(category <= THINGS, row + 1, 0)


def keras_metric(truth: np.ndarray, prediction: np.ndarray, pair: FilePair) -> dict[str, Callable[[], object]]:
    """Our metric in a graph."""
    try:
        import tensorflow as tf
    except ImportError:
        return {}
    from tfpanoptic.metrics.panoptic_quality import PanopticQuality

    tensors = [
        tf.constant((category * 10_000 + instance)[None], tf.int32)
        for category, instance in panoptic_maps((truth, prediction), pair)
    ]
    update = tf.function(PanopticQuality(TABLE).update_state)
    return {"Keras metric in a graph, in memory": lambda: update(*tensors)}


def model_garden(truth: np.ndarray, prediction: np.ndarray, pair: FilePair) -> dict[str, Callable[[], object]]:
    """Model Garden's evaluator, of which decoding is no part."""
    try:
        from official.vision.evaluation.panoptic_quality import PanopticQuality
    except ImportError as error:
        print(f"without Model Garden ({error})", file=sys.stderr)
        return {}
    maps = [
        {"category_mask": category, "instance_mask": instance}
        for category, instance in panoptic_maps((truth, prediction), pair)
    ]
    metric = PanopticQuality(len(TABLE) + 1, 0, 256, 256**3)
    return {"Model Garden, in memory": lambda: metric.compare_and_accumulate(*maps)}


def torchmetrics(truth: np.ndarray, prediction: np.ndarray, pair: FilePair) -> dict[str, Callable[[], object]]:
    """PQ of torchmetrics on one core, of which decoding is no part."""
    try:
        import torch
        from torchmetrics.detection import PanopticQuality
    except ImportError as error:
        print(f"without torchmetrics ({error})", file=sys.stderr)
        return {}
    torch.set_num_threads(1)
    maps = [
        torch.from_numpy(np.stack([category, instance], -1)[None].astype(np.int64))
        for category, instance in panoptic_maps((truth, prediction), pair)
    ]
    void_as_stuff = {0, *TABLE.stuff_ids}
    metric = PanopticQuality(set(TABLE.thing_ids), void_as_stuff, allow_unknown_preds_category=True)
    return {"torchmetrics, in memory": lambda: metric.update(maps[1], maps[0])}


def medians_ms(contestants: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median time of a call in ms, after a first one; those above half a second run in every tenth round alone."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    slow = {name for name, call in contestants.items() if _ms(call) > 500}
    for turn in range(runs):
        for name, call in contestants.items():
            if name not in slow or turn % 10 == 0:
                times[name].append(_ms(call))
    return {name: statistics.median(values) for name, values in times.items()}


def _ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
