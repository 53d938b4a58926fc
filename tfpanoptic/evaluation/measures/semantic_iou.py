"""Mean IoU of the categories of the pixels, whatever their segments.

Pixels that are void in the truth are left out, those of a crowd count as their category. A pixel that is
void in the prediction is one that its true category misses; void itself is no category, nor is background: what is
predicted on it counts against the category there, and in the pixel accuracy void is right there. Areas are pixels,
whatever the annotation says.

Source: Everingham et al. 2010 (Pascal VOC) and Cordts et al. 2016 (Cityscapes), whose counts run over the
whole dataset.
"""

from __future__ import annotations

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.matching import SegmentPairs

COLUMNS = ("category_or_void", "predicted_category", "pixels")


def count_rows(pairs: SegmentPairs, categories: CategoryTable) -> np.ndarray:
    """The confusions of one image as rows, float64 `[R, 3]` with the columns `COLUMNS`.

    A row is a true category, 0 for background, the category that was predicted, 0 where it is void, and the pixels of
    both.
    """
    known = ~pairs.void
    # A last entry for row -1.
    true_category = np.append(pairs.truth.segments["category"], 0)[pairs.true_row[known]].astype(np.int64)
    predicted_row = pairs.predicted_row[known]
    category_of_row = np.append(pairs.prediction.segments["category"], 0)
    size = len(categories) + 1
    key, which = np.unique(true_category * size + category_of_row[predicted_row], return_inverse=True)
    pixels = np.bincount(which, pairs.area[known], len(key))
    return np.stack([key // size, key % size, pixels], axis=1).astype(np.float64)


def summarize_rows(rows: np.ndarray, categories: CategoryTable) -> dict:
    """Mean IoU as a fraction, and the IoU of each category.

    Returns:
        `{"miou", "n", "pixel_accuracy", "per_category": {name: IoU}}`. The IoU of a category is TP / (TP +
        FP + FN), in pixels; the mean is over the n categories that have any pixel in the truth, or in the
        prediction where the truth is not void. `pixel_accuracy` is the share of the pixels that are not
        void in the truth whose category is right. None where there is no pixel.
    """
    size = len(categories) + 1
    true_category, predicted_category = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    pixels, right = rows[:, 2], rows[:, 0] == rows[:, 1]
    correct = np.bincount(true_category[right], pixels[right], size)
    true_pixels = np.bincount(true_category, pixels, size)
    union = true_pixels + np.bincount(predicted_category, pixels, size) - correct
    per_category = {c.name: float(correct[c.id] / union[c.id]) if union[c.id] else None for c in categories}
    present = [iou for iou in per_category.values() if iou is not None]
    known = true_pixels.sum()
    return {
        "miou": float(np.mean(present)) if present else None,
        "n": len(present),
        "pixel_accuracy": float(correct.sum() / known) if known else None,
        "per_category": per_category,
    }
