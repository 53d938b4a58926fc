"""Is an export the model? The same images through both, compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfpanoptic.data.dataset import Dataset, read_record_image
from tfpanoptic.errors import WorkFailed
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts, count, summarize
from tfpanoptic.export.saved_model import SEGMENT_COLUMNS
from tfpanoptic.segment_map import SegmentMap, segment_rows


class Verification(NamedTuple):
    """What a comparison found.

    Attributes:
        images: how many were compared.
        equal_pixels: share of the pixels whose segment id is the same.
        pq: PQ of the export's output against the network's, 1 if they agree; None without any segment.
        score_difference: the largest difference of a segment's score.
    """

    images: int
    equal_pixels: float
    pq: float | None
    score_difference: float

    @property
    def passed(self) -> bool:
        """Whether the export is the model: the limits leave room for another machine's rounding, no more."""
        return self.equal_pixels >= 0.999 and self.pq in (None, 1.0) and self.score_difference <= 1e-3

    def require(self) -> None:
        """Raises WorkFailed if the export is not the model."""
        if not self.passed:
            raise WorkFailed(f"the export is not the model; {self}")

    def __str__(self) -> str:
        """One line for the command line."""
        pq = "-" if self.pq is None else f"{100 * self.pq:.2f}"
        return (
            f"export against network on {self.images} images: {100 * self.equal_pixels:.4f} % of the pixels equal, "
            f"PQ {pq}, largest difference of a score {self.score_difference:.1e}"
        )


def read_segments(panoptic: np.ndarray, segments: np.ndarray, segmenter) -> SegmentMap:
    """Segment map of one image of an export's output: `panoptic` int32 `[H, W]`, `segments` float32 `[N, 9]`."""
    table = {name: segments[:, column] for column, name in enumerate(SEGMENT_COLUMNS)}
    rows = table["id"] > 0
    by_source = segmenter.categories.by_source_id()
    categories = [by_source[int(source)].id for source in table["category_id"][rows]]
    ids = table["id"][rows].astype(np.int32)
    return SegmentMap(panoptic, segment_rows(ids, categories, None, table["area"][rows], table["score"][rows]))


def verify_saved_model(segmenter, folder: str | Path, dataset: Dataset | None = None, images: int = 8) -> Verification:
    """Runs the first images of `dataset` (by default the run's validation images) through both."""
    dataset = dataset or segmenter.experiment.load_data("val")
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    pairs = []
    for record in dataset.records[:images]:
        image = read_record_image(record, segmenter.experiment.input.deep_grey)
        served = serve(image=tf.constant(image[None]))
        exported = read_segments(served["panoptic"].numpy()[0], served["segments"].numpy()[0], segmenter)
        pairs.append((segmenter.segment_map(image), exported))
    return compare(pairs, segmenter)


def compare(pairs: Sequence[tuple[SegmentMap, SegmentMap]], segmenter) -> Verification:
    """Compares (network, export) pairs of segment maps."""
    counts = PanopticCounts.zeros(len(segmenter.categories))
    equal = total = 0
    difference = 0.0
    for network, exported in pairs:
        counts = counts + count(network, exported, len(segmenter.categories))
        equal += int((network.ids == exported.ids).sum())
        total += network.ids.size
        ours = dict(zip(network.segments["id"].tolist(), network.segments["score"].tolist()))
        theirs = dict(zip(exported.segments["id"].tolist(), exported.segments["score"].tolist()))
        for segment in ours.keys() & theirs.keys():
            difference = max(difference, abs(ours[segment] - theirs[segment]))
    pq = summarize(counts, segmenter.categories)["all"]["pq"]
    return Verification(len(pairs), equal / max(total, 1), pq, difference)
