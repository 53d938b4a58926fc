import keras
import numpy as np
import pytest

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.backbones.imagenet import SCALES, set_imagenet_weights
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.layers import normalize_image
from tfpanoptic.layers.norm import Norm
from tfpanoptic.layers.normalize_image import NormalizeImage
from tfpanoptic.settings.config import validate

RESNET50 = {"name": "resnet50", "stride_on": "1x1", "max_pool": True, "weights": "imagenet"}
MOBILENET_V3 = {"name": "mobilenet_v3_small", "padding": "same", "gate": "hard_sigmoid", "weights": "imagenet"}
MOBILENET_V2 = {"name": "mobilenet_v2", "width_multiplier": 0.35, "weights": "imagenet"}
# Our configuration, what keras.applications makes of its image 0..255, and its layer of each endpoint with the
# activation that ours has after it.
CASES = {
    "mobilenet_v2": (
        MOBILENET_V2,
        keras.applications.mobilenet_v2.preprocess_input,
        {
            "res1": ("expanded_conv_project_BN", "linear"),
            "res2": ("block_2_add", "linear"),
            "res3": ("block_5_add", "linear"),
            "res4": ("block_12_add", "linear"),
            "res5": ("block_16_project_BN", "linear"),
        },
    ),
    "mobilenet_v3": (
        MOBILENET_V3,
        keras.applications.mobilenet_v2.preprocess_input,
        {
            "res2": ("expanded_conv_depthwise_bn", "relu"),
            "res3": ("expanded_conv_2_depthwise_bn", "relu"),
            "res4": ("expanded_conv_7_depthwise_bn", "hard_swish"),
            "res5": ("conv_1_bn", "hard_swish"),
        },
    ),
    "resnet50": (
        RESNET50,
        keras.applications.resnet.preprocess_input,
        {
            "res1": ("conv1_relu", "linear"),
            "res2": ("conv2_block3_out", "linear"),
            "res3": ("conv3_block4_out", "linear"),
            "res4": ("conv4_block6_out", "linear"),
            "res5": ("conv5_block3_out", "linear"),
        },
    ),
}
SIZES = {"mobilenet_v2": (64, 97), "mobilenet_v3": (64, 97), "resnet50": (64, 65)}


def endpoints_of(config, norm, normalization="symmetric"):
    """A network from images 0..255 to the endpoints of a backbone."""
    image, valid_size = keras.Input((None, None, 3), name="image"), keras.Input((2,), dtype="int32", name="valid_size")
    normalized = NormalizeImage(normalization, name="normalize")(image, valid_size)
    outputs = BACKBONES[config.name].build(normalized, config, norm)
    return keras.Model({"image": image, "valid_size": valid_size}, outputs)


