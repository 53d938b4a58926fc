import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.models.panoptic_deeplab import ARCHITECTURE, PanopticDeepLabConfig
from tfpanoptic.oracles.center_settings import head_stride, relaxations

TABLE = CategoryTable((Category(1, "cell", True, (0, 0, 0), 1), Category(2, "ground", False, (0, 0, 0), 2)))


def config(semantic=("res3", "res2"), instance=("res3", "res2"), output_stride=16, **changes):
    def branch(skips):
        skips = [{"endpoint": name, "channels": 4} for name in skips]
        return {"aspp_channels": 8, "channels": 8, "head_channels": 8, "skips": skips}

    backbone = {"name": "resnet10", "width_multiplier": 0.0625, "output_stride": output_stride}
    return PanopticDeepLabConfig.model_validate(
        {"backbone": backbone, "semantic": branch(semantic), "instance": branch(instance), **changes}
    )


def by_setting(config, most_instances=10):
    """The relaxations of each setting, in order."""
    found = {}
    for relaxation in relaxations(config, most_instances):
        found.setdefault(relaxation.setting, []).append(relaxation)
    return found


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(33, 49), (32, 48)])
@pytest.mark.parametrize(
    "settings",
    [
        {"semantic": ("res2", "res1"), "instance": ("res3",)},
        {"semantic": (), "instance": ("res4",), "output_stride": 8},
    ],
)
def test_perfect_outputs_have_the_shapes_of_the_networks(settings, size, align_corners):
    made = config(**settings, align_corners=align_corners)
    network = ARCHITECTURE.build(made, TABLE).infer
    image, valid_size = np.zeros((1, *size, 3), np.float32), np.array([size], np.int32)
    real = network({"image": image, "valid_size": valid_size})
    perfect = ARCHITECTURE.oracle.perfect_outputs(np.zeros(size, np.int32), made, TABLE)
    assert {key: tuple(value.shape) for key, value in real.items()} == {k: v.shape for k, v in perfect.items()}


def test_a_crowd_gets_a_center_and_a_category_of_its_own():
    panoptic = np.full((16, 16), 20_000, np.int32)
    panoptic[4:8, 4:8] = 10_000  # a thing with instance 0
    made = config(("res2", "res1"), ("res2", "res1"), align_corners=False, targets={"crowd_in_semantic": False})
    outputs = ARCHITECTURE.oracle.perfect_outputs(panoptic, made, TABLE)
    assert outputs["semantic_logits"][0, 2, 2].argmax() == 0
    # The mean pixel 5.5 is rounded to even, 6; the cell at (2, 2) covers the pixels 4 and 5: on average 1.5 away.
    np.testing.assert_allclose(outputs["center_offset"][0, 2, 2], [0.75, 0.75])
    assert np.unravel_index(outputs["center_heatmap"].argmax(), (8, 8)) == (3, 3)


def test_an_unknown_endpoint_is_refused_by_its_setting():
    with pytest.raises(InputError, match=r"model\.instance\.skips: expected endpoints res1, .*res5, found 'conv1'"):
        head_stride("instance", config(instance=("conv1",)))


def test_heads_at_stride_4_are_relaxed_to_2_and_to_none():
    finer, exact = by_setting(config())["model.semantic.skips, model.instance.skips"]
    assert (finer.found, finer.relaxed, finer.possible) == ("stride 4", "stride 2", True)
    assert "{endpoint: res1, channels: ...}" in finer.advice
    assert [head_stride(branch, finer.config) for branch in ("semantic", "instance")] == [2, 2]
    assert [head_stride(branch, exact.config) for branch in ("semantic", "instance")] == [1, 1]
    assert not exact.possible


def test_relaxed_configurations_are_checked_ones():
    for relaxed in by_setting(config())["model.semantic.skips, model.instance.skips"]:
        assert PanopticDeepLabConfig.model_validate(relaxed.config.model_dump()) == relaxed.config


def test_only_the_coarser_branch_is_made_finer():
    finer = by_setting(config(semantic=("res2", "res1")))["model.instance.skips"][0]
    assert [head_stride(branch, finer.config) for branch in ("semantic", "instance")] == [2, 2]


def test_at_stride_2_no_setting_is_finer():
    made = config(("res2", "res1"), ("res2", "res1"))
    assert [r.possible for rs in by_setting(made).values() for r in rs if "skips" in r.setting] == [False]


def test_a_setting_that_cannot_cost_anything_is_not_relaxed():
    settings = {"center_threshold": 0.0, "nms_kernel": 3, "max_centers": 10, "stuff_area": 0}
    assert not any(name.startswith("model.postprocess") for name in by_setting(config(postprocess=settings), 10))


def test_settings_of_the_grouping_are_relaxed_one_at_a_time():
    settings = {"center_threshold": 0.1, "nms_kernel": 7, "max_centers": 9, "stuff_area": 64}
    found = by_setting(config(postprocess=settings), 10)
    relaxed = {"center_threshold": 0.0, "nms_kernel": 3, "max_centers": 10, "stuff_area": 0}
    for name, value in relaxed.items():
        changed = found[f"model.postprocess.{name}"][0].config.postprocess.model_dump()
        assert changed == {**settings, name: value}


def test_centers_are_tried_narrower_and_wider():
    found = by_setting(config(targets={"sigma": 4.0}))["model.targets.sigma"]
    assert [relaxation.config.targets.sigma for relaxation in found] == [2.0, 8.0]
