"""Why a model predicts hardly anything: at which rule of post-processing its queries fall."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tfpanoptic.data.dataset import Dataset, ImageRecord, read_record_image
from tfpanoptic.data.spread import spread
from tfpanoptic.evaluation.state import Evaluation
from tfpanoptic.export.quantities import counted
from tfpanoptic.inference import fates_function, outputs_function
from tfpanoptic.progress import progress
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.tuned import SECTION

# Images that are looked at.
IMAGES = 20
# Share of the true segments: own choice, so low that a poor model is not meant, but one that says next to nothing.
FEW = 0.1
KEPT, NO_OBJECT = "kept", "no_object"


def why_so_few(segmenter: PanopticSegmenter, dataset: Dataset, evaluation: Evaluation) -> list[str]:
    """Lines about the queries of a model that predicts far fewer things, or far less stuff, than there are.

    None for others, and where the architecture has no queries.

    Args:
        segmenter: the model.
        dataset: the images of the evaluation.
        evaluation: with PQ.
    """
    if segmenter.experiment.architecture.fates is None:
        return []
    few = _few(evaluation)
    if not few:
        return []
    records = spread(dataset.records, IMAGES)
    predict: Any = outputs_function(segmenter.infer_network, segmenter.experiment)
    count = fates_function(predict, segmenter.experiment, segmenter.categories)

    def outputs(record: ImageRecord) -> tuple:
        return predict(read_record_image(record, segmenter.experiment.input.deep_grey)[None])

    fates = total(count, map(outputs, records), "why so few segments", len(records))
    return [f"{few}: {advice(fates)}", fates_line(fates, len(records))]


def _few(evaluation: Evaluation) -> str:
    """How many segments were predicted where there are far more of that kind, empty where there are not."""
    rows = evaluation.rows("pq")
    things = evaluation.categories.isthing[rows[:, 0].astype(int)]
    kinds = []
    for kind, of_kind in (("things", things), ("stuff", ~things)):
        matched, wrong, missed = (int(count) for count in rows[of_kind, 2:5].sum(0))
        if matched + wrong < FEW * (matched + missed):
            kinds.append(f"{counted(matched + wrong, 'segment')} of {kind} where there are {matched + missed:,}")
    return ", ".join(kinds)


def total(count: Callable[..., dict[str, Any]], outputs: Iterable[tuple], what: str, images: int) -> dict[str, int]:
    """How many queries of some images fall at which rule, in the order of the rules.

    Args:
        count: of `inference.fates_function`.
        outputs: what it takes of each image.
        what: this work is, for its progress.
        images: how many there are.
    """
    sums: dict[str, int] = {}
    with progress(what, images) as track:
        for arguments in outputs:
            sums = {rule: sums.get(rule, 0) + int(number[0]) for rule, number in count(*arguments).items()}
            track.advance()
    return sums


def fates_line(fates: Mapping[str, int], images: int) -> str:
    """How many queries of some images fell at which rule."""
    parts = ", ".join(f"{count} {rule}" for rule, count in fates.items())
    return f"{counted(sum(fates.values()), 'query', 'queries')} of {counted(images, 'image')}: {parts}"


def advice(fates: Mapping[str, int]) -> str:
    """What to do about the rule at which most queries with a category fell."""
    fell = {rule: count for rule, count in fates.items() if rule not in (NO_OBJECT, KEPT)}
    worst = max(fell, key=fell.__getitem__)
    if not fell[worst]:
        return "the model sees no object; train it longer"
    return (
        f"most queries with a category fall at {SECTION}{worst}; lower it, let tfpanoptic tune find a value, or train "
        "longer"
    )
