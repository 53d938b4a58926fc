"""A training step of Panoptic FPN against Detectron2, on its samples."""

import json
import zlib
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

from tests.models.detectron2_reference import CATEGORIES, CONFIG, TRAINING, XY, image, networks, trunk
from tfpanoptic.convert.detectron2 import detectron2_name
from tfpanoptic.layers.box_head import DELTA_WEIGHTS
from tfpanoptic.layers.rpn import anchors_of_levels, flattened, rows_at, target_deltas
from tfpanoptic.losses.detection import anchor_terms, mask_term, region_terms
from tfpanoptic.losses.shares import weighted_shares
from tfpanoptic.models import mask_rcnn, panoptic_fpn
from tfpanoptic.ops.channels import class_index
from tfpanoptic.ops.lowest import LOWEST
from tfpanoptic.ops.mask_targets import mask_targets
from tfpanoptic.ops.regions import match_anchors, match_regions
from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.train.updates import Updates

SIZES = ((224, 288), (200, 250))
# Places for the true boxes of an image, and for its foreground regions.
PLACES, FOREGROUND = 8, 40
EXPECTED = np.load(TRAINING / "outputs.npz")
FIXTURE = json.loads((TRAINING / "fixture.json").read_text())
VARIANTS = {"all": 20_000, "default": 256}
NAMES = {
    "semantic": "loss_sem_seg",
    "anchor_class": "loss_rpn_cls",
    "anchor_box": "loss_rpn_loc",
    "region_class": "loss_cls",
    "region_box": "loss_box_reg",
    "mask": "loss_mask",
}
FROZEN = ("stem/", "stage2_")


def padded(arrays, fill=0):
    """Arrays of different lengths, stacked along a new first axis."""
    longest = max(len(array) for array in arrays)
    pads = [((0, longest - len(array)),) + ((0, 0),) * (array.ndim - 1) for array in arrays]
    return np.stack([np.pad(array, pad, constant_values=fill) for array, pad in zip(arrays, pads, strict=True)])


def of_both(key):
    return [EXPECTED[key.format(i)] for i in range(2)]


@cache
def truth():
    """Boxes, categories and semantic channels of both images, padded."""
    boxes = padded([boxes[:, XY] for boxes in of_both("truth/{}/boxes")])
    category = padded([np.array(CATEGORIES.thing_ids, "int32")[classes] for classes in of_both("truth/{}/classes")])
    semantic = np.full((2, *SIZES[0]), -1, "int32")
    for i, channel in enumerate(of_both("truth/{}/sem_seg")):
        semantic[i, : channel.shape[0], : channel.shape[1]] = np.where(channel == 255, -1, channel.astype("int32"))
    return boxes, category, semantic


@cache
def sample(variant):
    """The fixture's sample in the form of `SampleAnchors` and `SampleRegions`."""
    if variant == "all":
        labels = of_both("rpn/{}/match_labels")
        positive, negative = ([np.flatnonzero(label == value) for label in labels] for value in (1, 0))
    else:
        positive, negative = of_both("default/rpn/{}/positive"), of_both("default/rpn/{}/negative")
    both = [np.concatenate(pair) for pair in zip(positive, negative, strict=True)]
    ones = [np.repeat([1, 0], [len(p), len(n)]) for p, n in zip(positive, negative, strict=True)]
    classes = of_both(f"{variant}/roi/{{}}/classes")
    things = np.array((*CATEGORIES.thing_ids, 0), "int32")
    return {
        "anchor_index": padded(both).astype("int32"),
        "anchor_label": padded(ones, fill=-1).astype("int32"),
        "regions": padded([boxes[:, XY] for boxes in of_both(f"{variant}/roi/{{}}/boxes")]),
        "region_category": padded([things[index] for index in classes], fill=-1),
        "region_place": padded([place.astype("int32") for place in of_both(f"{variant}/roi/{{}}/matched_gt")]),
    }


