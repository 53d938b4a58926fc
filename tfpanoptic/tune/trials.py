"""A model's outputs on images with truth, and PQ with any settings of post-processing, as `evaluate` counts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from tfpanoptic.data.dataset import Dataset, ImageRecord, read_record_image
from tfpanoptic.evaluation.dataset import count_record
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.evaluation.state import Evaluation
from tfpanoptic.experiment import Experiment
from tfpanoptic.inference import fates_function, merging_function, outputs_function
from tfpanoptic.predict.fates import total
from tfpanoptic.progress import progress
from tfpanoptic.segment_map import SegmentMap, from_tables
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.sizes import require_bounded
from tfpanoptic.tune.stored_outputs import StoredOutputs


class Trials:
    """The outputs of a model for all images of a dataset, computed once, one image after the other.

    Args:
        segmenter: the model, with the lowest values of the settings below which its network drops anything.
        dataset: images with truth.
        budget: bytes of outputs that may stay in memory.

    Raises:
        InputError: an image cannot be read, or is too large.
        WorkFailed: the outputs find no room.
    """

    def __init__(self, segmenter: PanopticSegmenter, dataset: Dataset, budget: float):
        self.dataset = dataset
        self._categories = segmenter.categories
        self._predict: Any = outputs_function(segmenter.infer_network, segmenter.experiment)
        self._stored = StoredOutputs(budget)
        with progress("network", len(dataset)) as track:
            for record in dataset.records:
                arrays = self._outputs(record, segmenter.experiment)
                if not len(self._stored):
                    track.say(self._stored.announce(arrays, len(dataset)))
                self._stored.append(arrays)
                track.advance()

    def _outputs(self, record: ImageRecord, experiment: Experiment) -> dict[str, np.ndarray]:
        image = read_record_image(record, experiment.input.deep_grey)
        require_bounded(record.image_name, image.shape[:2], experiment.input)
        outputs, size, valid_size = self._predict(image[None])
        arrays = {f"output:{name}": value.numpy() for name, value in outputs.items()}
        return {**arrays, "size": size.numpy(), "valid_size": valid_size.numpy()}

    def evaluate(self, experiment: Experiment, places: Iterable[int], advance: Callable[[], None]) -> Evaluation:
        """The counters of PQ of some images.

        Args:
            experiment: the model's, with other settings of post-processing.
            places: of the images in the dataset.
            advance: is called after each image.

        Raises:
            InputError: a truth cannot be read.
        """
        merge = merging_function(self._predict, experiment, self._categories)
        images = {}
        for place in places:
            record = self.dataset.records[place]
            prediction = self._merged(merge, place, record)
            images[record.file_name] = count_record(self.dataset, record, prediction, ("pq",))
            advance()
        return Evaluation(self.dataset.categories, ("pq",), images=images, total=len(self.dataset))

    def fates(self, experiment: Experiment) -> dict[str, int]:
        """How many queries of all images fall at which rule, of an architecture that tells.

        Args:
            experiment: as in `evaluate`.
        """
        images = len(self._stored)
        count = fates_function(self._predict, experiment, self._categories)
        return total(count, map(self._tensors, range(images)), "queries", images)

    def _merged(self, merge: Callable[..., Any], place: int, record: ImageRecord) -> SegmentMap:
        import tensorflow as tf

        segments = merge(*self._tensors(place), tf.constant([record.height, record.width], tf.int32))
        return from_tables(*(part.numpy()[0] for part in segments))

    def _tensors(self, place: int) -> tuple[dict, Any, Any]:
        """What the network said of an image: outputs, the size of its input and `valid_size`."""
        import tensorflow as tf

        tensors = {name: tf.constant(array) for name, array in self._stored[place].items()}
        size, valid_size = tensors.pop("size"), tensors.pop("valid_size")
        return {name.removeprefix("output:"): value for name, value in tensors.items()}, size, valid_size


def pq_of(evaluation: Evaluation) -> float | None:
    """PQ of all categories, a fraction; None without any segment."""
    return summarize_rows(evaluation.rows("pq"), evaluation.categories)["all"]["pq"]


def part_of(evaluation: Evaluation, dataset: Dataset, places: Iterable[int]) -> Evaluation:
    """The counters of some images of a dataset."""
    names = [dataset.records[place].file_name for place in places]
    return replace(evaluation, images={name: evaluation.images[name] for name in names}, total=len(names))
