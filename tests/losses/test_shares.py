import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.losses.shares import weighted_shares

TERMS = {"a": tf.constant([1.0, 3.0]), "b": tf.constant([6.0, 4.0])}
WEIGHTS = {"a": 2.0, "b": 0.5}


def values(shares):
    return {name: float(share) for name, share in shares.items()}


def test_without_counts_terms_are_averaged_over_the_images():
    # 2 * (1 + 3) / 2 and 0.5 * (6 + 4) / 2.
    assert values(weighted_shares(TERMS, WEIGHTS, {})) == {"a": 4.0, "b": 2.5}


def test_a_term_is_divided_by_the_sum_of_its_own_counts():
    # 0.5 * (6 + 4) / (1 + 4); the other term is as before.
    assert values(weighted_shares(TERMS, WEIGHTS, {"b": tf.constant([1.0, 4.0])})) == {"a": 4.0, "b": 1.0}


def test_a_term_without_anything_to_count_is_0():
    shares = weighted_shares({"a": tf.zeros(2)}, {"a": 1.0}, {"a": tf.zeros(2)})
    assert values(shares) == {"a": 0.0}


def test_the_shares_of_parts_add_up_where_counts_and_images_are_those_of_the_batch():
    # (1 + 3) / 2 by images and (6 + 4) / (1 + 4) by counts, in two parts of an image.
    counts, images = {"b": tf.constant([1.0, 4.0])}, tf.ones(2)
    parts = [{name: term[i : i + 1] for name, term in TERMS.items()} for i in (0, 1)]
    first, second = (values(weighted_shares(part, {"a": 1.0, "b": 1.0}, counts, images)) for part in parts)
    assert first == pytest.approx({"a": 0.5, "b": 1.2}) and second == pytest.approx({"a": 1.5, "b": 0.8})


def test_counts_have_no_gradient():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        share = weighted_shares({"a": x}, {"a": 1.0}, {"a": x})["a"]
    # x / 3 with the 3 held fast.
    np.testing.assert_allclose(tape.gradient(share, x), [1 / 3, 1 / 3], rtol=1e-6)


def test_replicas_divide_by_the_counts_of_the_global_batch(two_replicas):
    """Images with terms 1, 3 | 5, 7 and counts 1, 1 | 2, 4: shares 4 / 8 and 12 / 8."""
    data = [(tf.constant([1.0, 3.0]), tf.constant([1.0, 1.0])), (tf.constant([5.0, 7.0]), tf.constant([2.0, 4.0]))]
    parts = two_replicas.experimental_distribute_values_from_function(lambda c: data[c.replica_id_in_sync_group])

    @tf.function
    def run(parts):
        return two_replicas.run(lambda part: weighted_shares({"a": part[0]}, {"a": 1.0}, {"a": part[1]})["a"], (parts,))

    shares = [float(share) for share in two_replicas.experimental_local_results(run(parts))]
    assert shares == pytest.approx([0.5, 1.5])
