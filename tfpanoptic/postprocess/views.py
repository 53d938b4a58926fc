"""What several views of an image say together: which numbers of the heads are averaged, and how.

Probabilities are averaged, not logits, and what comes out are logits again, so that post-processing takes it as
outputs of a network. Offsets are lengths: they are brought to the cells of the reference first, and point the other
way along x in the mirrored image.

Source: Panoptic-DeepLab's authors and DeepLab2 average probabilities, heatmaps and offsets. Own choice: they do so at
the size of the input, and here it is done on the heads' cells, which post-processing enlarges once. Nobody published
this for DeeperLab.
"""

from __future__ import annotations

import numpy as np
from keras import ops

from tfpanoptic.ops.keypoint_graph import EDGES, KEYPOINTS, MIRRORED, MIRRORED_EDGES

# Below every probability that can matter; its logarithm is finite.
SMALLEST = 1e-30
# float32 tells 1 - 1e-7 from 1.
MARGIN = 1e-7


def center_values(outputs: dict, growth, mirrored: bool) -> dict:
    """What is averaged of Panoptic-DeepLab's outputs for one view.

    Args:
        outputs: `semantic_logits` `[B, h, w, K]`, `center_heatmap` `[B, h, w, 1]`, `center_offset` `[B, h, w, 2]`, at
            their places in the image.
        growth: float32 `[2]`, how many cells of the reference a cell of the view is high and wide.
        mirrored: whether the view is.

    Returns:
        Of the same names and shapes: probabilities, heights, and offsets in cells of the reference.
    """
    return {
        "semantic_logits": ops.softmax(outputs["semantic_logits"], axis=-1),
        "center_heatmap": outputs["center_heatmap"],
        "center_offset": _turned(outputs["center_offset"], growth, mirrored),
    }


def center_outputs(means: dict) -> dict:
    """Outputs of Panoptic-DeepLab from means of `center_values`; the logits are logarithms of probabilities."""
    return {**means, "semantic_logits": _logarithm(means["semantic_logits"])}


def keypoint_values(outputs: dict, growth, mirrored: bool) -> dict:
    """What is averaged of DeeperLab's outputs for one view.

    In the mirrored image left corners are right ones. Short and middle offsets are learned within the disk of their
    keypoint alone, which a view at another scale has with another radius in the image: each view counts for as much as
    it is sure of the disk (own choice).

    Args:
        outputs: `semantic_logits` `[B, h, w, K]`, `keypoint_logits` `[B, h, w, 5]`, `short_offset` and `long_offset`
            `[B, h, w, 10]`, `middle_offset` `[B, h, w, 16]`, at their places in the image.
        growth, mirrored: as in `center_values`.

    Returns:
        Of the same names and shapes: probabilities, long offsets in cells of the reference, and the other offsets so,
        times the probability of the keypoint where they start.
    """
    kinds, edges = (MIRRORED, MIRRORED_EDGES) if mirrored else (range(len(KEYPOINTS)), range(len(EDGES)))
    offsets = {
        name: _turned(ops.take(outputs[f"{name}_offset"], _pairs(order), axis=-1), growth, mirrored)
        for name, order in (("short", kinds), ("middle", edges), ("long", kinds))
    }
    probability = ops.sigmoid(ops.take(outputs["keypoint_logits"], np.asarray(kinds, np.int32), axis=-1))
    return {
        "semantic_logits": ops.softmax(outputs["semantic_logits"], axis=-1),
        "keypoint_logits": probability,
        "short_offset": offsets["short"] * _of_kinds(probability),
        "middle_offset": offsets["middle"] * _of_starts(probability),
        "long_offset": offsets["long"],
    }


def keypoint_outputs(means: dict) -> dict:
    """Outputs of DeeperLab from means of `keypoint_values`."""
    probability = means["keypoint_logits"]
    inside = ops.clip(probability, MARGIN, 1.0 - MARGIN)
    return {
        "semantic_logits": _logarithm(means["semantic_logits"]),
        "keypoint_logits": ops.log(inside) - ops.log(1.0 - inside),
        "short_offset": means["short_offset"] / ops.maximum(_of_kinds(probability), SMALLEST),
        "middle_offset": means["middle_offset"] / ops.maximum(_of_starts(probability), SMALLEST),
        "long_offset": means["long_offset"],
    }


def _turned(offset, growth, mirrored: bool):
    """Offsets `[B, h, w, 2 * N]` of a view in cells of the reference, as they are in the image that is not mirrored."""
    direction = np.array([1, -1 if mirrored else 1], np.float32)
    return offset * ops.tile(growth * direction, (offset.shape[-1] // 2,))


def _logarithm(probability):
    return ops.log(ops.maximum(probability, SMALLEST))


def _pairs(order) -> np.ndarray:
    """Channels of the offsets, two each, in the order of their keypoints or edges."""
    return np.asarray([2 * number + axis for number in order for axis in (0, 1)], np.int32)


def _of_kinds(probability):
    """The probability of each keypoint at both coordinates of its offset, `[B, h, w, 10]`."""
    return ops.take(probability, np.repeat(np.arange(len(KEYPOINTS), dtype=np.int32), 2), axis=-1)


def _of_starts(probability):
    """The probability of the keypoint where each edge starts, at both coordinates of its offset, `[B, h, w, 16]`."""
    return ops.take(probability, np.repeat(np.asarray([start for start, _ in EDGES], np.int32), 2), axis=-1)
