import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.resize import nearest_to_size, resize_bilinear, resize_bilinear_part


def row(values):
    return np.asarray(values, "float32").reshape(1, 1, -1, 1)


def test_aligned_corners_keep_the_ends_and_divide_the_rest_evenly():
    # Cells at i * (2 - 1) / (4 - 1) = 0, 1/3, 2/3, 1 of the old grid.
    np.testing.assert_allclose(resize_bilinear(row([0, 3]), (1, 4), True)[0, 0, :, 0], [0, 1, 2, 3], atol=1e-6)


def test_half_pixel_centres_repeat_the_ends():
    # Cells at (i + 0.5) / 2 - 0.5 = -0.25, 0.25, 0.75, 1.25 of the old grid, cut to 0..1.
    np.testing.assert_allclose(resize_bilinear(row([0, 3]), (1, 4), False)[0, 0, :, 0], [0, 0.75, 2.25, 3], atol=1e-6)


@pytest.mark.parametrize("align_corners", [True, False])
def test_a_single_cell_fills_any_size(align_corners):
    filled = resize_bilinear(np.full((2, 1, 1, 3), 5.0, "float32"), (4, 6), align_corners)
    np.testing.assert_array_equal(filled, np.full((2, 4, 6, 3), 5.0))


def test_sizes_may_be_known_only_at_run_time():
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1]), tf.TensorSpec([2], tf.int32)])
    def resize(x, size):
        return resize_bilinear(x, (size[0], size[1]), True)

    np.testing.assert_allclose(resize(row([0, 3]), [2, 4])[0, 1, :, 0], [0, 1, 2, 3], atol=1e-6)


def test_a_part_is_resized_as_if_it_were_all():
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
    expected = resize_bilinear(x[:, :3, :5], (6, 4), False)
    np.testing.assert_array_equal(resize_bilinear_part(x, (3, 5), (6, 4)), expected)


def test_bfloat16_maps_stay_bfloat16():
    assert resize_bilinear(tf.zeros([1, 2, 2, 1], tf.bfloat16), (3, 3), True).dtype == tf.bfloat16


def test_nearest_with_aligned_corners_rounds_halves_up():
    # i * (3 - 1) / (5 - 1) = 0, 0.5, 1, 1.5, 2.
    maps = np.array([[[7, 8, 9]]], "int32")
    np.testing.assert_array_equal(nearest_to_size(maps, (1, 3), (1, 5), True), [[[7, 8, 8, 9, 9]]])


def test_nearest_with_half_pixel_centres_rounds_down():
    # (i + 0.5) * 2 / 3 = 0.33, 1, 1.67.
    maps = np.array([[[7, 8]]], "int32")
    np.testing.assert_array_equal(nearest_to_size(maps, (1, 2), (1, 3), False), [[[7, 8, 8]]])


@pytest.mark.parametrize("align_corners", [True, False])
def test_nearest_to_the_valid_size_cuts_the_padding_off(align_corners):
    maps = np.arange(24, dtype="int32").reshape(1, 4, 6)
    np.testing.assert_array_equal(nearest_to_size(maps, (3, 5), (3, 5), align_corners), maps[:, :3, :5])


@pytest.mark.parametrize("align_corners", [True, False])
def test_nearest_never_reads_the_padding(align_corners):
    maps = np.full((1, 9, 9), -1, "int32")
    maps[:, :4, :7] = 1
    for size in [(1, 1), (3, 20), (50, 2), (13, 13)]:
        assert (np.asarray(nearest_to_size(maps, (4, 7), size, align_corners)) == 1).all()


def test_nearest_sizes_may_be_known_only_at_run_time():
    @tf.function(input_signature=[tf.TensorSpec([None, None, None], tf.int32), tf.TensorSpec([4], tf.int32)])
    def enlarge(maps, sizes):
        return nearest_to_size(maps, (sizes[0], sizes[1]), (sizes[2], sizes[3]), True)

    # 2 -> 4 cells: round(0, 1/3, 2/3, 1).
    np.testing.assert_array_equal(enlarge([[[7, 8]]], [1, 2, 1, 4]), [[[7, 7, 8, 8]]])
