import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.layers.norm import BatchNorm, FrozenBatchNorm, GroupNorm
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.models.panoptic_deeplab import ARCHITECTURE, PanopticDeepLabConfig, build
from tfpanoptic.settings.config import validate

TINY = {
    "backbone": {"name": "resnet10", "width_multiplier": 0.0625, "output_stride": 16},
    "normalization": "per_image",
    "aspp_rates": [1, 2],
    "separable": False,
    "kernel_size": 3,
    "semantic": {
        "aspp_channels": 8,
        "channels": 8,
        "head_channels": 8,
        "skips": [{"endpoint": f"res{n}", "channels": 4} for n in (3, 2, 1)],
    },
    "instance": {
        "aspp_channels": 8,
        "channels": 8,
        "head_channels": 8,
        "skips": [{"endpoint": "res2", "channels": 4}],
    },
    "postprocess": {"max_centers": 5, "nms_kernel": 3, "stuff_area": 0},
}


def table(things, stuff):
    names = [f"thing{i}" for i in range(things)] + [f"stuff{i}" for i in range(stuff)]
    return CategoryTable(tuple(Category(i, n, i <= things, (0, 0, 0), i) for i, n in enumerate(names, start=1)))


def tiny(**changes):
    return PanopticDeepLabConfig.model_validate({**TINY, **changes})


def network(config, categories=None):
    keras.utils.set_random_seed(0)
    return build(config, categories or table(2, 1)).infer


def batch(height=33, width=49, images=2):
    rng = np.random.default_rng(0)
    return {
        "image": rng.uniform(0, 255, (images, height, width, 3)).astype("float32"),
        "valid_size": np.tile(np.array([[height, width]], "int32"), (images, 1)),
    }


@pytest.mark.parametrize(("size", "stride2", "stride4"), [((33, 49), (17, 25), (9, 13)), ((32, 48), (16, 24), (8, 12))])
def test_each_branch_ends_at_the_stride_of_its_last_skip(size, stride2, stride4):
    outputs = network(tiny())(batch(*size))
    assert {key: tuple(value.shape) for key, value in outputs.items()} == {
        "semantic_logits": (2, *stride2, 3),
        "center_heatmap": (2, *stride4, 1),
        "center_offset": (2, *stride4, 2),
    }


def test_outputs_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        outputs = network(tiny())(batch())
    finally:
        keras.config.set_dtype_policy("float32")
    assert {value.dtype for value in outputs.values()} == {tf.float32}


def test_a_void_channel_stands_in_front_of_the_categories():
    categories = table(2, 1)
    assert ARCHITECTURE.channels(tiny(void_channel=True), categories) == {"semantic_logits": (0, 1, 2, 3)}
    assert network(tiny(void_channel=True), categories)(batch())["semantic_logits"].shape[-1] == 4


def test_without_rates_the_pyramid_is_one_projection():
    paths = [weight.path for weight in network(tiny(aspp_rates=[])).weights]
    assert "semantic_projection/conv/kernel" in paths and not any("aspp" in path for path in paths)


def test_brightness_and_contrast_do_not_matter_after_per_image_normalization():
    model, inputs = network(tiny()), batch()
    changed = {**inputs, "image": 0.5 * inputs["image"] + 20}
    np.testing.assert_allclose(
        model(changed)["semantic_logits"], model(inputs)["semantic_logits"], rtol=1e-3, atol=1e-6
    )


def test_weight_paths_are_the_same_for_every_model_of_a_process():
    first, second = ([weight.path for weight in network(tiny()).weights] for _ in range(2))
    assert first == second and len(set(first)) == len(first)


def test_a_saved_network_gives_equal_outputs(tmp_path):
    model, inputs = network(tiny()), batch()
    model.save(tmp_path / "network.keras")
    reloaded = keras.models.load_model(tmp_path / "network.keras")
    for key, value in model(inputs).items():
        np.testing.assert_array_equal(reloaded(inputs)[key], value)


def panoptic_map(height=33, width=49):
    """Two things of different categories on stuff."""
    panoptic = np.full((height, width), 30_000, "int32")
    panoptic[4:14, 5:17] = 10_001
    panoptic[16:30, 20:40] = 20_001
    return panoptic


def test_the_loss_of_every_term_reaches_every_weight():
    config, categories = tiny(), table(2, 1)
    model = network(config, categories)
    one = ARCHITECTURE.targets({"panoptic": panoptic_map()}, config, categories)
    truth = {key: tf.stack([value, value]) for key, value in one.items()}
    # A fresh residual branch multiplies by 0; give it a part so that its gradient can be seen.
    for weight in model.trainable_weights:
        if weight.path.endswith("gamma"):
            weight.assign(tf.ones_like(weight.value))
    with tf.GradientTape() as tape:
        terms = ARCHITECTURE.loss(model(batch(), training=True), truth, config, categories)
        total = tf.add_n([tf.reduce_sum(term) for term in terms.values()])
    assert {key: tuple(term.shape) for key, term in terms.items()} == {"semantic": (2,), "center": (2,), "offset": (2,)}
    gradients = tape.gradient(total, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None and tf.reduce_any(gradient != 0), weight.path


def test_postprocessing_gives_segments_at_network_size():
    config, categories = tiny(), table(2, 1)
    inputs = batch()
    found = ARCHITECTURE.postprocess(
        network(config, categories)(inputs), (33, 49), inputs["valid_size"], config, categories
    )
    # 5 centres and 1 stuff category.
    assert found.segment_ids.shape == (2, 33, 49) and found.labels.shape == found.scores.shape == (2, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"semantic": {"head_channels": 8, "skips": [{"endpoint": "res9", "channels": 4}]}}, "res9"),
        (
            {"semantic": {"head_channels": 8, "skips": [{"endpoint": f"res{n}", "channels": 4} for n in (2, 3)]}},
            "semantic.skips",
        ),
    ],
)
def test_endpoints_that_a_backbone_does_not_have_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        network(tiny(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "resnet51"}, "backbone.name: expected one of .*found 'resnet51'"),
        ({"name": "mobilenet_v3_small", "stem": "beta"}, "unknown key backbone.stem; known here: name, output_stride"),
        ({"name": "mobilenet_v3_small", "width_multiplier": 0.5}, "unknown key backbone.width_multiplier; known here"),
    ],
)
def test_options_that_a_backbone_does_not_have_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        validate(PanopticDeepLabConfig, {**TINY, "backbone": change}, "run.yaml")


@pytest.mark.parametrize("kind", ["batch", "frozen", "group", "none"])
def test_the_normalisation_of_all_convolutions_is_configured(kind):
    model = network(tiny(norm={"kind": kind, "groups": 2, "epsilon": 1e-5}))
    norms = [layer for layer in model._flatten_layers() if layer.name in ("batch_norm", "group_norm")]
    assert {type(layer) for layer in norms} == {
        "batch": {BatchNorm},
        "frozen": {FrozenBatchNorm},
        "group": {GroupNorm},
        "none": set(),
    }[kind]
    assert all(layer.epsilon == 1e-5 for layer in norms)
    kernels = sum(weight.path.endswith("conv/kernel") for weight in model.weights)
    biases = sum(weight.path.endswith("conv/bias") for weight in model.weights)
    assert (len(norms), biases) == ((0, kernels) if kind == "none" else (kernels, 0))


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(InputError, match=r"norm\.groups: .*channels.*found 3"):
        network(tiny(norm={"kind": "group", "groups": 3}))


def test_the_architecture_is_listed():
    assert ARCHITECTURES["panoptic_deeplab"] is ARCHITECTURE
