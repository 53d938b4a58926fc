"""The Architecture record: what the rest of the library needs to know of a panoptic architecture.

A record is plain functions; each takes the architecture's own configuration, a `StrictConfig`, and most the
`CategoryTable`. Neither TensorFlow nor Keras is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tfpanoptic.settings.config import StrictConfig
from tfpanoptic.settings.sizes import Grid

if TYPE_CHECKING:
    import keras


class Networks(NamedTuple):
    """Two functional models wired from the same layers, with one set of weights.

    Both take their inputs by name, as a dict, and return a dict of tensors at the heads' own strides.

    Attributes:
        train: takes what it declares of the batch and of its targets, by their names: `image` float32
            `[B, H, W, 3]`, RGB 0..255; `valid_size` int32 `[B, 2]`; `seed` int32 `[B, 2]`; `step` int32 `[B]`; and
            any of the architecture's own targets. All its randomness comes from `seed`, through `ops.sampling`.
        infer: takes `image` and `valid_size`.
    """

    train: keras.Model
    infer: keras.Model


class CategoryLayer(NamedTuple):
    """A layer whose outputs stand for categories, so that weights for other categories can be matched by name.

    The last axis of its variables, `path/kernel` and `path/bias`, is its outputs.

    Attributes:
        path: of the layer.
        head: key of the architecture's `channels`, whose order its outputs have.
        outputs_each: outputs of each channel, side by side.
        void: whether the channels of void have outputs, too.
    """

    path: str
    head: str
    outputs_each: int = 1
    void: bool = True


class Segments(NamedTuple):
    """Panoptic segments of a batch, what post-processing returns.

    Attributes:
        segment_ids: int32 `[B, H, W]`, 0 void, else row + 1 of the tables.
        labels: int32 `[B, N]`, panoptic-map label of each row, 0 in empty rows.
        scores: float32 `[B, N]`, 0 in empty rows.
    """

    segment_ids: Any
    labels: Any
    scores: Any


class Relaxation(NamedTuple):
    """One setting of a configuration moved out of the way, to see what it costs.

    Attributes:
        setting: its path in the experiment's file, such as `model.postprocess.nms_kernel`.
        found: its value in the configuration, for people.
        relaxed: a value that limits less, for people.
        config: the architecture's configuration with that value.
        advice: what to change, if the setting costs much.
        possible: whether a network can have that value; if not, it only shows what there is to gain.
    """

    setting: str
    found: str
    relaxed: str
    config: Any
    advice: str
    possible: bool = True


class Oracle(NamedTuple):
    """What the doctor needs to measure the ceiling of a configuration.

    Attributes:
        perfect_outputs: (panoptic int32 `[H, W]`, config, categories) -> dict of NumPy arrays, a batch of one: what
            heads that learned their targets would say of this truth, at their own strides.
        settings: (config, the most instances in one image) -> tuple of `Relaxation`: the settings that can keep such
            outputs from giving the truth back.
    """

    perfect_outputs: Callable[..., dict[str, Any]]
    settings: Callable[..., tuple[Relaxation, ...]]


class Views(NamedTuple):
    """What an architecture knows of its outputs for the mirrored and the scaled image, so that they can be averaged.

    Its outputs are all maps `[B, h, w, C]`. They are at their places in the image already; what their numbers mean is
    left to do.

    Attributes:
        values: (outputs of the infer network for one view, growth float32 `[2]`, mirrored) -> dict of what is averaged
            over the views. `growth` is how many cells of the image at scale 1 a cell of the view is high and
            wide; `mirrored` says whether left and right were exchanged.
        outputs: (means of these values) -> outputs for `postprocess`.
    """

    values: Callable[..., dict[str, Any]]
    outputs: Callable[..., dict[str, Any]]


class Tunable(NamedTuple):
    """A setting of post-processing that is worth tuning for a trained model.

    Attributes:
        values: what is tried beside the present value, rising.
        network_drops_below: whether the infer network leaves out what lies below the setting, too. Then a network
            that was built with a lower value must give all that a higher value needs, and `postprocess` drops by the
            value itself: tuning runs the network with the lowest one. A setting that the network reads in any other
            way cannot be tuned.
    """

    values: tuple[float, ...]
    network_drops_below: bool = False


@dataclass(frozen=True)
class Architecture:
    """One architecture; one per file in `models/`.

    Attributes:
        name: key in `ARCHITECTURES`, and the literal of `config.name`.
        config: class of its configuration, a `StrictConfig`.
        grid: (config) -> `Grid`.
        channels: (config, categories) -> dict: head -> tuple with the category id of each channel, 0 for void.
        category_layers: every layer whose variables have another shape for other categories.
        build: (config, categories) -> `Networks`.
        targets: (example, config, categories) -> dict of target tensors of fixed shapes; TensorFlow, inside tf.data.
            `example` is one image of a batch: `image`, `panoptic`, `valid_size`, `seed`, `step`.
        loss: (outputs of the train network, targets, config, categories) -> dict of float32 `[B]`, unweighted.
        loss_weights: (config) -> dict: weight of each of these terms.
        postprocess: (outputs of the infer network, (height, width), valid_size int32 `[B, 2]`, config, categories) ->
            `Segments` at network size; in graph, fixed shapes, LiteRT built-in operators only.
        target_counts: (targets, config) -> dict: term -> float32 `[B]`, what the sum of the term is divided by, over
            the global batch; terms without one are divided by the number of images.
        counts: (outputs of the train network, targets, config) -> dict: the same for terms whose counts depend on
            outputs, such as regions that the network samples.
        oracle: what the doctor needs; without one it says that it cannot tell the ceiling.
        views: what test-time augmentation needs; without it `test_time` is refused.
        last_steps: (config) -> dict: setting of `model` that lets the network change with `step` -> the step from which
            on it does no more; a run must not be shorter. None: nothing does, or without an end.
        tunable: setting of the section `postprocess` -> what `tfpanoptic tune` tries, in the order of their weight;
            without any it says so.
    """

    name: str
    config: type[StrictConfig]
    grid: Callable[..., Grid]
    channels: Callable[..., dict[str, tuple[int, ...]]]
    category_layers: tuple[CategoryLayer, ...]
    build: Callable[..., Networks]
    targets: Callable[..., dict[str, Any]]
    loss: Callable[..., dict[str, Any]]
    loss_weights: Callable[..., dict[str, float]]
    postprocess: Callable[..., Segments]
    target_counts: Callable[..., dict[str, Any]] | None = None
    counts: Callable[..., dict[str, Any]] | None = None
    oracle: Oracle | None = None
    views: Views | None = None
    last_steps: Callable[..., dict[str, int]] | None = None
    tunable: Mapping[str, Tunable] = field(default_factory=dict)

    def counts_of_targets(self, targets: dict[str, Any], config: Any) -> dict[str, Any]:
        """`target_counts`, none where the record has none."""
        return self.target_counts(targets, config) if self.target_counts else {}

    def counts_of_outputs(self, outputs: dict[str, Any], targets: dict[str, Any], config: Any) -> dict[str, Any]:
        """`counts`, none where the record has none."""
        return self.counts(outputs, targets, config) if self.counts else {}

    def all_counts(self, outputs: dict[str, Any], targets: dict[str, Any], config: Any) -> dict[str, Any]:
        """The counts of every term that has some."""
        return {**self.counts_of_targets(targets, config), **self.counts_of_outputs(outputs, targets, config)}
