"""The loss of EoMT and its gradients against the original: a whole training step, with given points."""

import numpy as np
import pytest
import tensorflow as tf

from tests.losses.mask_loss_cases import (
    IMPORTANCE,
    NETWORKS,
    NO_OBJECT_WEIGHT,
    OVERSAMPLE,
    PLACES,
    channels_of,
    targets_of_network,
)
from tests.models.eomt_reference import described, inputs, networks, recipe
from tfpanoptic.convert.eomt import load_variables
from tfpanoptic.losses.mask_classification import loss_at_points, mask_classification_counts
from tfpanoptic.losses.uncertain_points import given_points, point_counts

WEIGHTS = {"class": 2.0, "mask": 5.0, "dice": 5.0}


def points_of_pairs(drawn, matches):
    """[2 * PLACES, 2, n]: those of each pair, which the reference drew in the order of images and queries."""
    points = np.concatenate([drawn["oversampled"], drawn["random"]], axis=1).transpose(0, 2, 1)
    places = [b * PLACES + target for b, of_image in enumerate(matches) for target in of_image["target"]]
    given = np.zeros((2 * PLACES, *points.shape[1:]), "float32")
    given[places] = points
    return given


@pytest.fixture(scope="module", params=NETWORKS)
def step(request):
    """The loss of the masked run, its terms, and the gradient of each variable."""
    name = request.param
    fixture, targets = described(name), targets_of_network(name)
    expected = fixture["loss"]
    pairs = int((targets["segment_category"] > 0).sum())
    drawn = recipe.points(expected["point_seed"], 2, pairs, expected["points"], 4)
    network = networks(name).train
    with tf.GradientTape() as tape:
        outputs = network(inputs(name, training=True), training=True)
        terms = loss_at_points(
            outputs,
            targets,
            channels_of(fixture["classes"]),
            [of_one["matcher"].transpose(0, 2, 1) for of_one in drawn],
            given_points,
            [points_of_pairs(*both) for both in zip(drawn, expected["matches"], strict=True)],
            point_counts(expected["points"], OVERSAMPLE, IMPORTANCE),
            NO_OBJECT_WEIGHT,
        )
        counts = mask_classification_counts(targets, fixture["queries"], NO_OBJECT_WEIGHT)
        shares = {key: tf.reduce_sum(terms[key]) / tf.reduce_sum(counts[key]) for key in WEIGHTS}
        total = sum(WEIGHTS[key] * share for key, share in shares.items())
    variables = network.trainable_variables
    gradients = dict(zip([v.path for v in variables], tape.gradient(total, variables), strict=True))
    return name, shares, total, gradients


def test_terms_and_their_sum_are_the_originals(step):
    name, shares, total, _ = step
    expected = described(name)["loss"]
    assert float(total) == pytest.approx(expected["total"], rel=1e-5)
    for ours, theirs in (("class", "loss_cross_entropy"), ("mask", "loss_mask"), ("dice", "loss_dice")):
        assert float(shares[ours]) == pytest.approx(sum(terms[theirs] for terms in expected["terms"]), rel=1e-5), ours


def test_norms_of_the_gradients_are_the_originals(step):
    """The names are found by the values: a converter takes each array once, so the norms of one are those of one."""
    name, _, _, gradients = step
    norms = described(name)["gradient_norms"]
    found = {path: float(tf.norm(gradient)) for path, gradient in gradients.items()}
    checked = 0
    for path, theirs in names_of(name).items():
        if not theirs.endswith("k_proj.bias"):  # zero but for rounding: it cancels in the softmax
            assert found[path] == pytest.approx(norms[theirs], rel=1e-4), path
            checked += 1
    assert checked == len([key for key in norms if not key.endswith("k_proj.bias")])


def names_of(name):
    """Path of ours -> name of the fixture, by what the converter does with arrays of one value each."""
    from tests.models.eomt_reference import categories, config
    from tfpanoptic.models.eomt import build

    made = build(config(name), categories(name)).train
    entries = described(name)["variables"]
    load_variables(made, {e["name"]: np.full(e["shape"], number, "float32") for number, e in enumerate(entries)})
    return {weight.path: entries[int(np.asarray(weight).flat[0])]["name"] for weight in made.weights}
