import keras
import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.models.axial_deeplab import ARCHITECTURE, AxialDeepLabConfig
from tfpanoptic.models.panoptic_deeplab import ARCHITECTURE as PANOPTIC_DEEPLAB
from tfpanoptic.settings.config import validate

BRANCH = {"aspp_channels": 8, "channels": 8, "head_channels": 8, "skips": [{"endpoint": "res2", "channels": 4}]}
TINY = {
    "backbone": {"name": "axial_resnet_s", "output_stride": 16, "width_multiplier": 0.125, "layer_multiplier": 0.34},
    "semantic": BRANCH,
    "instance": BRANCH,
}


def table(things):
    return CategoryTable(tuple(Category(i, f"thing{i}", True, (0, 0, 0), i) for i in range(1, things + 1)))


def network(architecture, settings, categories=2):
    keras.utils.set_random_seed(0)
    return architecture.build(architecture.config.model_validate(settings), table(categories)).infer


def test_it_is_panoptic_deeplab_without_pyramids():
    ours = network(ARCHITECTURE, TINY)
    theirs = network(PANOPTIC_DEEPLAB, {**TINY, "aspp_rates": []})
    assert [weight.path for weight in ours.weights] == [weight.path for weight in theirs.weights]
    assert not any("aspp" in weight.path for weight in ours.weights)


@pytest.mark.parametrize("backbone", ["axial_resnet_s", "axial_deeplab_s", "max_deeplab_s_backbone"])
def test_axial_backbones_stand_under_panoptic_deeplab_with_its_pyramids(backbone):
    model = network(PANOPTIC_DEEPLAB, {**TINY, "backbone": {**TINY["backbone"], "name": backbone}, "aspp_rates": [2]})
    image = np.random.default_rng(0).uniform(0, 255, (1, 33, 49, 3)).astype("float32")
    outputs = model({"image": image, "valid_size": np.array([[33, 49]], "int32")})
    assert {value.shape[1:3] for value in outputs.values()} == {(9, 13)}
    assert all(np.isfinite(value).all() for value in outputs.values())


def test_a_pyramid_is_refused():
    with pytest.raises(InputError, match="unknown key aspp_rates"):
        validate(AxialDeepLabConfig, {**TINY, "aspp_rates": [2]}, "run.yaml")


def test_the_architecture_is_listed():
    assert ARCHITECTURES["axial_deeplab"] is ARCHITECTURE


def test_settings_have_the_types_and_defaults_of_panoptic_deeplab():
    others = PANOPTIC_DEEPLAB.config.model_fields
    for name, field in AxialDeepLabConfig.model_fields.items():
        if name != "name":
            assert (field.annotation, field.default) == (others[name].annotation, others[name].default), name
