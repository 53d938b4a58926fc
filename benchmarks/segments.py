"""Time of segment tables over runs of equal ids, as ratios to looking at every pixel.

`python benchmarks/segments.py` prints, for 256 x 256 and 1024 x 2048 with 40 segments, medians over `--runs` rounds in
one process on one core; all contestants take their turn in every round, so that a busy machine slows them alike. Each
part is compared with its own per-pixel way in the same round, and both must give the same numbers.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from turns import medians_ms

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.segment_map import SegmentMap, extents, rows_of_pixels, segment_rows, to_coco_segments

TABLE = CategoryTable((Category(1, "cell", True, (0, 0, 0), 1),))
SIZES = ((256, 256), (1024, 2048))
SEGMENTS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"NumPy {np.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for height, width in SIZES:
        one_size(height, width, runs)


def one_size(height: int, width: int, runs: int) -> None:
    """Prints the times of one map."""
    segment_map = cells(height, width)
    ids, numbers = segment_map.ids, segment_map.segments["id"]
    parts: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "areas and boxes": (
            lambda: extents(ids).of(numbers)[1:],
            lambda: (areas_of_pixels(ids, numbers), boxes_of_pixels(ids, numbers)),
        ),
        "row of each pixel": (lambda: rows_of_pixels(segment_map), lambda: search_every_pixel(ids, numbers)),
        "to_coco_segments": (
            lambda: to_coco_segments(segment_map, TABLE),
            lambda: coco_segments_of_pixels(segment_map),
        ),
    }
    print(f"\n{height} x {width}, {len(numbers)} segments")
    for name, (over_runs, over_pixels) in parts.items():
        require_equal(name, over_runs(), over_pixels())
        fast, slow = medians_ms({"runs": over_runs, "pixels": over_pixels}, runs).values()
        print(f"  {name:18s} runs {fast:8.2f} ms, pixels {slow:8.2f} ms, {slow / fast:6.1f} x")


def cells(height: int, width: int) -> SegmentMap:
    """A map of cells with wavy borders and ids of up to 24 bits, void among them."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wave_y, wave_x = 6 * np.sin(y / 17), 6 * np.sin(x / 17)
    nearest = np.full((height, width), np.inf, np.float32)
    ids = np.zeros((height, width), np.int32)
    for number in (0, *random.choice(np.arange(1, 1 << 24), SEGMENTS, replace=False)):
        py, px = random.uniform(0, 1, 2) * (height, width)
        distance = (y + wave_y - py) ** 2 + (x + wave_x - px) ** 2
        closer = distance < nearest
        nearest[closer], ids[closer] = distance[closer], number
    numbers = random.permutation(np.unique(ids[ids > 0]))
    return SegmentMap(ids, segment_rows(numbers, np.ones(len(numbers)), areas=extents(ids).of(numbers).areas))


def areas_of_pixels(ids: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Pixels of each id by counting all pixels, int64 `[N]`."""
    area = dict(zip(*(column.tolist() for column in np.unique(ids, return_counts=True))))
    return np.array([area.get(number, 0) for number in numbers.tolist()], np.int64)


def boxes_of_pixels(ids: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Tight boxes (y1, x1, y2, x2) by moving them with every pixel, int32 `[N, 4]`."""
    boxes = np.zeros((len(numbers), 4), np.int32)
    boxes[:, :2] = np.iinfo(np.int32).max
    order = np.argsort(numbers)
    y, x = np.nonzero(np.isin(ids, numbers))
    row = order[np.searchsorted(numbers[order], ids[y, x])]
    np.minimum.at(boxes[:, 0], row, y)
    np.minimum.at(boxes[:, 1], row, x)
    np.maximum.at(boxes[:, 2], row, y + 1)
    np.maximum.at(boxes[:, 3], row, x + 1)
    boxes[boxes[:, 2] == 0] = 0
    return boxes


def search_every_pixel(ids: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Row + 1 of each pixel by a search for its id, int32 `[H, W]`."""
    order = np.argsort(numbers)
    row = order[np.minimum(np.searchsorted(numbers[order], ids), len(numbers) - 1)]
    return np.where(numbers[row] == ids, row + 1, 0).astype(np.int32)


def coco_segments_of_pixels(segment_map: SegmentMap) -> list[dict]:
    """What `to_coco_segments` gives, with `boxes_of_pixels`."""
    rows = segment_map.segments
    return [
        {
            "id": int(row["id"]),
            "category_id": TABLE[int(row["category"])].source_id,
            "area": int(row["area"]),
            "bbox": [int(x1), int(y1), int(x2 - x1), int(y2 - y1)],
            "iscrowd": int(row["iscrowd"]),
            "score": round(float(row["score"]), 6),
        }
        for row, (y1, x1, y2, x2) in zip(rows, boxes_of_pixels(segment_map.ids, rows["id"]))
    ]


def require_equal(name: str, first: object, second: object) -> None:
    """Stops if both ways differ."""
    try:
        np.testing.assert_equal(first, second)
    except AssertionError as error:
        raise SystemExit(f"{name}: the two ways differ: {error}") from None


if __name__ == "__main__":
    main()
