from pathlib import Path

import keras
import numpy as np
import pytest

from tfpanoptic.backbones.imagenet import read_bundled, set_imagenet_weights
from tfpanoptic.backbones.mobilenet_v2 import BUNDLED, IMAGENET, MOBILENET_V2
from tfpanoptic.layers.norm import Norm

FEATURES = Path(__file__).parents[1] / "fixtures" / "mobilenet_v2" / "features.npz"
CONFIG = MOBILENET_V2.config(name="mobilenet_v2", weights="imagenet")


@pytest.fixture(scope="module")
def network():
    image = keras.Input((None, None, 3))
    return keras.Model(image, MOBILENET_V2.build(image, CONFIG, Norm()))


def test_features_equal_those_of_keras_applications(network):
    loaded = set_imagenet_weights(network, IMAGENET, CONFIG, Norm(), "symmetric")
    assert set(loaded) == {weight.path for weight in network.weights}
    expected = np.load(FEATURES)
    found = network(expected["image"] / 127.5 - 1)
    for end in ("res1", "res2", "res3", "res4", "res5"):
        # The largest kernels are stored in float16.
        assert np.abs(found[end] - expected[end]).max() < 1e-2 * expected[end].std(), end


def test_the_file_is_small_and_holds_statistics_that_batches_have():
    assert BUNDLED.stat().st_size < 5e6
    variances = [value for path, value in read_bundled(BUNDLED).items() if path.endswith("moving_variance")]
    # Kernels are scaled so that each output has a variance of 1 on photos, dead ones less.
    assert np.median(np.concatenate(variances)) == pytest.approx(1, abs=1e-3)


def test_a_licence_and_a_notice_stand_beside_them():
    assert "Apache License" in BUNDLED.with_name("LICENSE").read_text()
    assert BUNDLED.name in BUNDLED.with_name("NOTICE").read_text()
