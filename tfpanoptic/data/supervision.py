"""What the images of a run are for, and what of them teaches and measures nothing; the annotations tell, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from tfpanoptic.data.dataset import Dataset
from tfpanoptic.segment_map import SEGMENT

# Shares of void pixels that are worth a line: beside stuff, and without any. Own choice.
MUCH_VOID = 0.5
SOME_VOID = 0.01


def uses(splits: Mapping[str, Dataset]) -> dict[str, str]:
    """Split -> what its images are for, a phrase."""
    choosing = "choose the best weights"
    if "select" in splits:
        return {"train": "train", "select": choosing, "val": "are reported"}
    return {"train": "train", "val": f"{choosing} and are reported"}


def images_json(splits: Mapping[str, Dataset]) -> str:
    """Which images a run used for what, as JSON: split -> `{"use", "images"}`, by their names in the dataset."""
    content = {
        split: {"use": use, "images": [record.file_name for record in splits[split].records]}
        for split, use in uses(splits).items()
    }
    return json.dumps(content, indent=1) + "\n"


def supervision_lines(splits: Mapping[str, Dataset]) -> list[str]:
    """Lines about what the images of a run are for, and what nothing teaches or measures."""
    counts = [f"{len(splits[split])} {use} ({split})" for split, use in uses(splits).items()]
    rows = {split: _segments(dataset) for split, dataset in splits.items()}
    lines = [f"images: {', '.join(counts)}", *_taught(splits["train"], rows["train"])]
    for split, dataset in splits.items():
        void = _void_share(dataset, rows[split])
        if split != "train" and void >= MUCH_VOID:
            lines.append(f"{split}: {100 * void:.0f} % of the pixels are void: what is found there is not wrong")
        lines += dataset.void_images()
        unseen = [name for name in _unseen(dataset, rows[split]) if name not in dataset.table_only]
        if unseen:
            without = "nothing teaches them" if split == "train" else "their PQ is undefined"
            lines.append(f"{split}: no segment of {', '.join(unseen)}: {without}")
    return lines


def _taught(dataset: Dataset, rows: np.ndarray) -> list[str]:
    """Lines about void and about kinds that are missing as a whole; `rows` are all segments."""
    lines = []
    void = _void_share(dataset, rows)
    things = dataset.categories.isthing[rows["category"]]
    told = f"{dataset.split}: {100 * void:.0f} % of the pixels are void"
    if things.all() and void >= SOME_VOID:
        remedy = "`data.remap.void=NAME` makes void a category"
        lines.append(f"{told} and none is stuff: little says what is no thing; {remedy}")
    elif void >= MUCH_VOID:
        lines.append(f"{told}: no segment is taught there")
    if not (things & ~rows["iscrowd"]).any():
        lines.append(f"{dataset.split}: no segment is an instance of a thing: nothing teaches instances")
    return lines


def _void_share(dataset: Dataset, rows: np.ndarray) -> float:
    pixels = sum(record.height * record.width for record in dataset.records)
    return max(0.0, 1.0 - float(rows["area"].sum()) / pixels)


def _unseen(dataset: Dataset, rows: np.ndarray) -> list[str]:
    """Names of the categories without a segment."""
    seen = set(rows["category"].tolist())
    return [category.name for category in dataset.categories if category.id not in seen]


def _segments(dataset: Dataset) -> np.ndarray:
    """All segments that have pixels."""
    rows = np.concatenate([np.empty(0, SEGMENT), *(record.segments for record in dataset.records)])
    return rows[rows["area"] > 0]
