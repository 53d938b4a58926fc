"""Is an export the model? The same images through both, compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tfpanoptic.data.dataset import Dataset, read_record_image
from tfpanoptic.errors import WorkFailed
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts, count, summarize
from tfpanoptic.export.saved_model import open_saved_model
from tfpanoptic.segment_map import SegmentMap


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


def verify_saved_model(segmenter, folder: str | Path, dataset: Dataset | None = None, images: int = 8) -> Verification:
    """Runs the first images of `dataset` (by default the run's validation images) through both."""
    dataset = dataset or segmenter.experiment.load_data("val")
    segment = open_saved_model(folder)
    pairs = []
    for record in dataset.records[:images]:
        image = read_record_image(record, segmenter.experiment.input.deep_grey)
        pairs.append((segmenter.segment_map(image), segment(image).segment_map))
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
