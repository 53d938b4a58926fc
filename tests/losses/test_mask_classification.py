import numpy as np
import pytest
import tensorflow as tf

from tests.losses.mask_loss_cases import (
    CASES,
    IMPORTANCE,
    NETWORKS,
    NO_OBJECT_WEIGHT,
    OVERSAMPLE,
    PLACES,
    case_of,
    channels_of,
    network_of,
    random_scene,
)
from tfpanoptic.losses.mask_classification import (
    loss_at_points,
    mask_classification_counts,
    mask_classification_loss,
    match,
    predictions_of,
)
from tfpanoptic.losses.uncertain_points import PointCounts, given_points, point_counts

CLASSES = 6


def at_points(case, outputs, counts):
    return loss_at_points(
        outputs,
        case["targets"],
        case["channels"],
        [case["for_matching"]],
        given_points,
        [case["of_pairs"]],
        counts,
        NO_OBJECT_WEIGHT,
    )


def means(terms, targets, queries):
    counts = mask_classification_counts(targets, queries, NO_OBJECT_WEIGHT)
    return {name: tf.reduce_sum(terms[name]) / tf.reduce_sum(counts[name]) for name in ("class", "mask", "dice")}


def pairs_by_query(query, matched):
    pairs = sorted((int(query[place]), place) for place in np.flatnonzero(matched))
    return {"query": [query for query, _ in pairs], "target": [place for _, place in pairs]}


def drawn(outputs, targets, points=40, predictions=2):
    return mask_classification_loss(outputs, targets, channels_of(CLASSES), predictions, points)


