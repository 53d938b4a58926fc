"""PanopticSegmenter: the model a person holds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import keras
import numpy as np
import yaml
from keras import ops
from PIL import Image

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.categories import CategoryTable
from tfpanoptic.category_match import Outputs
from tfpanoptic.data.dataset import Dataset, ImageRecord, read_record_image
from tfpanoptic.errors import InputError, settings_of
from tfpanoptic.evaluation.dataset import evaluate_dataset
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.experiment import Experiment
from tfpanoptic.inference import segmenting_function
from tfpanoptic.keras_arguments import (
    refuse_hdf5,
    require_batch,
    require_format,
    require_keras_file,
    require_own_losses,
    require_own_targets,
    require_policy,
)
from tfpanoptic.layers.frozen import freeze_parts, frozen_parts
from tfpanoptic.losses.shares import weighted_shares
from tfpanoptic.ops.replicas import global_sums, replicas_in_sync, separate_messages, with_an_image
from tfpanoptic.ops.tensorflow_only import require_tensorflow
from tfpanoptic.photo.load_image import load_image, of_each
from tfpanoptic.presets.cache import read_settings, run_folder_of
from tfpanoptic.result import PanopticResult
from tfpanoptic.run_folder import UNKNOWN_LICENCE, RunFolder
from tfpanoptic.segment_map import SegmentMap, from_tables
from tfpanoptic.settings.sizes import require_bounded
from tfpanoptic.weights import LoadReport, load_weights, save_weights


@keras.saving.register_keras_serializable("tfpanoptic")
class PanopticSegmenter(keras.Model):
    """A panoptic segmentation model with its configuration and categories.

    Calling it gives the outputs of the heads; `segment` gives results. It trains with plain `compile` and `fit` on
    `batches("train")`: the losses are built in. `save` keeps what is frozen and the state of the optimizer, and
    `keras.models.load_model` reads it; `save_preset` writes a folder for `from_preset` and the command line.

    Args:
        experiment: an `Experiment`, or the mapping that its `to_dict` gives.
        categories: a `CategoryTable`, or the text that its `to_json` gives.
        frozen: paths of layers and variables within the model that do not train; None leaves all as they are made.

    Raises:
        InputError: the global dtype policy is not Keras' default, and not `training.precision`, which holds.
    """

    def __init__(
        self,
        experiment: Experiment | dict,
        categories: CategoryTable | str,
        frozen: Sequence[str] | None = None,
        **kwargs,
    ):
        experiment = experiment if isinstance(experiment, Experiment) else Experiment.from_dict(experiment)
        require_policy(experiment.training.precision)
        # Images of 0..255 are not cast: bfloat16 has 8 bits.
        super().__init__(dtype=experiment.training.precision, autocast=False, **kwargs)
        separate_messages()
        self.experiment = experiment
        self.categories = CategoryTable.of(categories).require_panoptic_map()
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.experiment.training.precision)
        try:
            networks = self.experiment.architecture.build(self.experiment.model, self.categories)
        finally:
            keras.config.set_dtype_policy(policy)
        self.train_network, self.infer_network = networks
        terms = self.experiment.architecture.loss_weights(self.experiment.model)
        self._term_means = {name: keras.metrics.Mean(name) for name in terms}
        if frozen is not None:
            freeze_parts(self, frozen)
        self.built = True
        self.licence = UNKNOWN_LICENCE  # of the weights, for exports
        self._segment: Any = None

    # -- making one ---------------------------------------------------------------------------

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = ()) -> PanopticSegmenter:
        """A model with new weights from a configuration, or with those that it starts training from.

        What such a file does not fit is told on standard error.

        Raises:
            InputError: the configuration, its data or its weights are wrong.
        """
        experiment = Experiment.from_yaml(path, overrides)
        with settings_of(path):
            segmenter = cls(experiment, experiment.load_categories())
        for report in segmenter.load_initial_weights():
            if not report.plain:
                print(report, file=sys.stderr)
        return segmenter

    @classmethod
    def from_preset(cls, preset: str | Path, overrides: Sequence[str] = ()) -> PanopticSegmenter:
        """The trained model of a run folder, with its best weights, or a published one by its name.

        Published weights are downloaded and converted once, after all else is checked; see `presets`.

        Args:
            preset: the folder, or a name that `tfpanoptic models` lists.
            overrides: settings of grouping, merging and views to change, as `model.postprocess.key=value` and
                `test_time.flip=true`.

        Raises:
            InputError: neither a folder nor a preset, no run folder, one without weights yet, or a wrong override.
            WorkFailed: published weights cannot be downloaded.
        """
        config, experiment, categories = read_settings(preset, overrides)
        folder = RunFolder(run_folder_of(preset, cls))
        with settings_of(config):
            segmenter = cls(experiment, categories)
        segmenter.load_weights_file(folder.weights())
        return segmenter

    def get_config(self) -> dict:
        """What Keras stores in a `.keras` file."""
        refuse_hdf5()
        return {
            "name": self.name,
            "trainable": self.trainable,
            "experiment": self.experiment.to_dict(),
            "categories": self.categories.to_json(),
            "frozen": frozen_parts(self),
        }

    def save_weights_file(self, path: str | Path) -> None:
        """Writes the weights as safetensors, with categories, channels, configuration and licence in the header."""
        config = yaml.safe_dump(self.experiment.to_dict())
        save_weights(path, self, self.categories, self.channels, config, self.licence)

    def save(self, filepath: str | Path, overwrite: bool = True, zipped: bool | None = None, **kwargs) -> None:
        """Writes a `.keras` file, for `keras.models.load_model`; InputError for another kind of file."""
        require_keras_file(filepath, zipped)
        super().save(filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_preset(self, path: str | Path, overwrite: bool = False) -> None:
        """Writes a run folder with the present weights, for `from_preset`, `predict`, `evaluate` and `export`.

        It has no checkpoint that a training could be resumed from.

        Raises:
            InputError: the folder exists and `overwrite` is False, or it holds something else.
        """
        RunFolder(path).save(self, overwrite)

    def load_weights_file(self, path: str | Path, strict: bool = True) -> LoadReport:
        """Sets the weights from a safetensors file of ours, the outputs of categories by name.

        See `weights.load_weights` for what is taken if it is not strict.
        """
        outputs = Outputs(self.categories, self.channels)
        report = load_weights(path, self, outputs, self.experiment.architecture.category_layers, strict)
        self.licence = RunFolder(Path(path).parent).licence(report.licence)
        return report._replace(licence=self.licence)

    def load_initial_weights(self) -> tuple[LoadReport, ...]:
        """Sets the weights that training starts from, and says of each source what was taken; none if it names none.

        Those of `model.backbone.weights` come first, and then the file of `training.initial_weights` over them; a file
        that must have all weights makes the first ones needless.

        Raises:
            InputError: as `weights.load_weights` and `backbones.imagenet.set_imagenet_weights`.
        """
        training, reports = self.experiment.training, []
        if training.initial_weights is None or not training.initial_weights_strict:
            reports += self._load_backbone_weights()
        if training.initial_weights is not None:
            reports.append(self.load_weights_file(training.initial_weights, training.initial_weights_strict))
        return tuple(reports)

    def _load_backbone_weights(self) -> list[LoadReport]:
        """Sets the weights of the backbone that `model.backbone.weights` names, if it names any."""
        from tfpanoptic.backbones.imagenet import set_imagenet_weights

        model = self.experiment.model
        backbone: Any = getattr(model, "backbone", None)
        if getattr(backbone, "weights", None) is None:
            return []
        source: Any = BACKBONES[backbone.name].imagenet  # the configuration refuses weights where there are none
        loaded = set_imagenet_weights(self.infer_network, source, backbone, model.norm, model.normalization)
        left = tuple(weight.path for weight in self.weights if weight.path not in set(loaded))
        return [LoadReport(f"ImageNet weights of {backbone.name}", loaded, left, ())]

    @property
    def channels(self) -> dict[str, tuple[int, ...]]:
        """Head -> category id of each of its channels, 0 for void."""
        return self.experiment.architecture.channels(self.experiment.model, self.categories)

    # -- training -----------------------------------------------------------------------------

    def compile(
        self, optimizer: Any = "rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, **kwargs
    ) -> None:
        """Sets the optimizer of `fit`, and what else Keras' `compile` takes; losses are built in.

        Raises:
            InputError: losses or metrics, which would not be used.
        """
        require_own_losses(loss, loss_weights, metrics, weighted_metrics)
        super().compile(optimizer, **kwargs)

    def compile_from_config(self, config: dict) -> None:
        """What a `.keras` file holds of `compile`; Keras does not call a `compile` of a model's own by itself."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, *args, **kwargs) -> keras.callbacks.History:
        """Keras' `fit` on batches with targets; InputError for labels, sample weights and other data."""
        require_own_targets(super().fit, *args, **kwargs)
        return super().fit(*args, **kwargs)

    def evaluate(self, *args, **kwargs) -> Any:
        """Keras' `evaluate`, the loss of batches as for `fit`; `evaluate_panoptic` gives PQ."""
        require_own_targets(super().evaluate, *args, **kwargs)
        return super().evaluate(*args, **kwargs)

    def batches(self, split: str, batch_size: int | None = None) -> Any:
        """The batches of a split as a `tf.data.Dataset`, for `fit`.

        Args:
            split: "train", endless, shuffled and augmented, or "val", each image once as in inference; its last
                batch may be smaller. On replicas Keras needs a first batch that all of them share equally.
            batch_size: images of a batch, over all replicas; by default `training.batch_size`.

        Raises:
            InputError: another split, no positive batch size, or files are wrong.
        """
        require_tensorflow("batches")
        from tfpanoptic.data.pipeline import training_batches, validation_batches

        experiment = self.experiment
        dataset = experiment.load_data(split)
        common = (dataset, experiment.input, experiment.grid)
        batch_size = experiment.training.batch_size if batch_size is None else batch_size
        if batch_size < 1:
            raise InputError(f"batch_size: expected at least 1, found {batch_size}")
        if split == "train":
            return training_batches(*common, experiment.augment, self.targets, batch_size, experiment.training.seed)
        return validation_batches(*common, self.targets, batch_size)

    def call(self, inputs, training: bool = False) -> dict[str, Any]:
        """Outputs of the heads, float32, at their own stride.

        Args:
            inputs: images `[B, H, W, 3]`, RGB 0..255, or a batch with `image` and `valid_size` (int32 `[B, 2]`, the
                part that is not padding; all of it where absent). A batch that carries `targets` goes through the
                train network, which takes by name what it needs of both; outside training a replica that has no image
                of it gives outputs of one all the same.
            training: batch statistics and dropout.
        """
        batch = dict(inputs) if isinstance(inputs, dict) else {"image": inputs}
        batch["image"] = ops.cast(batch["image"], "float32")
        if "valid_size" not in batch:
            size = ops.cast(ops.stack(ops.shape(batch["image"])[1:3]), "int32")
            batch["valid_size"] = ops.tile(ops.expand_dims(size, 0), (ops.shape(batch["image"])[0], 1))
        network = self.infer_network
        if "targets" in batch:
            network, batch = self.train_network, batch if training else with_an_image(batch)
        given = {**batch.get("targets", {}), **batch}
        return network({name: given[name] for name in network.input}, training=training)

    def targets(self, example: dict[str, Any]) -> dict[str, Any]:
        """Training targets of one image of a batch; TensorFlow, for tf.data."""
        return self.experiment.architecture.targets(example, self.experiment.model, self.categories)

    def loss_shares(self, outputs: dict[str, Any], targets: dict[str, Any], images: Any = None) -> dict[str, Any]:
        """Weighted loss terms, scalars: the part of this replica of the loss of the global batch.

        Args:
            outputs: of the train network.
            targets: of the batch.
            images: only so many count, the first ones.
        """
        architecture, model = self.experiment.architecture, self.experiment.model
        terms = architecture.loss(outputs, targets, model, self.categories)
        counts = architecture.all_counts(outputs, targets, model)
        terms, counts = ({name: part[:images] for name, part in parts.items()} for parts in (terms, counts))
        return weighted_shares(terms, architecture.loss_weights(model), counts)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The sum of the weighted terms of a batch `x` with `targets`, and each term for the history; for `fit`.

        Raises:
            InputError: no batch of `batches`.
        """
        require_batch(x, y, sample_weight)
        count = ops.shape(x["image"])[0]
        targets = x["targets"] if training else with_an_image(x["targets"])
        shares = self.loss_shares(y_pred, targets, count)
        images, replicas = ops.cast(count, "float32"), replicas_in_sync()
        # Keras' history is the mean over replicas by their images. These are parts of a sum, and the replicas of a
        # last batch may hold different numbers of images, or none.
        scale = ops.divide_no_nan(global_sums({"images": images})["images"], images * replicas)
        for name, share in shares.items():
            self._term_means[name].update_state(share * scale * replicas, sample_weight=images)
        loss = sum(shares.values())
        # Keras sums the gradients of the replicas, so each one's share is of the global batch.
        return loss if training else loss * scale

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
            InputError: an image cannot be read, or is too large, as in `segment_map`.
        """
        require_tensorflow("segment")
        if isinstance(images, (list, tuple)):
            return of_each(self.segment, images)
        policy = self.experiment.input
        pixels = load_image(images, policy.deep_grey, lambda origin, size: require_bounded(origin, size, policy))
        name = Path(images).name if isinstance(images, (str, Path)) else None
        return PanopticResult.from_segment_map(self.segment_map(pixels), self.categories, image=pixels, name=name)

    def segment_map(self, image: np.ndarray) -> SegmentMap:
        """Segment map of one image, uint8 `[H, W, 3]`, at its own size.

        Raises:
            InputError: more pixels than `settings.sizes.MOST_PIXELS`, and no rule of `input` that shrinks them.
        """
        require_tensorflow("segment_map")
        require_bounded("image", image.shape[:2], self.experiment.input)
        if self._segment is None:
            self._segment = segmenting_function(self.infer_network, self.experiment, self.categories)
        return from_tables(*(ops.convert_to_numpy(part)[0] for part in self._segment(image[None])))

    def export(self, filepath: str | Path, format: str = "saved_model", overwrite: bool = False, **options) -> None:
        """Writes the model for deployment, with pre- and post-processing inside, as `tfpanoptic export` does.

        Args:
            filepath: the file or folder to write; `overwrite` replaces an older export.
            format: of `export.FORMATS`.
            options: of the format, by their names in its record; of Keras' method only `verbose` is taken.

        Raises:
            InputError: another format or option, or as the format's `write`.
        """
        from tfpanoptic.export import FORMATS
        from tfpanoptic.export.artefact import write_export

        write_export(self, filepath, require_format(format, FORMATS, options), overwrite, **options)

    def quantize(self, *args, **kwargs) -> None:
        """Raises InputError: Keras quantizes dense layers, and these networks are convolutions."""
        raise InputError('quantize: Keras quantizes no convolutions; use export(path, "litert", quantize="int8")')

    def evaluate_panoptic(self, dataset: Dataset | str, limit: int | None = None) -> dict[str, Any]:
        """PQ on a dataset, truth and prediction at the files' own size.

        Args:
            dataset: images with truth, of this model's categories; or "train" or "val" of the experiment's own data.
            limit: only so many images, the first ones.

        Returns:
            `{"all": {"pq", "sq", "rq", "n"}, "things": ..., "stuff": ..., "per_category": ...}`, fractions or None.

        Raises:
            InputError: as `evaluation.dataset.evaluate_dataset`.
        """
        require_tensorflow("evaluate_panoptic")
        if isinstance(dataset, str):
            dataset = self.experiment.load_data(dataset)
        dataset = replace(dataset, records=dataset.records[:limit])

        def predict(record: ImageRecord) -> SegmentMap:
            return self.segment_map(read_record_image(record, self.experiment.input.deep_grey))

        evaluation = evaluate_dataset(dataset, self.categories, predict, ("pq",))
        return summarize_rows(evaluation.rows("pq"), evaluation.categories)
