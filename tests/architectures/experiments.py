"""A tiny experiment of every architecture, the made-up one included, in this or in another process."""

from __future__ import annotations

from pathlib import Path

from tests.architectures import toy

BRANCH = {
    "aspp_channels": 8,
    "channels": 8,
    "head_channels": 8,
    "skips": [{"endpoint": "res2", "channels": 8}],
}
# Of the top-down models.
INSTANCE = {
    "rpn": {
        "channels": 8,
        "anchor_sizes": [8, 16, 32, 48, 64],
        "sample": 32,
        "train_per_level": 60,
        "train_proposals": 40,
        "per_level": 50,
        "proposals": 30,
    },
    "box_head": {"channels": 16, "sample": 16},
    "mask_head": {"channels": 8, "convs": 1},
    "max_instances": 10,
}
# Settings of the smallest model that has every part; each new architecture needs an entry.
MODELS = {
    "panoptic_deeplab": {
        "name": "panoptic_deeplab",
        "backbone": {"name": "resnet10", "output_stride": 16, "width_multiplier": 0.0625},
        "normalization": "per_image",
        "align_corners": True,
        "aspp_rates": [2],
        "aspp_dropout": 0.3,
        "separable": False,
        "kernel_size": 3,
        "semantic": BRANCH,
        "instance": BRANCH,
        "postprocess": {"center_threshold": 0.001, "nms_kernel": 7, "max_centers": 20, "stuff_area": 0},
    },
    "panoptic_fpn": {
        "name": "panoptic_fpn",
        "backbone": {"name": "resnet10", "max_pool": True, "width_multiplier": 0.0625},
        "normalization": "per_image",
        "norm": {"kind": "batch"},
        "fpn_channels": 8,
        "instance": INSTANCE,
        "semantic": {"channels": 8, "norm": {"kind": "group", "groups": 2}},
        "postprocess": {"detection_score": 0.01, "max_detections": 12, "instance_score": 0.01, "stuff_area": 0},
    },
    "upsnet": {
        "name": "upsnet",
        "backbone": {"name": "resnet10", "max_pool": True, "width_multiplier": 0.0625},
        "normalization": "per_image",
        "norm": {"kind": "batch"},
        "fpn_channels": 8,
        "instance": INSTANCE,
        "semantic": {"filters": [8, 8]},
        "postprocess": {"detection_score": 0.01, "max_detections": 12, "stuff_area": 0},
    },
    "axial_deeplab": {
        "name": "axial_deeplab",
        # The second block of stage 4 and that of stage 5 attend, to some and to all cells.
        "backbone": {
            "name": "max_deeplab_s_backbone",
            "output_stride": 16,
            "width_multiplier": 0.0625,
            "stem_multiplier": 0.125,
            "layer_multiplier": 0.34,
            "spans": [None, None, 3, None],
            "drop_path": 0.4,
        },
        "normalization": "per_image",
        "separable": False,
        "kernel_size": 3,
        "semantic": BRANCH,
        "instance": BRANCH,
        "postprocess": {"center_threshold": 0.001, "nms_kernel": 7, "max_centers": 20, "stuff_area": 0},
    },
    "deeperlab": {
        "name": "deeperlab",
        "backbone": {"name": "resnet10", "output_stride": 16, "width_multiplier": 0.0625},
        "normalization": "per_image",
        "aspp_channels": 8,
        "aspp_rates": [2],
        "aspp_dropout": 0.3,
        "separable": False,
        "kernel_size": 3,
        "decoder": {"coarse_channels": 8, "fine_channels": 2, "hidden_channels": 8, "channels": 4},
        "heads": {"semantic_channels": 8, "instance_channels": 8},
        "targets": {"radius": 6, "max_instances": 20},
        "postprocess": {"keypoint_distance": 4.0, "max_instances": 20},
    },
    "eomt": {
        "name": "eomt",
        # Rotary positions, drawn anew in training; the masks go in the second of three steps.
        "backbone": {"name": "vit_tiny", "form": "dinov3", "width": 16, "depth": 3, "heads": 2, "layer_scale": 0.5},
        "normalization": "per_image",
        "queries": 12,
        "query_blocks": 2,
        "masked_attention": {"starts": [0, 1], "ends": [2, 3]},
        "targets": {"max_segments": 16, "points": 64},
        "postprocess": {"score": 0.2, "overlap": 0.1},
    },
    "toy": {"name": "toy"},
}
# Sizes on the grid of each: k * 16 + 1, k * 32, k * 16 and k * 4.
CROPS = {
    "panoptic_deeplab": [65, 65],
    "panoptic_fpn": [64, 64],
    "upsnet": [64, 64],
    "axial_deeplab": [65, 65],
    "deeperlab": [64, 64],
    "eomt": [64, 64],
    "toy": [64, 64],
}


def experiment(name: str, **training):
    """The experiment of an architecture on the bundled photos, with settings of `training`."""
    toy.register()
    from tfpanoptic.experiment import Experiment

    settings = {
        "steps": 3,
        "batch_size": 4,
        "optimizer": {"name": "sgd", "learning_rate": 0.05, "clip_norm": 0.5},
        "ema": 0.9,
        "evaluate_every": 3,
        "evaluate_images": 1,
        "checkpoint_every": 1,
        "log_every": 1,
    }
    return Experiment.from_dict(
        {
            "data": {"name": "nuclei"},
            "augment": {"crop": CROPS[name], "flip_vertical": True},
            "model": MODELS[name],
            "training": {**settings, **training},
        }
    )


def segmenter(name: str, weights: Path | None = None, **training):
    """Its model, with weights of a file."""
    from tfpanoptic.segmenter import PanopticSegmenter

    made = experiment(name, **training)
    model = PanopticSegmenter(made, made.load_categories())
    if weights is not None:
        model.load_weights_file(weights)
    return model


def working(name: str):
    """A model of random weights with every part at work: a fresh residual branch multiplies by 0, a statistic is 0."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = segmenter(name)
    random = np.random.default_rng(1)
    for weight in model.weights:
        if weight.path.split("/")[-1] in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.8, 1.2, weight.shape))
    return model


def finding(name: str):
    """Such a model that finds things: its heat map may be cold."""
    import numpy as np

    model = working(name)
    for weight in model.weights:
        if weight.path == "center_head/predict/kernel":
            weight.assign(np.abs(weight.numpy()))
    return model


def fit_two_steps(model) -> dict[str, list[float]]:
    """The history of two steps of `fit` and a validation on seven images, a batch of four and one of three."""
    import keras
    import tensorflow as tf

    model.compile(optimizer=keras.optimizers.SGD(1e-3), jit_compile=False)
    batches = model.batches("train", batch_size=4)
    validation = model.batches("val", batch_size=4).unbatch().take(7).batch(4)
    validation = validation.apply(tf.data.experimental.assert_cardinality(2))
    return model.fit(batches, validation_data=validation, steps_per_epoch=2, epochs=1, verbose=0).history
