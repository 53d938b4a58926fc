"""PanopticSegmenter: the model a person holds."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import keras
import numpy as np
import yaml
from keras import ops
from PIL import Image

from tfpanoptic.atomic import replace_file
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.dataset import Dataset, ImageRecord, image_pixels, read_image, read_record_image, read_segment_map
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.counting import collect, count_maps
from tfpanoptic.evaluation.measures import FAST
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.evaluation.pairs.coco import file_stamp
from tfpanoptic.evaluation.state import Evaluation, ImageCounts, plain_columns
from tfpanoptic.experiment import Experiment
from tfpanoptic.inference import segment_images
from tfpanoptic.ops.replicas import replicas_in_sync
from tfpanoptic.panoptic_map import category_of
from tfpanoptic.result import PanopticResult
from tfpanoptic.run_folder import RunFolder
from tfpanoptic.segment_map import SegmentMap, pixel_areas, segment_rows
from tfpanoptic.weights import LoadReport, load_weights, save_weights


@keras.saving.register_keras_serializable("tfpanoptic")
class PanopticSegmenter(keras.Model):
    """A panoptic segmentation model with its configuration and categories.

    Calling it gives the outputs of the heads; `segment` gives results. It trains with plain
    `compile` and `fit` on the batches of `data.pipeline.training_batches`: the losses are built in.

    Args:
        experiment: an `Experiment`, or the mapping that its `to_dict` gives.
        categories: a `CategoryTable`, or the text that its `to_json` gives.
    """

    def __init__(self, experiment: Experiment | dict, categories: CategoryTable | str, **kwargs):
        super().__init__(**kwargs)
        self.experiment = experiment if isinstance(experiment, Experiment) else Experiment.from_dict(experiment)
        self.categories = categories if isinstance(categories, CategoryTable) else CategoryTable.from_json(categories)
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.experiment.training.precision)
        try:
            networks = self.experiment.architecture.build(self.experiment.model, self.categories)
        finally:
            keras.config.set_dtype_policy(policy)
        self.train_network, self.infer_network = networks
        self.built = True
        self._segment_function: Any = None

    # -- making one ---------------------------------------------------------------------------

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> PanopticSegmenter:
        """A model with new weights from a configuration, or with those that `training.initial_weights` names.

        Raises:
            InputError: the configuration, its data or its weights are wrong.
        """
        experiment = Experiment.from_yaml(path, overrides)
        segmenter = cls(experiment, experiment.load_categories())
        segmenter.load_initial_weights()
        return segmenter

    @classmethod
    def from_preset(cls, preset: str | Path) -> PanopticSegmenter:
        """The trained model of a run folder, with its best weights.

        Raises:
            InputError: no such folder, or it is no run folder, or it has no weights yet.
        """
        if not Path(preset).is_dir():
            raise InputError(f"{preset}: no such folder; expected the run folder of `tfpanoptic train`")
        folder = RunFolder(preset)
        segmenter = cls(folder.load_experiment(), folder.load_categories())
        segmenter.load_weights_file(folder.weights())
        return segmenter

    def get_config(self) -> dict:
        """What Keras stores in a `.keras` file."""
        return {"experiment": self.experiment.to_dict(), "categories": self.categories.to_json()}

    def save_weights_file(self, path: str | Path) -> None:
        """Writes the weights as safetensors, with categories, channels and configuration in the header."""
        save_weights(path, self, self.categories, self.channels, yaml.safe_dump(self.experiment.to_dict()))

    def load_weights_file(self, path: str | Path, strict: bool = True) -> LoadReport:
        """Sets the weights from a safetensors file of ours; see `weights.load_weights`."""
        return load_weights(path, self, self.categories, strict=strict)

    def load_initial_weights(self) -> None:
        """Sets the weights that `training.initial_weights` names, if it names any."""
        training = self.experiment.training
        if training.initial_weights is not None:
            self.load_weights_file(training.initial_weights, strict=training.initial_weights_strict)

    @property
    def channels(self) -> dict[str, tuple[int, ...]]:
        """Head -> category id of each of its channels, 0 for void."""
        return self.experiment.architecture.channels(self.experiment.model, self.categories)

    # -- training -----------------------------------------------------------------------------

    def call(self, inputs, training: bool = False) -> dict[str, Any]:
        """Outputs of the heads, float32, at their own stride.

        Args:
            inputs: images `[B, H, W, 3]`, RGB 0..255, or a batch with `image` and `valid_size`
                (int32 `[B, 2]`, the part that is not padding; all of it where absent).
            training: batch statistics and dropout.
        """
        batch = inputs if isinstance(inputs, dict) else {"image": inputs}
        image = ops.cast(batch["image"], "float32")
        valid_size = batch.get("valid_size")
        if valid_size is None:
            size = ops.cast(ops.stack(ops.shape(image)[1:3]), "int32")
            valid_size = ops.tile(ops.expand_dims(size, 0), (ops.shape(image)[0], 1))
        network = self.train_network if training else self.infer_network
        return network({"image": image, "valid_size": valid_size}, training=training)

    def targets(self, panoptic) -> dict[str, Any]:
        """Training targets of one panoptic map, int32 `[H, W]`; TensorFlow, for tf.data."""
        return self.experiment.architecture.targets(panoptic, self.experiment.model, self.categories)

    def loss_terms(self, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        """Loss terms of each image of a batch, float32 `[B]`, unweighted."""
        return self._terms(self(batch, training=training), batch["targets"])

    def loss_shares(self, terms: dict[str, Any], global_batch) -> dict[str, Any]:
        """Each term weighted, summed over its images and divided by the images of the global batch; scalars.

        Their sum is the loss, under `fit` and in the training loop alike.
        """
        weights = vars(self.experiment.model.loss_weights)
        return {name: weights[name] * ops.sum(term) / global_batch for name, term in terms.items()}

    def _terms(self, outputs, targets) -> dict[str, Any]:
        return self.experiment.architecture.loss(outputs, targets, self.experiment.model, self.categories)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The weighted sum of the terms over the images, divided by the global batch; for `fit`.

        `x` is a batch with `targets`, or `y` is the targets.
        """
        targets = y if y is not None else x["targets"]
        terms = self._terms(y_pred, targets)
        images = ops.cast(ops.shape(next(iter(terms.values())))[0], "float32")
        # Keras sums the gradients of the replicas, so each one's share is of the global batch.
        return sum(self.loss_shares(terms, images * replicas_in_sync()).values())

    # -- use ----------------------------------------------------------------------------------

    @overload
    def segment(self, images: list | tuple) -> list[PanopticResult]: ...

    @overload
    def segment(self, images: str | Path | bytes | np.ndarray | Image.Image) -> PanopticResult: ...

    def segment(self, images):
        """Panoptic segmentation of a photo, or of each of a list of them.

        Args:
            images: a path, the bytes of an image file, an array `[H, W, 3]`, a PIL image, or a list of such.

        Raises:
            InputError: an image cannot be read.
        """
        if isinstance(images, (list, tuple)):
            return [self.segment(image) for image in images]
        pixels = load_image(images)
        name = Path(images).name if isinstance(images, (str, Path)) else None
        return PanopticResult.from_segment_map(self.segment_map(pixels), self.categories, image=pixels, name=name)

    def segment_map(self, image: np.ndarray) -> SegmentMap:
        """Segment map of one image, uint8 `[H, W, 3]`, at its own size."""
        if self._segment_function is None:
            self._segment_function = self._make_segment_function()
        found = self._segment_function(image[None])
        ids, labels, scores = (ops.convert_to_numpy(found[k])[0] for k in ("segment_ids", "labels", "scores"))
        numbers = np.arange(1, len(labels) + 1, dtype=np.int32)
        areas = pixel_areas(ids, numbers)
        seen = areas > 0
        rows = segment_rows(numbers[seen], category_of(labels[seen]), areas=areas[seen], scores=scores[seen])
        return SegmentMap(ids, rows)

    def _make_segment_function(self):
        import tensorflow as tf

        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)], jit_compile=False, autograph=False)
        def function(images):
            return segment_images(self.infer_network, images, self.experiment, self.categories)

        return function

    def evaluate_panoptic(
        self, dataset: Dataset, limit: int | None = None, pictures: Path | None = None
    ) -> dict[str, Any]:
        """PQ on a dataset, truth and prediction at the files' own size.

        Args:
            dataset: images with truth, of this model's categories.
            limit: only so many images, the first ones.
            pictures: a folder for overlays of the first four.

        Returns:
            `{"all": {"pq", "sq", "rq", "n"}, "things": ..., "stuff": ..., "per_category": ...}`, fractions or None.

        Raises:
            InputError: as `evaluate_images`.
        """
        dataset = replace(dataset, records=dataset.records[:limit])
        evaluation = self.evaluate_images(dataset, ("pq",), pictures=pictures)
        return summarize_rows(evaluation.rows("pq"), evaluation.categories)

    def evaluate_images(
        self,
        dataset: Dataset,
        measures: Sequence[str] = FAST,
        pictures: Path | None = None,
        state: str | Path | None = None,
        source: str = "",
        total: int = 0,
    ) -> Evaluation:
        """The evaluation of a dataset, image by image; `evaluation.summary.summarize` gives its numbers.

        Args:
            dataset: images with truth, of this model's categories.
            measures: names in `evaluation.measures.MEASURES`.
            pictures: a folder for overlays of the first four.
            state: a file that gets each image's counters as it is done. One that exists is continued.
            source: what model this is, so that a state of another one is not continued.
            total: images of the whole evaluation, if the dataset is a part of it.

        Raises:
            InputError: the dataset's categories do not begin with this model's (see `prediction.matched_dataset`
                for a set of other categories), a file cannot be read, or the state is of another evaluation.
        """
        if dataset.categories.categories[: len(self.categories)] != self.categories.categories:
            raise InputError(f"{dataset.name}: not this model's categories; `matched_dataset` matches them by name")
        start = Evaluation(dataset.categories, tuple(measures), source, total=total or len(dataset))

        def counts(records: list[ImageRecord]) -> Iterator[ImageCounts]:
            for number, record in enumerate(records):
                image = read_record_image(record)
                prediction = self.predicted(dataset, image)
                columns = plain_columns(record.extra)
                counted = count_maps(
                    record.file_name, read_segment_map(record), prediction, start.categories, start.measures, columns
                )
                if pictures is not None and number < 4:
                    result = PanopticResult.from_segment_map(prediction, self.categories, image, record.file_name)
                    replace_file(pictures / f"{result.stem}.png", result._repr_png_())
                yield counted

        records = {record.file_name: record for record in dataset.records}
        stamps = {name: file_stamp((record.image_path, record.panoptic_path)) for name, record in records.items()}
        return collect(start, records, stamps, counts, state)

    def predicted(self, dataset: Dataset, image: np.ndarray) -> SegmentMap:
        """Segment map of one image, without the segments of categories that nobody labelled in the dataset."""
        return _without(self.segment_map(image), {c.id for c in self.categories if c.name in dataset.table_only})


def _without(segment_map: SegmentMap, categories: set[int]) -> SegmentMap:
    """The segment map with the segments of `categories` turned into void."""
    rows = segment_map.segments
    dropped = np.isin(rows["category"], list(categories))
    if not dropped.any():
        return segment_map
    ids = np.where(np.isin(segment_map.ids, rows["id"][dropped]), 0, segment_map.ids)
    return SegmentMap(ids, rows[~dropped])


def load_image(source) -> np.ndarray:
    """Upright uint8 `[H, W, 3]` of a path, the bytes of an image file, a PIL image or an array.

    Raises:
        InputError: it cannot be read, or an array is not uint8 `[H, W, 3]`.
    """
    if isinstance(source, (str, Path)):
        return read_image(source)
    if isinstance(source, (bytes, bytearray)):
        try:
            source = Image.open(io.BytesIO(source))
        except (OSError, ValueError) as error:
            raise InputError(f"image: {len(source)} bytes that are not an image ({error})") from None
    if isinstance(source, Image.Image):
        return image_pixels(source, "image")
    array = np.asarray(source)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
        raise InputError(f"image: expected uint8 [H, W, 3], RGB 0..255, found {array.dtype} {list(array.shape)}")
    return array
