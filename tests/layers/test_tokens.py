"""Tokens of patches and queries."""

import numpy as np
import pytest

from tfpanoptic.layers.tokens import FirstTokens, PatchGrid, PatchTokens, QueryTokens

PATCHES = np.arange(2 * 2 * 3 * 4, dtype="float32").reshape(2, 2, 3, 4)


def test_class_and_registers_come_before_the_patches_row_by_row():
    layer = PatchTokens()
    tokens = np.asarray(layer(PATCHES))
    assert tokens.shape == (2, 5 + 6, 4) and layer.register_tokens.shape == (1, 4, 4)
    np.testing.assert_array_equal(tokens[:, 5:], PATCHES.reshape(2, 6, 4))
    np.testing.assert_array_equal(tokens[0, :5], tokens[1, :5])


def test_positions_are_added_to_the_patches_alone():
    layer = PatchTokens(positions=(2, 3))
    tokens = np.asarray(layer(np.zeros_like(PATCHES)))
    np.testing.assert_array_equal(tokens[0, 5:], layer.positions)
    np.testing.assert_array_equal(tokens[0, :1], layer.class_token[0])


def test_queries_come_before_all_others_and_are_those_of_every_image():
    layer = QueryTokens(3)
    tokens = np.asarray(layer(PATCHES.reshape(2, 6, 4)))
    np.testing.assert_array_equal(tokens[0, :3], layer.table)
    np.testing.assert_array_equal(tokens[1, :3], layer.table)
    np.testing.assert_array_equal(tokens[:, 3:], PATCHES.reshape(2, 6, 4))
    np.testing.assert_array_equal(FirstTokens(3)(tokens)[1], layer.table)


def test_the_last_tokens_are_the_grid_of_patches_again():
    tokens = PatchTokens()(PATCHES)
    np.testing.assert_array_equal(PatchGrid()(QueryTokens(3)(tokens), PATCHES), PATCHES)


@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
def test_a_constant_table_is_constant_on_any_grid(size):
    layer = PatchTokens(positions=(2, 3))
    layer.build((1, 2, 3, 4))
    layer.positions.assign(np.full((6, 4), 7.0))
    np.testing.assert_allclose(layer(np.zeros((1, *size, 4), "float32"))[0, 5:], 7.0, rtol=1e-5)