@pytest.mark.parametrize("name", CASES)
def test_terms_and_gradients_are_those_of_the_original(name):
    case = case_of(name)
    outputs = {key: tf.constant(value) for key, value in case["outputs"].items()}
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        terms = at_points(case, outputs, point_counts(case["points"], OVERSAMPLE, IMPORTANCE))
        found = means(terms, case["targets"], outputs["class_logits"].shape[1])
        total = 5 * found["mask"] + 5 * found["dice"] + 2 * found["class"]
    for term, value in case["terms"].items():
        np.testing.assert_allclose(found[term], value, rtol=1e-6)
    np.testing.assert_allclose(total, case["total"], rtol=1e-6)
    gradients = tape.gradient(total, outputs)
    for key, expected in case["gradients"].items():
        np.testing.assert_allclose(gradients[key], expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", [*CASES, *NETWORKS])
def test_pairs_are_those_of_the_original(name):
    case = case_of(name) if name in CASES else network_of(name)
    logits = predictions_of(case["outputs"], 1)
    query, matched = (
        part.numpy()[0] for part in match(logits, case["targets"], case["channels"], [case["for_matching"]])
    )
    assert [pairs_by_query(*pair) for pair in zip(query, matched)] == case["matches"]


@pytest.mark.parametrize("name", NETWORKS)
def test_terms_of_a_network_at_a_grid_of_points_are_those_of_the_original(name):
    case = network_of(name)
    terms = at_points(case, case["outputs"], PointCounts(0, 0, 56 * 56))
    found = means(terms, case["targets"], case["outputs"]["class_logits"].shape[1])
    for term, value in case["terms"].items():
        np.testing.assert_allclose(found[term], value, rtol=1e-5)


def test_counts_are_segments_and_weights_of_queries():
    targets = {"segment_category": np.array([[3, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], np.int32)}
    counts = mask_classification_counts(targets, 3, 0.1)
    assert counts["mask"].numpy().tolist() == counts["dice"].numpy().tolist() == [2, 0, 4]
    np.testing.assert_allclose(counts["class"], [2 + 0.1, 0.3, 3])


def test_the_loss_of_a_batch_is_the_losses_of_its_images():
    outputs, targets = random_scene(0)
    together = drawn(outputs, targets)
    for image in (0, 1):
        part = ({key: value[image : image + 1] for key, value in values.items()} for values in (outputs, targets))
        for term, value in drawn(*part).items():
            np.testing.assert_allclose(value[0], together[term][image], rtol=1e-5)


def test_every_prediction_adds_its_own_terms():
    outputs, targets = random_scene(1)
    earlier = {key.removesuffix("_0"): value for key, value in outputs.items() if key.endswith("_0")}
    random = np.random.default_rng(1)
    for_matching = random.uniform(size=(2, 2, 2, 40)).astype(np.float32)
    of_pairs = random.uniform(size=(2, 2 * PLACES, 2, 130)).astype(np.float32)

    def terms(outputs, predictions):
        points = [[values[number] for number in predictions] for values in (for_matching, of_pairs)]
        counts = point_counts(40, OVERSAMPLE, IMPORTANCE)
        return loss_at_points(
            outputs, targets, channels_of(CLASSES), points[0], given_points, points[1], counts, NO_OBJECT_WEIGHT
        )

    both, first, last = terms(outputs, [0, 1]), terms(earlier, [0]), terms(outputs, [1])
    for term, value in both.items():
        np.testing.assert_allclose(value, first[term] + last[term], rtol=1e-6)


def test_every_prediction_has_points_of_its_own():
    outputs, targets = random_scene(12)
    same = {key: outputs[key.removesuffix("_0")] for key in outputs}
    one, two = drawn(same, targets, predictions=1), drawn(same, targets)
    for term in ("mask", "dice"):
        assert np.all(np.abs(two[term] - 2 * one[term]) > 1e-4 * one[term])


def test_points_follow_from_the_seed():
    outputs, targets = random_scene(2)
    first, again = drawn(outputs, targets), drawn(outputs, targets)
    other = drawn(outputs, {**targets, "point_seed": targets["point_seed"] + 1})
    for term in ("mask", "dice"):
        np.testing.assert_array_equal(first[term], again[term])
        assert (first[term].numpy() != other[term].numpy()).all()


def test_empty_places_change_nothing_and_get_no_gradient():
    outputs, targets = random_scene(3)
    outputs = {key: tf.constant(value) for key, value in outputs.items()}

    def value_and_gradients(targets):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            terms = drawn(outputs, targets)
            total = sum(tf.reduce_sum(term) for term in terms.values())
        return terms, tape.gradient(total, outputs)

    category = targets["segment_category"]
    expected = value_and_gradients({**targets, "segment_category": category[:, :5]})
    # The numbers of the pairs' seeds are the same for the places that both have.
    found = value_and_gradients({**targets, "segment_category": np.pad(category, ((0, 0), (0, 20)))})
    for ours, theirs in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("counts", [(0, 4), (0, 0)])
def test_images_without_segments_teach_that_there_is_no_object(counts):
    outputs, targets = random_scene(4, counts)
    outputs = {key: tf.constant(value) for key, value in outputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        terms = drawn(outputs, targets)
        total = sum(tf.reduce_sum(term) for term in terms.values())
    gradients = tape.gradient(total, outputs)
    assert terms["mask"].numpy()[0] == terms["dice"].numpy()[0] == 0
    logits = np.stack([outputs[key].numpy()[0] for key in ("class_logits_0", "class_logits")]).astype(np.float64)
    entropy = np.log(np.exp(logits).sum(-1)) - logits[..., -1]
    np.testing.assert_allclose(terms["class"][0], NO_OBJECT_WEIGHT * entropy.sum(), rtol=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    assert not any(gradients[key].numpy()[0].any() for key in ("mask_logits", "mask_logits_0"))


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_extreme_logits_give_finite_terms_and_gradients(size):
    outputs, targets = random_scene(6)
    outputs = {key: tf.constant(size * np.sign(value)) for key, value in outputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        terms = drawn(outputs, targets)
        total = sum(tf.reduce_sum(term) for term in terms.values())
    assert all(np.isfinite(value).all() for value in terms.values())
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(total, outputs).values())


def test_the_perfect_answer_costs_nothing_but_what_is_blurred():
    _, targets = random_scene(7, (3, 2), queries=6)
    places = np.arange(1, 7)
    # Cells as large as the blocks of the map.
    masks = targets["segment_map"][:, 4::8, 4::8, None] == places
    category = np.pad(targets["segment_category"], ((0, 0), (0, 6)))[:, :6]
    channel = np.where(category > 0, category - 1, CLASSES)
    outputs = {
        "class_logits": 50.0 * np.eye(CLASSES + 1, dtype=np.float32)[channel],
        "mask_logits": np.where(masks.repeat(8, axis=1).repeat(8, axis=2), 50.0, -50.0).astype(np.float32),
    }
    terms = drawn(outputs, targets, points=400, predictions=1)
    assert terms["class"].numpy().max() < 1e-6
    # The uncertain points lie on the borders, where logits cross 0 within a pixel.
    found = means(terms, targets, 6)
    assert found["dice"] < 0.3
    wrong = {**outputs, "mask_logits": -outputs["mask_logits"]}
    worse = means(drawn(wrong, targets, points=400, predictions=1), targets, 6)
    assert worse["mask"] > 2 * found["mask"] and worse["dice"] > found["dice"]


MIXED = [pytest.param(xla, not xla, marks=pytest.mark.slow) for xla in (False, True)]


@pytest.mark.parametrize(("xla", "known"), [(False, False), (True, True), *MIXED])
def test_graphs_give_the_same_values_and_gradients(xla, known):
    outputs, targets = random_scene(8, predictions=1)

    def step(outputs, targets):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            terms = drawn(outputs, targets, predictions=1)
            total = sum(tf.reduce_sum(term) for term in terms.values())
        return terms, tape.gradient(total, outputs)

    batch = 2 if known else None
    signature = [
        {key: tf.TensorSpec([batch, *value.shape[1:]], value.dtype) for key, value in values.items()}
        for values in (outputs, targets)
    ]
    found = tf.function(step, input_signature=signature, jit_compile=xla)(outputs, targets)
    expected = step({key: tf.constant(value) for key, value in outputs.items()}, targets)
    for ours, theirs in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["two_images", pytest.param("more_targets_than_queries", marks=pytest.mark.slow)])
def test_programs_that_are_compiled_give_the_same_values_and_gradients(name, monkeypatch):
    monkeypatch.setattr("tfpanoptic.compiled.FEWEST", 0)
    test_terms_and_gradients_are_those_of_the_original(name)


def test_replicas_have_the_terms_of_their_images(two_replicas):
    outputs, targets = random_scene(11, predictions=1)
    expected = drawn(outputs, targets, predictions=1)
    parts = [
        tuple(
            {key: tf.constant(value[image : image + 1]) for key, value in values.items()}
            for values in (outputs, targets)
        )
        for image in (0, 1)
    ]
    given = two_replicas.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group]
    )
    found = two_replicas.run(tf.function(lambda part: drawn(*part, predictions=1)), args=(given,))
    for term, value in expected.items():
        np.testing.assert_allclose(tf.concat(two_replicas.experimental_local_results(found[term]), 0), value, rtol=1e-5)


def test_half_precision_outputs_give_float32_terms():
    outputs, targets = random_scene(9)
    halves = {key: tf.cast(value, tf.bfloat16) for key, value in outputs.items()}
    terms = drawn(halves, targets)
    expected = drawn({key: tf.cast(value, tf.float32) for key, value in halves.items()}, targets)
    for term, value in terms.items():
        assert value.dtype == tf.float32
        np.testing.assert_array_equal(value, expected[term])


def test_channels_that_do_not_fit_are_named():
    outputs, targets = random_scene(10)
    with pytest.raises(ValueError, match="channels name 3 categories"):
        mask_classification_loss(outputs, targets, (1, 2, 0), 2, 40)
    with pytest.raises(ValueError, match="a 0 for no object"):
        mask_classification_loss(outputs, targets, tuple(range(1, CLASSES + 2)), 2, 40)
    with pytest.raises(ValueError, match="importance"):
        point_counts(40, 0.5, 0.75)
