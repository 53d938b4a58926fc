"""EoMT against the original: networks in both attention modes."""

import numpy as np
import pytest

from tests.models.eomt_reference import NAMES, config, described, inputs, networks, outputs
from tfpanoptic.errors import InputError
from tfpanoptic.layers.query_mask import QueryMask
from tfpanoptic.models.eomt import EoMTConfig
from tfpanoptic.settings.config import validate

TINY = ("tiny_dinov2", "tiny_dinov3")
# Of an array's deviation. Float32 of other programs: ours are within 7.2e-6 on TensorFlow, 8.8e-6 on JAX.
TOLERANCE = 2e-5


def assert_close(found, expected):
    found = np.asarray(found)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < TOLERANCE * expected.std()


def channels_first(maps, name, pixel):
    """[B, h, w, Q] as the fixture has it, [B, q, y, x], every few queries and pixels."""
    strides = described(name)["strides"]
    every = strides[pixel]
    return np.asarray(maps).transpose(0, 3, 1, 2)[:, :: strides["query"], ::every, ::every]


def some_queries(logits, name):
    return np.asarray(logits)[:, :: described(name)["strides"]["query"]]


@pytest.mark.parametrize("name", NAMES)
def test_inference_is_the_originals(name):
    found, expected = networks(name).infer(inputs(name)), outputs(name)
    assert networks(name).infer.count_params() == described(name)["parameters"]
    assert_close(some_queries(found["class_logits"], name), expected["inference/class_logits"])
    assert_close(channels_first(found["mask_logits"], name, "pixel"), expected["inference/mask_logits"])


