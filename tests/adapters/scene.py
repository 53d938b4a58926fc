"""One small result, and what equal results are."""

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.result import PanopticResult
from tfpanoptic.segment_map import SegmentMap, segment_rows

CATEGORIES = CategoryTable.from_coco(
    [
        {"id": 30, "name": "sky", "isthing": 0},
        {"id": 70, "name": "cat", "isthing": 1},
        {"id": 71, "name": "dog", "isthing": 1},
    ]
)
NAMES = ["sky", "cat", "dog"]
SKY, CAT, DOG = 1, 2, 3
# Sky above, a cat of 4 x 3 and one of 2 x 2, a crowd of dogs of 1 x 4, void elsewhere.
IDS = np.zeros((9, 12), np.int32)
IDS[:3] = 300
IDS[4:8, 1:4] = 12
IDS[4:6, 6:8] = 13
IDS[8, 6:10] = 7


def result() -> PanopticResult:
    """The scene; 0.1 + 0.2 is a score that no rounding gives back."""
    rows = segment_rows(
        [300, 12, 13, 7], [SKY, CAT, CAT, DOG], [False, False, False, True], [36, 12, 4, 4], [0.75, 0.1 + 0.2, 0.5, 1]
    )
    return PanopticResult.from_segment_map(SegmentMap(IDS, rows), CATEGORIES)


def assert_same(found: PanopticResult, expected: PanopticResult):
    np.testing.assert_array_equal(found.segmentation, expected.segmentation)
    assert found.segmentation.dtype == np.int32
    assert found.segment_map.segments.tolist() == expected.segment_map.segments.tolist()


class Tensor:
    """As PyTorch's: NumPy takes it only without gradient and from main memory."""

    def __init__(self, array, steps=("detach", "cpu")):
        self._array, self._steps = np.asarray(array), steps

    def detach(self):
        return Tensor(self._array, tuple(step for step in self._steps if step != "detach"))

    def cpu(self):
        return Tensor(self._array, tuple(step for step in self._steps if step != "cpu"))

    def numpy(self):
        return self.__array__()

    def __array__(self, dtype=None, copy=None):
        if self._steps:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad or lies elsewhere")
        return self._array