@cache
def true_masks(variant):
    """Mask targets [2, FOREGROUND, 28, 28]: masks overlap, so each instance has a map of its own."""
    chosen = sample(variant)
    targets = np.zeros((2, FOREGROUND, 28, 28), "float32")
    for i, masks in enumerate(of_both("truth/{}/masks")):
        category, place = (chosen[name][i, :FOREGROUND] for name in ("region_category", "region_place"))
        for number, mask in enumerate(masks):
            rows = np.flatnonzero((category > 0) & (place == number))
            if len(rows):
                ones = np.ones((1, len(rows)), "int32")
                made = mask_targets(mask.astype("int32")[None], chosen["regions"][i, rows][None], ones, 28)
                targets[i, rows] = made[0]
    return targets


@cache
def network():
    return networks().train


def images():
    both = [image(seed, *size) for seed, size in zip((7, 8), SIZES, strict=True)]
    whole = [np.pad(x, ((0, 224 - x.shape[0]), (0, 288 - x.shape[1]), (0, 0))) for x in both]
    return {"image": np.stack(whole), "valid_size": np.array(SIZES, "int32")}


def outputs(model, variant):
    """Outputs of the train network with the fixture's samples in place of random ones."""
    boxes, _, _ = truth()
    chosen = sample(variant)
    features = trunk(model)(images())
    levels = features["levels"]
    logits, deltas = model.get_layer("rpn")(levels)
    anchors = tf.concat(anchors_of_levels(logits, mask_rcnn.STRIDES, *anchor_shapes()), 0)
    index, label = chosen["anchor_index"], chosen["anchor_label"]
    best = np.stack(of_both("rpn/{}/matched_gt")).astype("int32")
    category, place = chosen["region_category"], chosen["region_place"]
    own = np.tile(np.arange(place.shape[1], dtype="int32"), (2, 1))
    box_logits, box_deltas = model.get_layer("box_head")(levels[:4], chosen["regions"])
    foreground = class_index(category[:, :FOREGROUND], CATEGORIES.thing_ids)
    return {
        "semantic_logits": features["semantic"],
        "anchor_logits": tf.gather(tf.concat(flattened(logits, 1), 1), index, batch_dims=1),
        "anchor_deltas": rows_at(tf.concat(flattened(deltas, 4), 1), index),
        "anchor_targets": target_deltas(tf.gather(anchors, index), boxes, best, index, label > 0),
        "anchor_label": label,
        "regions": chosen["regions"],
        "region_targets": target_deltas(chosen["regions"], boxes, place, own, category > 0, DELTA_WEIGHTS),
        "region_category": category,
        "region_place": place,
        "box_logits": box_logits,
        "box_deltas": box_deltas,
        "mask_logits": model.get_layer("mask_head")(levels[:4], chosen["regions"][:, :FOREGROUND], foreground),
    }


def anchor_shapes():
    return CONFIG.instance.rpn.anchor_sizes, CONFIG.instance.rpn.anchor_ratios


def losses(model, variant):
    """The model's own losses, but for the masks, which overlap here."""
    found, semantic = outputs(model, variant), truth()[2]
    targets = {"semantic": semantic, "instance_map": np.zeros_like(semantic)}
    box_channels = mask_rcnn.channels(CATEGORIES)["box_logits"]
    terms = {
        **panoptic_fpn.loss({**found, "mask_logits": found["mask_logits"][:, :1]}, targets, CONFIG, CATEGORIES),
        **anchor_terms(found, VARIANTS[variant]),
        **region_terms(found, box_channels, CATEGORIES.thing_ids),
        "mask": mask_term(found["mask_logits"], true_masks(variant), found["region_category"][:, :FOREGROUND]),
    }
    counts = panoptic_fpn.ARCHITECTURE.all_counts(found, targets, CONFIG)
    return weighted_shares(terms, panoptic_fpn.loss_weights(CONFIG), counts)


def trained(model):
    return [weight for weight in model.trainable_weights if not weight.path.startswith(FROZEN)]


