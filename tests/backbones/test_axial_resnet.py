import keras
import numpy as np
import pytest

from tfpanoptic.backbones.axial_resnet import AXIAL_RESNET
from tfpanoptic.errors import InputError
from tfpanoptic.layers.axial_attention import AxialAttention
from tfpanoptic.layers.norm import Norm
from tfpanoptic.settings.config import validate


def endpoints(name, size=(None, None), norm=Norm(), **options):
    image = keras.Input((*size, 3), name="image")
    return image, AXIAL_RESNET.build(image, AXIAL_RESNET.config(name=name, **options), norm)


def attentions(name, **options):
    """The attention layers of a narrow network, by the names of their blocks."""
    model = keras.Model(*endpoints(name, width_multiplier=0.125, **options))
    return {x.name.removesuffix("_attention"): x for x in model.layers if isinstance(x, AxialAttention)}


def test_all_blocks_of_an_axial_resnet_attend():
    assert list(attentions("axial_deeplab_s")) == [
        f"stage{stage}_block{number}"
        for stage, count in zip((2, 3, 4, 5), (3, 4, 6, 3))
        for number in range(1, count + 1)
    ]


def test_blocks_of_max_deeplab_attend_from_stride_16_on():
    # The first block of stage 4 takes its input at stride 8.
    blocks = [f"stage4_block{number}" for number in range(2, 7)] + [f"stage5_block{number}" for number in (1, 2, 3)]
    assert list(attentions("max_deeplab_s_backbone")) == blocks
    assert list(attentions("max_deeplab_s_backbone", output_stride=16)) == blocks


def test_strides_beyond_the_output_stride_are_dropped():
    strides = {name: x.stride for name, x in attentions("axial_deeplab_s", output_stride=16).items()}
    assert [name for name, stride in strides.items() if stride == 2] == [f"stage{n}_block1" for n in (2, 3, 4)]


def test_every_stage_has_its_span():
    found = attentions("axial_deeplab_s", spans=[65, 33, None, 5], layer_multiplier=0.4)
    assert {name: x.width_axis.span for name, x in found.items()} == {
        "stage2_block1": 65,
        "stage3_block1": 33,
        "stage4_block1": None,
        "stage4_block2": None,
        "stage5_block1": 5,
    }


def test_widths_are_multiples_of_the_heads():
    _, outputs = endpoints("axial_deeplab_s", width_multiplier=0.3, layer_multiplier=0.4)
    # 32, 64, 128 and 256 times 0.3, to the next multiple of 8, times 4.
    assert [outputs[f"res{n}"].shape[-1] for n in (2, 3, 4, 5)] == [32, 64, 160, 320]


def test_the_stem_has_a_width_of_its_own():
    _, outputs = endpoints("axial_deeplab_s", stem_multiplier=0.125, layer_multiplier=0.4)
    assert [outputs[f"res{n}"].shape[-1] for n in (1, 2)] == [16, 128]


def test_residual_branches_start_at_zero():
    image, outputs = endpoints("axial_deeplab_s", layer_multiplier=0.4)
    model = keras.Model(image, {"before": outputs["res1"], "after": outputs["res2"]})
    result = model(np.random.default_rng(0).normal(size=(1, 17, 17, 3)).astype("float32"))
    # Stem and stage 2 of S are both 128 wide: the shortcut only takes every second cell.
    np.testing.assert_array_equal(result["after"], np.asarray(result["before"])[:, ::2, ::2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "axial_deeplab_s", "stem": "plain"}, r"unknown key backbone\.stem"),
        ({"name": "axial_deeplab_s", "spans": [64, None, None, None]}, r"backbone\.spans.*odd.*64"),
        ({"name": "axial_deeplab_s", "spans": [65]}, r"backbone\.spans"),
    ],
)
def test_what_an_axial_resnet_does_not_have_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        validate(AXIAL_RESNET.config, options, "run.yaml", "backbone")
