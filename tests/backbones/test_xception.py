import keras
import numpy as np
import pytest

from tfpanoptic.backbones import xception
from tfpanoptic.backbones.xception import XCEPTION, Module
from tfpanoptic.errors import InputError
from tfpanoptic.layers.norm import Norm
from tfpanoptic.settings.config import validate


@pytest.fixture
def narrow(monkeypatch):
    """Xception-65 with few channels and two modules in its middle."""
    entry = (
        Module("entry1", (4, 4, 4), 2),
        Module("entry2", (6, 6, 6), 2, inner="res2"),
        Module("entry3", (8, 8, 8), 2, inner="res3"),
    )
    monkeypatch.setitem(xception.FLOWS, "xception_65", (entry, 2))
    monkeypatch.setattr(xception, "MIDDLE_CHANNELS", 8)
    leave = Module("exit2", (8, 8, 12), shortcut=None, activated=True, endpoint="res5")
    monkeypatch.setattr(xception, "EXIT", (Module("exit1", (8, 8, 10), 2), leave))


def network(name="xception_65", **options):
    image = keras.Input((None, None, 3), name="image")
    return keras.Model(image, XCEPTION.build(image, XCEPTION.config(name=name, **options), Norm()))


def test_removed_strides_become_dilations_from_the_next_module_on(narrow):
    def dilations(output_stride):
        layers = network(output_stride=output_stride).layers
        found = {layer.name: layer.get_config()["dilation"] for layer in layers if layer.name.endswith("_depthwise")}
        return [found[f"{module}_conv3_depthwise"] for module in ("entry3", "middle1", "middle2", "exit1", "exit2")]

    assert dilations(32) == [1, 1, 1, 1, 1]
    assert dilations(16) == [1, 1, 1, 1, 2]
    assert dilations(8) == [1, 2, 2, 2, 4]


def test_a_finer_output_stride_gives_more_of_the_same_features(narrow):
    coarse, fine = network(output_stride=32), network(output_stride=8)
    fine.set_weights(coarse.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 65, 97, 3)).astype("float32")
    expected, found = coarse(x)["res5"], np.asarray(fine(x)["res5"])[:, ::4, ::4]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.std(expected))


def test_a_module_is_relu_depthwise_pointwise_three_times_and_a_shortcut(narrow):
    model = network()
    parts = keras.Model(
        model.input,
        [model.get_layer(name).output for name in ("middle1_add", "middle2_conv1_relu", "middle2_conv3_pointwise")]
        + [model.output["res4"]],
    )
    before, activated, branch, after = parts(np.random.default_rng(0).normal(size=(1, 65, 65, 3)).astype("float32"))
    assert np.min(before) < 0 and np.min(branch) < 0 and np.min(after) < 0
    np.testing.assert_array_equal(activated, np.maximum(before, 0))
    np.testing.assert_array_equal(after, np.asarray(before) + branch)


def test_there_are_no_imagenet_weights():
    with pytest.raises(InputError, match=r"backbone\.weights: .*no ImageNet weights for xception_71, found 'imagenet'"):
        validate(XCEPTION.config, {"name": "xception_71", "weights": "imagenet"}, "run.yaml", "model.backbone")
