import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.models.deeperlab import ARCHITECTURE, DeeperLabConfig
from tfpanoptic.oracles.keypoint_settings import block_side, fine_stride, relaxations

TABLE = CategoryTable((Category(1, "cell", True, (0, 0, 0), 1), Category(2, "ground", False, (0, 0, 0), 2)))


def config(endpoint="res2", output_stride=16, **changes):
    backbone = {"name": "resnet10", "width_multiplier": 0.0625, "output_stride": output_stride}
    decoder = {"endpoint": endpoint, "coarse_channels": 4, "fine_channels": 2, "hidden_channels": 4, "channels": 4}
    return DeeperLabConfig.model_validate(
        {"backbone": backbone, "decoder": decoder, "aspp_channels": 4, "aspp_rates": [1], "kernel_size": 3, **changes}
    )


def by_setting(config, most_instances=10):
    found = {}
    for relaxation in relaxations(config, most_instances):
        found.setdefault(relaxation.setting, []).append(relaxation)
    return found


@pytest.mark.parametrize(("align_corners", "size"), [(False, (32, 48)), (True, (33, 49))])
@pytest.mark.parametrize(("endpoint", "output_stride"), [("res2", 16), ("res1", 8), ("res5", 32)])
def test_perfect_outputs_have_the_shapes_of_the_networks(endpoint, output_stride, align_corners, size):
    made = config(endpoint, output_stride, align_corners=align_corners)
    real = ARCHITECTURE.build(made, TABLE).infer(
        {"image": np.zeros((1, *size, 3), np.float32), "valid_size": np.array([size], np.int32)}
    )
    perfect = ARCHITECTURE.oracle.perfect_outputs(np.zeros(size, np.int32), made, TABLE)
    assert {key: tuple(value.shape) for key, value in real.items()} == {k: v.shape for k, v in perfect.items()}


def test_a_crowd_gets_keypoints_of_its_own():
    panoptic = np.full((16, 16), 20_000, np.int32)
    panoptic[4:8, 4:8] = 10_000  # a thing with instance 0
    made = config("res1", 8, targets={"radius": 2})
    outputs = ARCHITECTURE.oracle.perfect_outputs(panoptic, made, TABLE)
    assert outputs["keypoint_logits"][0, 2, 2, 0] > 0 > outputs["keypoint_logits"][0, 7, 7, 0]


def test_an_unknown_endpoint_is_refused_by_its_setting():
    with pytest.raises(InputError, match=r"model\.decoder\.endpoint: expected one of res1, .*res5, found 'conv1'"):
        fine_stride(config("conv1"))


def test_blocks_are_the_cells_of_the_fine_map_in_a_coarse_one():
    assert [block_side(config(*case)) for case in (("res2", 16), ("res1", 16), ("res3", 32))] == [4, 8, 4]


def test_heads_at_stride_4_are_relaxed_to_2_and_to_none():
    finer, exact = by_setting(config())["model.decoder.endpoint"]
    assert (finer.found, finer.relaxed, finer.possible) == ("res2", "res1", True)
    assert [fine_stride(relaxed.config) for relaxed in (finer, exact)] == [2, 1] and not exact.possible


def test_settings_of_the_grouping_are_relaxed_one_at_a_time():
    settings = {
        "long_refinements": 2,
        "keypoint_threshold": 0.1,
        "keypoint_window": 5,
        "keypoint_distance": 8.0,
        "instance_score": 0.2,
        "box_overlap": 0.5,
        "max_instances": 9,
        "stuff_area": 64,
    }
    made = config(postprocess=settings)
    found = by_setting(made, 10)
    relaxed = {
        "long_refinements": 0,
        "keypoint_threshold": 0.0,
        "keypoint_window": 1,
        "keypoint_distance": 4.0,
        "instance_score": 0.0,
        "box_overlap": 1.0,
        "max_instances": 10,
        "stuff_area": 0,
    }
    for name, value in relaxed.items():
        changed = found[f"model.postprocess.{name}"][0].config.postprocess.model_dump()
        assert changed == {**made.postprocess.model_dump(), name: value}


def test_a_setting_that_cannot_cost_anything_is_not_relaxed():
    settings = {
        "keypoint_threshold": 0.0,
        "keypoint_window": 1,
        "keypoint_distance": 0.0,
        "instance_score": 0.0,
        "box_overlap": 1.0,
        "max_instances": 10,
    }
    assert not any(name.startswith("model.postprocess") for name in by_setting(config(postprocess=settings), 10))


def test_disks_are_tried_smaller_and_larger_and_places_suffice():
    found = by_setting(config(targets={"radius": 6, "max_instances": 9}), 10)
    assert [relaxation.config.targets.radius for relaxation in found["model.targets.radius"]] == [12, 3]
    assert found["model.targets.max_instances"][0].config.targets.max_instances == 10