@pytest.mark.parametrize("name", NAMES)
def test_predictions_and_masks_of_masked_attention_are_the_originals(name):
    given, expected = inputs(name, training=True), outputs(name)
    found = networks(name).train(given, training=True)
    fixture = described(name)
    patches = np.zeros((fixture["batch"], fixture["height"] // 16, fixture["width"] // 16, 1), "float32")
    for place in range(fixture["query_blocks"] + 1):
        last = place == fixture["query_blocks"]
        classes, masks = (found[key if last else f"{key}_{place}"] for key in ("class_logits", "mask_logits"))
        assert_close(some_queries(classes, name), expected[f"masked/class_logits/{place}"])
        assert_close(channels_first(masks, name, "masked_pixel"), expected[f"masked/mask_logits/{place}"])
        if not last:
            visible = QueryMask(10, 20)(masks, patches, given["seed"], given["step"], training=True)
            np.testing.assert_array_equal(some_queries(visible, name), expected[f"masked/attention/{place}"])


@pytest.mark.parametrize("name", TINY)
def test_tokens_on_the_way_are_the_originals(name):
    network, expected = networks(name).infer, outputs(name)
    given = inputs(name)
    patches = network.get_layer("patch_embedding")(network.get_layer("normalize")(given["image"], given["valid_size"]))
    rotary = network.get_layer("rotary")(patches) if "dinov3" in name else None
    tokens = network.get_layer("tokens")(patches)
    assert_close(tokens, expected["inference/tokens/embedding"])
    for block in range(6):
        if block == 3:
            assert_close(tokens, expected["inference/tokens/before_queries"])
            tokens = network.get_layer("queries")(tokens)
        tokens = network.get_layer(f"block{block}")(tokens, rotary)
        if block == 0:
            assert_close(tokens, expected["inference/tokens/block_1"])
        if block == 3:
            assert_close(tokens, expected["inference/tokens/first_with_queries"])
    tokens = network.get_layer("final_norm")(tokens)
    assert_close(tokens, expected["inference/tokens/final"])
    assert_close(network.get_layer("mask_head")(tokens[:, :20]), expected["inference/mask_head"])
    features = network.get_layer("patch_grid")(tokens, patches)
    for number in (1, 2):
        features = network.get_layer(f"upscale{number}")(features)
        stored = expected[f"inference/upscale_{number}"]
        every = features.shape[1] // stored.shape[1]
        assert_close(features[:1, ::every, ::every], stored)


@pytest.mark.parametrize("name", TINY)
def test_outside_training_no_attention_is_masked(name):
    given = inputs(name, training=True)
    found = networks(name).train(given, training=False)
    expected = networks(name).infer(inputs(name))
    for head in ("class_logits", "mask_logits"):
        np.testing.assert_allclose(found[head], expected[head], atol=2e-4)


def test_parameters_of_the_published_sizes():
    """Those of the original's models for COCO at 640; Q 200, K 133, computed from their configurations."""
    from tests.models.detectron2_reference import CATEGORIES
    from tfpanoptic.models.eomt import build

    for size, form, count in (("vit_tiny", "dinov2", 6_274_118), ("vit_small", "dinov3", 23_356_934)):
        made = EoMTConfig.model_validate({"backbone": {"name": size, "form": form}})
        assert build(made, CATEGORIES).infer.count_params() == count


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backbone": {"name": "vit_small", "heads": 5}}, "a multiple of the 5 heads, found 384"),
        ({"backbone": {"name": "vit_small", "form": "dinov3", "width": 60, "heads": 6}}, "multiple of 4 channels"),
        ({"backbone": {"name": "vit_small", "positions": [0, 4]}}, "two positive numbers"),
        ({"query_blocks": 13}, "at most the 12 blocks of the backbone, found 13"),
        ({"masked_attention": {"steps": 100, "starts": [1]}}, "expected steps, or starts and ends"),
        ({"masked_attention": {"starts": [1, 2, 9], "ends": [4, 5, 9]}}, "found 9 to 9"),
        ({"masked_attention": {"starts": [1, 2], "ends": [4, 5]}}, "a step for each of 3 query blocks, found 2"),
        ({"masked_attention": {"steps": 4}}, "masked_attention.steps: 3 query blocks need at least 5 steps, got 4"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, words):
    with pytest.raises(InputError, match=words):
        validate(EoMTConfig, {"backbone": {"name": "vit_small"}, **settings}, "eomt.yaml")


def test_positions_of_another_grid_are_resized():
    """An input of 96 x 128 for a table of 10 x 10 patches: as TensorFlow resizes it, which follows Pillow."""
    import tensorflow as tf

    network = networks("tiny_dinov2").infer
    table = network.get_layer("tokens").positions
    expected = tf.image.resize(tf.reshape(table, (10, 10, -1)), (6, 8), "bicubic", antialias=True)
    patches = np.zeros((1, 6, 8, 64), "float32")
    found = network.get_layer("tokens")(patches)[0, 5:]
    np.testing.assert_allclose(found, tf.reshape(expected, (48, -1)), atol=1e-5)


def test_masks_go_one_block_after_the_other():
    masked = {"steps": 50}
    made = EoMTConfig.model_validate({"backbone": {"name": "vit_small"}, "masked_attention": masked})
    assert made.annealing == ((10, 20), (20, 30), (30, 40))
    assert config("tiny_dinov2").annealing == ((10, 20),) * 3


def test_merging_at_the_files_size_enlarges_logits_before_the_queries_compete():
    """As published: enlarge to the canvas, cut the padding off, resize to the photo, and only then compare."""
    import tensorflow as tf

    from tests.architectures.experiments import experiment, finding
    from tfpanoptic.experiment import Experiment
    from tfpanoptic.segmenter import PanopticSegmenter

    model = finding("eomt")
    settings = experiment("eomt").to_dict()
    settings["input"] = {"long_side": 64}
    settings["model"]["postprocess"] = {"score": 0.05, "mask_threshold": 0.4, "overlap": 0.0, "merge_at": "file"}
    fine = PanopticSegmenter(Experiment.from_dict(settings), model.categories)
    fine.set_weights(model.get_weights())
    photo = np.random.default_rng(3).integers(0, 256, (150, 90, 3)).astype(np.uint8)  # 64 x 38 of a canvas of 64 x 48
    segments = fine.segment_map(photo)
    found = sum((segments.ids == row["id"]) * row["category"] for row in segments.segments)

    image = np.zeros((1, 64, 48, 3), "float32")
    image[0, :, :38] = tf.image.resize(photo, (64, 38))
    outputs = fine.infer_network({"image": image, "valid_size": np.array([[64, 38]], np.int32)})
    logits = tf.image.resize(tf.image.resize(outputs["mask_logits"], (64, 48))[:, :, :38], (150, 90))
    masks, classes = tf.sigmoid(logits)[0].numpy(), tf.nn.softmax(outputs["class_logits"])[0].numpy()
    category = np.array(fine.channels["class_logits"])[classes.argmax(-1)]
    score = np.where((category > 0) & (classes.max(-1) > 0.05), classes.max(-1), 0)
    winner = (masks * score).argmax(-1)
    mask = np.take_along_axis(masks, winner[..., None], -1)[..., 0]
    expected = np.where((mask >= 0.4) & (score[winner] > 0), category[winner], 0)
    assert len(np.unique(expected)) > 1
    assert (found == expected).mean() > 0.999
