import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import SettingError
from tfpanoptic.models.deeperlab import HEADS, DeeperLabConfig, build, channels, grid
from tfpanoptic.ops.keypoint_graph import EDGES, KEYPOINTS

TABLE = CategoryTable(tuple(Category(i, f"c{i}", i <= 2, (0, 0, 0), i) for i in range(1, 4)))
TINY = {
    "backbone": {"name": "resnet10", "width_multiplier": 0.0625, "output_stride": 16},
    "aspp_channels": 4,
    "aspp_rates": [1],
    "kernel_size": 3,
    "decoder": {"coarse_channels": 4, "fine_channels": 2, "hidden_channels": 4, "channels": 4},
    "heads": {"semantic_channels": 4, "instance_channels": 4},
}


def tiny(**changes):
    return DeeperLabConfig.model_validate({**TINY, **changes})


def test_heads_have_the_channels_of_the_keypoints_and_edges():
    assert {
        "keypoint_logits": len(KEYPOINTS),
        "short_offset": 2 * len(KEYPOINTS),
        "middle_offset": 2 * len(EDGES),
        "long_offset": 2 * len(KEYPOINTS),
    } == HEADS


def test_the_semantic_head_has_a_channel_for_each_category():
    assert channels(tiny(), TABLE) == {"semantic_logits": (1, 2, 3)}


@pytest.mark.parametrize(("align_corners", "expected"), [(False, "k * 16"), (True, "k * 16 + 1")])
def test_the_grid_is_the_backbones(align_corners, expected):
    assert str(grid(tiny(align_corners=align_corners))) == expected


def test_outputs_are_at_the_stride_of_the_decoders_endpoint():
    network = build(tiny(), TABLE).infer
    size = np.array([[32, 48]], "int32")
    outputs = network({"image": np.zeros((1, 32, 48, 3), "float32"), "valid_size": size})
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "semantic_logits": (1, 8, 12, 3),
        "keypoint_logits": (1, 8, 12, 5),
        "short_offset": (1, 8, 12, 10),
        "middle_offset": (1, 8, 12, 16),
        "long_offset": (1, 8, 12, 10),
    }


def test_only_training_with_dropout_takes_a_seed():
    assert set(build(tiny(), TABLE).train.input) == {"image", "valid_size", "seed"}
    networks = build(tiny(aspp_dropout=0.0), TABLE)
    assert networks.train is networks.infer and set(networks.infer.input) == {"image", "valid_size"}


def test_the_published_widths(no_random_weights):
    network = build(DeeperLabConfig(backbone={"name": "resnet10", "output_stride": 16}), TABLE).infer
    shapes = {weight.path: tuple(weight.shape) for weight in network.weights}
    # Yang et al. 2019: depthwise 7x7, 4096 channels, opened to 256; heads of 256 and 64.
    assert shapes["decoder/fuse2/depthwise/conv/kernel"][:2] == (7, 7)
    assert shapes["decoder/fuse2/pointwise/conv/kernel"][-1] == 4096
    for head, width in (("semantic", 256), ("keypoint", 64), ("short", 64), ("middle", 64), ("long", 64)):
        assert shapes[f"{head}_head/hidden/depthwise/conv/kernel"] == (7, 7, 256, 1)
        assert shapes[f"{head}_head/hidden/pointwise/conv/kernel"] == (1, 1, 256, width)


def test_an_endpoint_that_the_backbone_lacks_is_named():
    for endpoint in ("image", "res7"):
        with pytest.raises(SettingError, match=f"model.decoder.endpoint: expected .*res2.* found '{endpoint}'"):
            build(tiny(decoder={"endpoint": endpoint}), TABLE)