def in_their_layout(weight, array):
    """A gradient or a change of our weight as Detectron2 has it."""
    array = np.asarray(array, np.float64)
    if weight.path == "box_head/fc1/kernel":
        array = array.reshape(7, 7, 256, -1).transpose(3, 2, 0, 1).reshape(array.shape[1], -1)
    else:
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    if weight.path.split("/")[1] == "deltas":
        array = array.reshape(-1, 4, *array.shape[1:])[:, XY].reshape(array.shape)
    return array


def norm_and_product(weight, array):
    name = detectron2_name(weight.path)
    array = in_their_layout(weight, array)
    random = np.random.Generator(np.random.PCG64(zlib.crc32(f"gradient of {name}".encode())))
    return np.linalg.norm(array), float((array * random.standard_normal(array.shape)).sum())


@pytest.mark.parametrize("i", range(2))
def test_labels_of_the_anchors(i):
    boxes, category, _ = truth()
    logits, _ = network().get_layer("rpn")(trunk(network())(images())["levels"])
    anchors = tf.concat(anchors_of_levels(logits, mask_rcnn.STRIDES, *anchor_shapes()), 0)
    matches = match_anchors(anchors, boxes[i : i + 1], category[i : i + 1] > 0)
    label = np.where(matches.positive[0], 1, np.where(matches.negative[0], 0, -1))
    expected = EXPECTED[f"rpn/{i}/match_labels"]
    differing = set(np.flatnonzero(label != expected))
    assert differing <= set(EXPECTED[f"rpn/{i}/hinge_on_rounding"])
    positive = expected == 1
    np.testing.assert_array_equal(np.asarray(matches.place)[0][positive], EXPECTED[f"rpn/{i}/matched_gt"][positive])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("i", range(2))
