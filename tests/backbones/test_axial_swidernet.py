import keras
import numpy as np
import pytest

from tfpanoptic.backbones.axial_swidernet import AXIAL_SWIDERNET
from tfpanoptic.errors import InputError
from tfpanoptic.layers.axial_attention import AxialAttention
from tfpanoptic.layers.norm import Norm
from tfpanoptic.ops.resize import resize_bilinear
from tfpanoptic.settings.config import validate

NARROW = {"stem_width_multiplier": 0.0625, "width_multiplier": 0.0625, "layer_multiplier": 0.67}


def network(name, size=(None, None), **options):
    image = keras.Input((*size, 3), name="image")
    config = AXIAL_SWIDERNET.config(**{"name": name, "output_stride": 16, **NARROW, **options})
    return keras.Model(image, AXIAL_SWIDERNET.build(image, config, Norm()))


def attentions(model):
    return [layer.name.removesuffix("_attention") for layer in model.layers if isinstance(layer, AxialAttention)]


def test_blocks_attend_from_stride_16_on():
    # The first block of stage 4 takes its input at stride 8.
    expected = ["stage4_block2", "stage5_block1", "stage5_block2"]
    assert attentions(network("axial_swidernet")) == expected
    assert attentions(network("max_deeplab_l_backbone")) == [*expected, "decoder_stage4_block1"]


@pytest.mark.parametrize(("output_stride", "strides"), [(8, [4, 8]), (16, [8, 4, 8, 16]), (32, [16, 8, 4, 8, 16, 32])])
def test_the_decoder_goes_up_to_stride_4_and_down_again(output_stride, strides):
    model = network("max_deeplab_l_backbone", (65, 129), output_stride=output_stride)
    blocks = [model.get_layer(f"decoder_stage{number}_block1_add").output for number in range(1, len(strides) + 1)]
    assert [x.shape[1:3] for x in blocks] == [(64 // s + 1, 128 // s + 1) for s in strides]
    assert [x.shape[-1] for x in blocks] == [128 if s == output_stride else 4 * s for s in strides]
    assert model.output["res5_decoded"].shape[1:] == model.output["res5"].shape[1:]


def test_a_block_of_the_decoder_takes_the_last_map_and_two_earlier_ones_of_its_stride():
    """DeepLab2's `ResizedFuse`: maps of the same width as they are, before their ReLU; others after it, projected."""
    model = network("max_deeplab_l_backbone", (65, 65))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith("gamma"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    places = {name: model.get_layer(f"{name}_add").output for name in ("stage5_block2", "stage4_block2")}
    places |= {name: model.get_layer(f"{name}_add").output for name in ("stage3_block4", "stage2_block2")}
    places |= {f"d{n}": model.get_layer(f"decoder_stage{n}_block1_add").output for n in range(1, 5)}
    places["decoded"] = model.output["res5_decoded"]
    places |= {f"fused{n}": model.get_layer(f"decoder_stage{n}_resized_fuse_fused_relu").output for n in range(1, 5)}
    found = keras.Model(model.input, places)(rng.normal(size=(1, 65, 65, 3)).astype("float32"))
    found = {name: np.asarray(value) for name, value in found.items()}

    def projected(name, number, kind):
        return np.asarray(model.get_layer(f"decoder_stage{number}_resized_fuse_{kind}_conv1")(relu(found[name])))

    def relu(x):
        return np.maximum(x, 0)

    up = [np.asarray(resize_bilinear(projected(*place, "resized"), size, True)) for place, size in UPWARD]
    expected = {
        "fused1": relu(up[0] + found["stage3_block4"]),
        "fused2": relu(up[1] + found["stage2_block2"]),
        "fused3": relu(projected("d2", 3, "strided") + found["stage3_block4"] + found["d1"]),
        "fused4": relu(projected("d3", 4, "strided") + found["stage5_block2"]),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(found["decoded"], relu(found["d4"]))


UPWARD = ((("stage5_block2", 1), (9, 9)), (("d1", 2), (17, 17)))


def test_a_span_is_odd():
    with pytest.raises(InputError, match=r"backbone\.span.*odd.*64"):
        validate(AXIAL_SWIDERNET.config, {"name": "axial_swidernet", "span": 64}, "run.yaml", "backbone")


def test_the_span_is_that_of_every_attention():
    layers = network("axial_swidernet", span=9).layers
    assert {x.width_axis.span for x in layers if isinstance(x, AxialAttention)} == {9}
