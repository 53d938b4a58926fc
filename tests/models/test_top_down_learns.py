"""Panoptic FPN and UPSNet learn eight scenes by heart: losses, sampling and merging belong together."""

import pytest

from tests.models.eight_scenes import pq_of_eight_scenes

# Own choice, narrow enough for minutes on two cores.
MODEL = {
    "backbone": {"name": "resnet18", "width_multiplier": 0.5},
    "normalization": "symmetric",
    "norm": {"kind": "batch", "momentum": 0.9},
    "fpn_channels": 64,
    "instance": {
        "rpn": {
            "channels": 64,
            "anchor_sizes": [12, 24, 48, 96, 128],
            "sample": 128,
            "train_per_level": 500,
            "train_proposals": 200,
            "per_level": 500,
            "proposals": 200,
        },
        "box_head": {"channels": 256, "sample": 64},
        "mask_head": {"channels": 64, "convs": 2},
        "max_instances": 30,
    },
    "postprocess": {"stuff_area": 0},
}
MODELS = {
    "panoptic_fpn": {
        "semantic": {"channels": 64, "norm": {"kind": "group", "groups": 8}},
        "loss_weights": {"semantic": 1.0},
    },
    "upsnet": {
        "global_context": False,
        "semantic": {"filters": [64, 64]},
        "loss_weights": {"semantic": 1.0, "roi_semantic": 0.2, "panoptic": 0.5},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_eight_scenes_are_learned_to_a_pq_above_nine_tenths(name, tmp_path):
    model = {"name": name, **MODEL, **MODELS[name]}
    assert pq_of_eight_scenes(model, tmp_path, steps=500, learning_rate=1e-3) > 0.9
