"""Cityscapes: predictions in train ids, which the truth tells from predictions in label ids.

Train ids are the places of the evaluated labels in their order; what they call void differs: 255, 19, 65535. Some are
label ids, too: 8 is vegetation as a train id and sidewalk as a label id.

Source: `trainId` in the label table of the Cityscapes scripts (`helpers/labels.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.cityscapes_ids import IGNORED, LABELS, labels_of, segments_of_values
from tfpanoptic.data.coco_json import MAX_SEGMENT_ID, PREDICTED_KEYS
from tfpanoptic.data.segment_png import read_grey_values, read_segment_ids
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, extents, relabel

LABEL_OF_TRAIN_ID = np.array(sorted(LABELS))
VOID = 255
# So many annotations with ids of no category are compared with the truth.
MOST_COMPARED = 8


class SegmentFile(Protocol):
    """A file of segments, not yet read."""

    def read(self) -> SegmentMap:
        """The segment map."""


class Agreement(NamedTuple):
    """How far a prediction agrees with the truth, by the two meanings of its ids.

    Attributes:
        as_label_ids, as_train_ids: shares of the pixels whose true category is evaluated.
        categories: true categories of which most pixels agree as train ids.
    """

    as_label_ids: float
    as_train_ids: float
    categories: int

    @property
    def sure(self) -> bool:
        """Whether the ids are train ids.

        Own choice: most pixels agree, more than as label ids, in two categories at least. One alone says little: 0 is
        the road, or nothing found; 8 everywhere is vegetation, or the sidewalk of a model that learnt nothing.
        """
        return self.as_train_ids > max(self.as_label_ids, 0.5) and self.categories > 1

    @property
    def likely(self) -> bool:
        """Whether train ids agree better; to be asked where the ids cannot be label ids."""
        return self.as_train_ids > self.as_label_ids

    def error(self, path: Path) -> InputError:
        """The error that names train ids."""
        return InputError(
            f"{path}: looks like train ids, which agree with the truth in {self.as_train_ids:.0%} of the pixels, as "
            f"label ids in {self.as_label_ids:.0%}; expected label ids, as gtFine_instanceIds.png has them: 7 for "
            "road, 26 for car (26001 for a single one)"
        )


def agreement(own: np.ndarray, truth: np.ndarray, pixels: np.ndarray) -> Agreement:
    """The agreement of the ids of a prediction with the labels of the truth.

    Args:
        own, truth: integers `[N]`, of pairs that occur; ids or labels without instance numbers.
        pixels: `[N]`, how often.
    """
    counted = np.isin(truth, LABEL_OF_TRAIN_ID)
    own, truth, pixels = own[counted], truth[counted], pixels[counted]
    as_train_ids = from_train_ids(own) == truth
    right = np.bincount(truth, pixels * as_train_ids)
    total = np.bincount(truth, pixels)
    all_pixels = max(total.sum(), 1)
    return Agreement(
        float(pixels[own == truth].sum() / all_pixels),
        float(right.sum() / all_pixels),
        int((right > total / 2).sum()),
    )


def map_agreement(own: np.ndarray, truth: np.ndarray) -> Agreement:
    """As `agreement`, of two maps of one size."""
    size = 1 << 24
    pairs, pixels, _ = extents(truth.astype(np.int64) * size + own)
    return agreement(pairs % size, pairs // size, pixels)


def confusion_agreement(confusions: np.ndarray, categories: CategoryTable) -> Agreement | None:
    """The agreement over a whole set, of pixels predicted as a label that is a train id, too: 7, 8, 11, 12, 13, 17.

    Args:
        confusions: rows of `semantic_iou.COLUMNS`.
        categories: of the rows.

    Returns:
        None where the categories are not those of Cityscapes.
    """
    label_of = np.array([0, *(category.source_id for category in categories)])
    if label_of[1:].tolist() != LABEL_OF_TRAIN_ID.tolist():
        return None
    true, own = label_of[confusions[:, :2].astype(np.int64)].T
    both = (own > 0) & (own < len(LABELS))
    return agreement(own[both], true[both], confusions[both, 2])


def from_train_ids(ids: np.ndarray) -> np.ndarray:
    """The labels that train ids mean, -1 for what is none."""
    return np.where(ids < len(LABELS), LABEL_OF_TRAIN_ID[np.minimum(ids, len(LABELS) - 1)], -1)


def read_predicted_ids(path: Path, truth_path: Path) -> SegmentMap:
    """The segment map of a prediction in the encoding of `gtFine_instanceIds.png`.

    Args:
        path: the prediction.
        truth_path: PNG of instance ids; it is looked at where the prediction may be in train ids.

    Raises:
        InputError: as `cityscapes_ids.read_instance_ids`; or the prediction is in train ids.
    """
    values = read_grey_values(path)
    labels = np.unique(labels_of(np.unique(values)))
    strange = not np.isin(labels, [*LABELS, *IGNORED]).all()
    # Beyond 18, train ids have a value for void alone. Most predictions in label ids have more: no truth is read twice.
    if strange or (labels >= len(LABELS)).sum() <= 1:
        truth = read_grey_values(truth_path)
        if truth.shape == values.shape:
            found = map_agreement(labels_of(values), labels_of(truth))
            if found.sure or (strange and found.likely):
                raise found.error(path)
    return segments_of_values(path, values, False)


def refuse_train_ids(
    pred: Path, strange: Sequence[tuple[Path, dict[str, Any], SegmentFile]], categories: CategoryTable
) -> None:
    """Names train ids where an annotation's ids of categories agree with the truth as such better than as label ids.

    Args:
        pred: the prediction's panoptic JSON, for the message.
        strange: PNG, annotation and truth of predictions with an id of no category; what is otherwise wrong in them is
            passed over. The first eight are compared.
        categories: of the truth; nothing is compared where they are not those of Cityscapes.

    Raises:
        InputError: the ids look like train ids, or a PNG cannot be read.
    """
    label_of = [0, *(category.source_id for category in categories)]
    if label_of[1:] != LABEL_OF_TRAIN_ID.tolist():
        return
    for path, annotation, truth_file in strange[:MOST_COMPARED]:
        category_of = {
            segment["id"]: segment["category_id"]
            for segment in annotation["segments_info"]
            if isinstance(segment, dict)
            and all(isinstance(segment.get(key), int) and 0 <= segment[key] <= MAX_SEGMENT_ID for key in PREDICTED_KEYS)
        }
        ids, truth = read_segment_ids(path), truth_file.read()
        if ids.shape != truth.shape:
            continue
        own = relabel(ids, list(category_of), [category + 1 for category in category_of.values()]) - 1
        labels = relabel(truth.ids, truth.segments["id"], np.take(label_of, truth.segments["category"]))
        found = map_agreement(np.where(own < 0, VOID, own), labels)
        if found.likely:
            raise found.error(pred)
