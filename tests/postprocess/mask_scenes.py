"""Queries whose masks are drawn by hand, and the stored cases of the original merging."""

import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "fixtures" / "eomt" / "postprocess"
CASES = ("landscape", "portrait", "empty", "square")
OFFICIAL = {"score": 0.8, "mask_threshold": 0.5, "overlap": 0.8}
# Of the drawn scenes: things 1 and 2, stuff 3 and 4, and no-object.
CHANNELS, THINGS = (1, 2, 3, 4, 0), (1, 2)


def queries(*drawn, places=6, size=(4, 8)):
    """Logits of a batch of one on masks of whole pixels.

    Args:
        drawn: (category, its probability, rows, columns) of each query, slices of its mask; category 0 is no-object.
        places: Q; the rest is no-object.
        size: (h, w).
    """
    probability = np.zeros((1, places, len(CHANNELS)))
    masks = np.full((1, *size, places), -9.0, np.float32)
    for place in range(places):
        category, sure, *mask = drawn[place] if place < len(drawn) else (0, 0.99)
        probability[0, place] = (1 - sure) / (len(CHANNELS) - 1)
        probability[0, place, CHANNELS.index(category)] = sure
        if mask:
            masks[0, mask[0], mask[1], place] = 9.0
    return np.log(probability).astype(np.float32), masks


def stored(case):
    """Class and mask logits of a case as a batch of one, its entry in the JSON, its channels and its things."""
    told = json.loads((FOLDER / "postprocess.json").read_text())[case]
    arrays = np.load(FOLDER / "postprocess.npz")
    masks = arrays[f"{case}/mask_logits"].astype(np.float32).transpose(1, 2, 0)[None]
    count = told["classes"]
    things = tuple(k + 1 for k in range(count) if k not in told["stuff"])
    return arrays[f"{case}/class_logits"][None], masks, told, (*range(1, count + 1), 0), things


def truth(case, size):
    """Category of each pixel and number of its segment, 0 where void; `size` is `network` or `file`."""
    arrays, told = np.load(FOLDER / "postprocess.npz"), json.loads((FOLDER / "postprocess.json").read_text())[case]
    category = arrays[f"{case}/{size}/class"]
    return np.where(category == told["classes"], 0, category + 1), arrays[f"{case}/{size}/segment"] + 1


def found(segments, image=0):
    """Category of each pixel and number of its segment in the order of the rows, 0 where void."""
    labels = np.concatenate([[0], np.asarray(segments.labels)[image]])
    ids = np.asarray(segments.segment_ids)[image]
    return labels[ids] // 10_000, np.cumsum(labels > 0)[ids] * (labels[ids] > 0)
