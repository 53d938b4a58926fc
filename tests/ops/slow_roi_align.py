"""RoIAlign as its definition reads, sample by sample."""

import numpy as np

STRIDES = (4, 8, 16, 32)


def level_of(box) -> int:
    """Lin et al. 2017, equation 1."""
    side = np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    return int(np.clip(np.floor(4 + np.log2(side / 224 + 1e-8)), 2, 5)) - 2


def interpolate(features, y, x):
    """Features [h, w, C] at a point, by the rules of Detectron2's kernel."""
    height, width, depth = features.shape
    if y < -1 or y > height or x < -1 or x > width:
        return np.zeros(depth)
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = features[top, left] * (1 - across) + features[top, right] * across
    lower = features[bottom, left] * (1 - across) + features[bottom, right] * across
    return upper * (1 - down) + lower * down


def slow_roi_align(levels, boxes, size, sampling_ratio=0, aligned=True, strides=STRIDES):
    """Float64 [N, size, size, C] for levels [h, w, C] and boxes [N, 4]."""
    results = []
    for box in boxes.astype(np.float64):
        place = level_of(box) if len(strides) > 1 else 0
        features, shift = levels[place].astype(np.float64), 0.5 if aligned else 0.0
        y1, x1, y2, x2 = box / strides[place] - shift
        sides = np.array([y2 - y1, x2 - x1])
        if not aligned:
            sides = np.maximum(sides, 1.0)
        cell = sides / size
        number = np.ceil(cell).astype(int) if sampling_ratio == 0 else np.array([sampling_ratio] * 2)
        result = np.zeros((size, size, features.shape[-1]))
        for row in range(size):
            for column in range(size):
                for i in range(number[0]):
                    for j in range(number[1]):
                        y = y1 + (row + (i + 0.5) / number[0]) * cell[0]
                        x = x1 + (column + (j + 0.5) / number[1]) * cell[1]
                        result[row, column] += interpolate(features, y, x)
        results.append(result / max(number[0] * number[1], 1))
    return np.stack(results)
