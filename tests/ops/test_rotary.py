"""Rotary positions."""

import numpy as np

from tfpanoptic.layers.rotary_positions import RotaryPositions
from tfpanoptic.ops.rotary import rotary_angles, rotate


def test_angles_of_a_grid():
    """Y of row 0 of 10 is -0.9; f_0 is 1, f_1 of 16 is 0.749894, f_15 is 0.0133352."""
    angles = np.asarray(rotary_angles((10, 5), 64, np.ones(1, "float32")))[0].reshape(10, 5, 64)
    turn = 2 * np.pi
    np.testing.assert_allclose(angles[0, 0, [0, 1, 15]], -0.9 * turn * np.array([1, 0.749894, 0.0133352]), rtol=1e-5)
    np.testing.assert_allclose(angles[0, 4, 16], 0.8 * turn, rtol=1e-6)
    np.testing.assert_array_equal(angles[..., :32], angles[..., 32:])


def test_a_quarter_turn_exchanges_the_halves():
    """(a, b) becomes (-b, a)."""
    x = np.arange(4, dtype="float32").reshape(1, 1, 1, 4)
    turned = rotate(x, np.zeros((1, 1, 4), "float32"), np.ones((1, 1, 4), "float32"))
    np.testing.assert_array_equal(np.asarray(turned).ravel(), [-2, -3, 0, 1])


def test_products_of_turned_heads_depend_on_the_distance_alone():
    """Queries and keys in neighbouring patches, at two places of a row."""
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 1, 1, 1, 16)).astype("float32")
    angles = np.asarray(rotary_angles((1, 6), 16, np.ones(1, "float32")))
    cos, sin = np.cos(angles), np.sin(angles)

    def product(first, second):
        ends = (rotate(x, cos[:, i : i + 1], sin[:, i : i + 1]) for x, i in ((query, first), (key, second)))
        return float(np.sum(np.prod([np.asarray(end) for end in ends], axis=0)))

    np.testing.assert_allclose(product(0, 1), product(4, 5), rtol=1e-4)
    assert abs(product(0, 1) - product(0, 3)) > 1e-2


def test_places_are_rescaled_in_training_by_a_factor_of_the_image():
    """Between 1/2 and 2, one for each image; angles of patches at x = -0.5 and 0.5 with f_0."""
    layer = RotaryPositions(4, rescale=2.0)
    patches = np.zeros((200, 1, 2, 3), "float32")
    seed = np.stack([np.arange(200), np.zeros(200)], 1).astype("int32")
    cos, sin = (np.asarray(layer(patches, seed, training=True))[:, part, 1, 1] for part in (0, 1))
    factor = np.unwrap(np.arctan2(sin, cos)) % (2 * np.pi) / np.pi
    assert factor.min() > 0.49 and factor.max() < 2.01 and len(np.unique(factor)) > 150
    assert abs(np.log2(factor).mean()) < 0.15
    still = np.asarray(layer(patches, seed, training=False))
    np.testing.assert_array_equal(still, np.asarray(layer(patches)))