def test_labels_of_the_regions(variant, i):
    """All proposals and true boxes are sampled in "all"; those of "default" are a part of them."""
    boxes, category, _ = truth()
    proposals = EXPECTED[f"{variant}/proposals/{i}/boxes"][:, XY]
    number = len(EXPECTED[f"truth/{i}/boxes"])
    candidates = np.concatenate([proposals, boxes[i, :number]])[None]
    matches = match_regions(candidates, np.ones(candidates.shape[:2], bool), boxes[i : i + 1], category[i : i + 1] > 0)
    index, classes = EXPECTED[f"{variant}/roi/{i}/index"], EXPECTED[f"{variant}/roi/{i}/classes"]
    np.testing.assert_array_equal(np.asarray(matches.positive)[0][index], classes < 80)
    np.testing.assert_array_equal(candidates[0, index], EXPECTED[f"{variant}/roi/{i}/boxes"][:, XY])
    foreground = index[classes < 80]
    expected = EXPECTED[f"{variant}/roi/{i}/matched_gt"][: len(foreground)]
    np.testing.assert_array_equal(np.asarray(matches.place)[0][foreground], expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_targets_of_anchors_regions_and_masks(variant):
    found = outputs(network(), variant)
    for i in range(2):
        positive = found["anchor_label"][i] == 1
        order = np.argsort(sample(variant)["anchor_index"][i][positive])
        ours = np.asarray(found["anchor_targets"])[i][positive][order]
        np.testing.assert_allclose(ours, EXPECTED[f"rpn/{i}/target_deltas"][:, XY], rtol=1e-4, atol=1e-5)
        said = np.asarray(found["anchor_deltas"])[i][positive][order]
        np.testing.assert_allclose(said, EXPECTED[f"rpn/{i}/deltas"][:, XY], atol=1e-4)
        foreground = found["region_category"][i] > 0
        ours = np.asarray(found["region_targets"])[i][foreground]
        expected = EXPECTED[f"{variant}/roi/{i}/target_deltas"][:, XY]
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    kept = found["region_category"][:, :FOREGROUND] > 0
    assert kept.sum() == (found["region_category"] > 0).sum()
    clear = ~EXPECTED[f"{variant}/mask/near_half"]
    np.testing.assert_array_equal(true_masks(variant)[kept][clear], EXPECTED[f"{variant}/mask/targets"][clear])
    if variant == "all":
        np.testing.assert_allclose(np.asarray(found["mask_logits"])[kept], EXPECTED["all/mask/logits"], atol=1e-3)


@pytest.mark.parametrize("variant", ["default", pytest.param("all", marks=pytest.mark.slow)])
def test_losses_and_gradients(variant):
    model = network()
    weights = trained(model)
    assert len(weights) == 107
    with tf.GradientTape() as tape:
        shares = losses(model, variant)
        total = sum(shares.values())
    for term, value in shares.items():
        assert float(value) == pytest.approx(FIXTURE["variants"][variant]["losses"][NAMES[term]], rel=1e-5), term
    gradients = tape.gradient(total, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        name = detectron2_name(weight.path)
        norm, product = FIXTURE["variants"][variant]["gradients"][name]
        ours = norm_and_product(weight, gradient)
        assert ours[0] == pytest.approx(norm, rel=1e-3), name
        assert abs(ours[1] - product) < 1e-2 * norm, name
        key = f"{variant}/gradient/{name}"
        if key in EXPECTED.files:
            flat = in_their_layout(weight, gradient).ravel()
            part = flat[:: max(1, flat.size // 200)][:256]
            np.testing.assert_allclose(part, EXPECTED[key], atol=2e-3 * np.abs(EXPECTED[key]).max(), err_msg=name)


@pytest.mark.slow
def test_losses_of_three_steps():
    model = networks().train
    config = TrainingConfig.model_validate(
        {
            "steps": 270_000,
            "optimizer": {
                "name": "sgd",
                "learning_rate": 0.02,
                "weight_decay": 1e-4,
                "decay": "coupled",
                "arithmetic": "pytorch",
                "groups": [
                    {"match": "/bias$", "weight_decay": True},
                    {"match": "^(stem|stage2)[/_]", "frozen": True},
                ],
            },
            "schedule": {
                "name": "step",
                "drop_steps": [210_000, 250_000],
                "warmup_steps": 1000,
                "warmup_fraction": 0.001,
                "warmup": "multiplies",
            },
        }
    )
    updates = Updates(config, model.trainable_variables)
    start = {weight.path: np.asarray(weight) for weight in model.trainable_weights}
    for step in FIXTURE["steps"]:
        with tf.GradientTape() as tape:
            shares = losses(model, "all")
            total = sum(shares.values())
        for term, value in shares.items():
            assert float(value) == pytest.approx(step["losses"][NAMES[term]], rel=1e-4), term
        for weight in trained(model):
            name = detectron2_name(weight.path)
            if name in step.get("moved", {}):
                norm, product = step["moved"][name]
                ours = norm_and_product(weight, np.asarray(weight) - start[weight.path])
                assert ours[0] == pytest.approx(norm, rel=0.02), name
                assert abs(ours[1] - product) < 0.02 * norm, name
        updates.apply(tape.gradient(total, updates.trained))


def test_the_samples_own_form_is_that_of_the_layers():
    """The fixture's samples stand where the layers' would: same names, types and order."""
    model, (boxes, category, _) = network(), truth()
    seed = np.array([[1, 2], [3, 4]], "int32")
    logits, deltas = model.get_layer("rpn")(trunk(model)(images())["levels"])
    anchors = model.get_layer("sample_anchors")(logits, deltas, boxes, category, seed)
    proposals = padded(of_both("default/proposals/{}/boxes"))[..., XY]
    scores = padded(of_both("default/proposals/{}/logits"), fill=LOWEST)
    regions = model.get_layer("sample_regions")(proposals, scores, boxes, category, seed)
    ours = outputs(model, "default")
    for name, value in {**anchors, **regions}.items():
        assert tuple(value.shape) == tuple(ours[name].shape), name
        assert np.asarray(value).dtype == np.asarray(ours[name]).dtype, name
    # As many of each kind as the fixture's own sampler takes.
    for name in ("anchor_label", "region_category"):
        found, expected = (np.sign(np.asarray(values[name])) for values in ({**anchors, **regions}, ours))
        np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(expected, axis=1))