def photo(size):
    """A batch of one image of large patches."""
    patches = np.random.default_rng(1).uniform(0, 255, (1, -(-size[0] // 8), -(-size[1] // 8), 3))
    image = np.kron(patches, np.ones((1, 8, 8, 1)))[:, : size[0], : size[1]].astype("float32")
    return {"image": image, "valid_size": np.array([size], "int32")}


def fill(model, seed=0):
    """Random values that keep the maps of about one size."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name == "kernel":
            fan_in = np.prod(weight.shape[:3]) if weight.shape[3] > 1 else np.prod(weight.shape[:2])
            values = rng.standard_normal(weight.shape, "float32") * np.float32(np.sqrt(2 / fan_in))
        else:
            low, high = (0.5, 1.5) if weight.name in ("gamma", "moving_variance") else (-0.3, 0.3)
            values = rng.uniform(low, high, weight.shape)
        weight.assign(values)


@pytest.fixture(scope="module", params=CASES)
def application(request):
    """Configuration, a network of keras.applications filled at random, an image, and the endpoints there."""
    settings, preprocess, layers = CASES[request.param]
    config = validate(BACKBONES[settings["name"]].config, settings, "run.yaml")
    size = SIZES[request.param]
    name, options = BACKBONES[config.name].imagenet.application(config)
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(*size, 3), **options)
    fill(model)
    ends = keras.Model(
        model.input,
        {end: keras.layers.Activation(kind)(model.get_layer(layer).output) for end, (layer, kind) in layers.items()},
    )
    inputs = photo(size)
    return config, model, inputs, ends(preprocess(inputs["image"].copy()))


@pytest.fixture
def fetched(application, monkeypatch):
    """`application`, which `keras.applications` gives as its ImageNet weights."""
    config, model, *_ = application
    name, expected = BACKBONES[config.name].imagenet.application(config)

    def fetch(weights, include_top, input_shape, **options):
        assert (weights, include_top, options) == ("imagenet", False, expected)
        return model

    monkeypatch.setattr(keras.applications, name, fetch)
    return application


def load(config, norm, normalization):
    network = endpoints_of(config, norm, normalization)
    return network, set_imagenet_weights(network, BACKBONES[config.name].imagenet, config, norm, normalization)


def relative_difference(found, expected):
    return np.abs(np.asarray(found) - expected) / np.std(expected)


def own_scale(config):
    return "imagenet_mean" if config.name == "resnet50" else "symmetric"


def test_endpoints_equal_those_of_keras_applications(fetched, monkeypatch):
    config, _, inputs, expected = fetched
    # Detectron2 and Keras round the mean of ImageNet's colours differently, by 0.4 of 255: here both take Keras'.
    mean = BACKBONES["resnet50"].imagenet.mean
    monkeypatch.setattr(normalize_image, "IMAGENET_MEAN", mean)
    monkeypatch.setitem(SCALES, "imagenet_mean", (mean, 1.0))
    network, loaded = load(config, Norm(), own_scale(config))
    assert set(loaded) == {weight.path for weight in network.weights}
    found = network(inputs)
    for end, values in expected.items():
        # The order of float32 sums differs.
        assert relative_difference(found[end], values).max() < 1e-4, end


def test_another_epsilon_and_scale_of_the_image_change_the_border_only(fetched):
    config, _, inputs, expected = fetched
    other = "symmetric" if own_scale(config) == "imagenet_mean" else "imagenet_mean"
    network, _ = load(config, Norm("frozen", epsilon=1e-5), other)
    end = next(iter(expected))  # the finest one
    difference = relative_difference(network(inputs)[end], expected[end])
    assert difference.max() > 0.01 and difference[:, 4:-4, 4:-4].max() < 1e-3


@pytest.mark.parametrize(
    ("norm", "normalization", "words"),
    [
        (Norm("group"), "symmetric", "^model.norm.kind: .*batch or frozen, found group"),
        (Norm(), "per_image", "^model.normalization: .*symmetric or imagenet_mean, found per_image"),
    ],
)
def test_what_they_cannot_be_fitted_to_is_refused(norm, normalization, words):
    config = validate(BACKBONES["mobilenet_v2"].config, MOBILENET_V2, "run.yaml")
    with pytest.raises(SettingError, match=words):
        set_imagenet_weights(None, BACKBONES["mobilenet_v2"].imagenet, config, norm, normalization)


def test_without_a_network_one_line_says_what_to_do(monkeypatch):
    def fetch(**options):
        raise Exception("URL fetch failure on https://example.org/weights.h5:\nnone -- no route")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fetch)
    config = validate(BACKBONES["mobilenet_v2"].config, MOBILENET_V2, "run.yaml")
    with pytest.raises(SettingError) as error:
        set_imagenet_weights(None, BACKBONES["mobilenet_v2"].imagenet, config, Norm(), "symmetric")
    words = ("model.backbone.weights: ", "mobilenet_v2", "keras.applications.MobileNetV2", "no route", "null")
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "resnet18", "weights": "imagenet"}, "no ImageNet weights for resnet18, found 'imagenet'"),
        ({**RESNET50, "stem": "beta"}, "weights imagenet of resnet50 need stem: plain, found beta"),
        ({**RESNET50, "max_pool": False}, "weights imagenet of resnet50 need max_pool: true, found false"),
        ({**MOBILENET_V3, "gate": "sigmoid"}, "mobilenet_v3_small need gate: hard_sigmoid, found sigmoid"),
        ({**MOBILENET_V2, "padding": "symmetric"}, "mobilenet_v2 need padding: same, found symmetric"),
        ({**MOBILENET_V2, "width_multiplier": 0.4}, r"width_multiplier: one of 0.35, .*1.4, found 0.4"),
        ({**MOBILENET_V2, "weights": "coco"}, r"backbone.weights: .*imagenet.*found 'coco'"),
    ],
)
def test_a_network_without_such_weights_is_refused_by_name(settings, words):
    with pytest.raises(InputError, match=words):
        validate(BACKBONES[settings["name"]].config, settings, "run.yaml", "model.backbone")
