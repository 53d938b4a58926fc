"""DeeperLab learns eight scenes by heart: targets, losses, votes and grouping belong together."""

import pytest

from tests.models.eight_scenes import pq_of_eight_scenes

# Own choice, narrow enough for minutes on two cores. Perfect heads of it reach 0.938 on these scenes.
MODEL = {
    "name": "deeperlab",
    "backbone": {"name": "resnet18", "width_multiplier": 0.5, "output_stride": 16},
    "norm": {"momentum": 0.9},
    "aspp_channels": 64,
    "aspp_rates": [2, 4],
    "aspp_dropout": 0.0,
    "separable": False,
    "kernel_size": 3,
    "decoder": {"coarse_channels": 64, "fine_channels": 16, "hidden_channels": 128, "channels": 48},
    "heads": {"semantic_channels": 48, "instance_channels": 48},
    "targets": {"radius": 8, "max_instances": 40},
    "postprocess": {"keypoint_distance": 5.0, "box_overlap": 0.7, "max_instances": 40},  # shapes cover each other
}


@pytest.mark.slow
def test_eight_scenes_are_learned_to_a_pq_above_nine_tenths(tmp_path):
    assert pq_of_eight_scenes(MODEL, tmp_path, steps=400, learning_rate=2e-3) > 0.9
