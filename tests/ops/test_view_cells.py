import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.resize import interpolate_lines
from tfpanoptic.ops.view_cells import View, on_cells_of

STRIDE = 4


def cells(side, align_corners):
    """Cells of a head along an input of k * 4, or k * 4 + 1 with aligned corners."""
    return (side - 1) // STRIDE + 1 if align_corners else side // STRIDE


def centers(count, align_corners):
    """The pixel at the middle of each cell: the first of 4, or between the second and the third."""
    return np.arange(count) * STRIDE + (0 if align_corners else 1.5)


def slow_line(values, view, reference, mirrored, align_corners):
    """Values `[n]` of a line of the view on the cells of the reference, pixel by pixel as the rules are written.

    Args:
        view, reference: (side of the input, side of the image).
    """
    (_, valid), (other_size, other_valid) = view, reference
    places = centers(len(values), align_corners)
    # Up to the first cell on or behind the last pixel; or the cells with a pixel of the image.
    needed = sum(places < valid - 1) + 1 if align_corners else sum(places - 1.5 < valid)
    found = []
    for place in centers(cells(other_size, align_corners), align_corners):
        if align_corners:
            pixel = place * (valid - 1) / max(other_valid - 1, 1)
        else:
            pixel = (place + 0.5) * valid / other_valid - 0.5
        pixel = valid - 1 - pixel if mirrored else pixel
        found.append(np.interp(pixel, places[:needed], values[:needed]))
    return np.array(found)


SIDES = [
    # (input, image) of the view and of the reference, without the pixel more of aligned corners.
    ((16, 16), (16, 16)),
    ((16, 13), (16, 13)),
    ((16, 10), (16, 10)),
    ((12, 11), (20, 18)),
    ((28, 25), (16, 14)),
    ((32, 17), (16, 9)),  # padded to more than the image needs
    ((8, 1), (8, 2)),
]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("view", "reference"), SIDES)
def test_columns_are_read_where_a_slow_reading_finds_them(view, reference, mirrored, align_corners):
    extra = int(align_corners)
    (size, valid), (other_size, other_valid) = ((a + extra, b) for a, b in (view, reference))
    rows = cells(8 + extra, align_corners)
    maps = np.random.default_rng(0).normal(size=(2, rows, cells(size, align_corners), 3)).astype(np.float32)
    height = (8 + extra, 7)  # the same in both, so that rows stay where they are
    found = on_cells_of(
        maps,
        View((height[0], size), (height[1], valid), mirrored),
        View((height[0], other_size), (height[1], other_valid)),
        align_corners,
        plus_one=align_corners,
    )
    for batch, row, channel in np.ndindex(2, rows, 3):
        line = maps[batch, row, :, channel]
        expected = slow_line(line, (size, valid), (other_size, other_valid), mirrored, align_corners)
        np.testing.assert_allclose(found[batch, row, :, channel], expected, atol=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
def test_rows_are_read_as_columns_are_but_never_mirrored(align_corners):
    maps = np.random.default_rng(1).normal(size=(1, 5, 4, 2)).astype(np.float32)
    sides, others = (17, 14) if align_corners else (20, 14), (13, 9) if align_corners else (12, 9)
    width = (13, 13) if align_corners else (16, 16)
    views = [View((side[0], width[0]), (side[1], width[1]), True) for side in (sides, others)]
    found = on_cells_of(maps, views[0], views[1]._replace(mirrored=False), align_corners, align_corners)
    for column, channel in np.ndindex(4, 2):
        expected = slow_line(maps[0, :, 3 - column, channel], sides, others, False, align_corners)
        np.testing.assert_allclose(found[0, :, column, channel], expected, atol=1e-5)


@pytest.mark.parametrize(("size", "align_corners"), [((16, 24), False), ((17, 25), True)])
def test_an_image_that_fills_its_input_is_mirrored_exactly(size, align_corners):
    shape = [cells(side, align_corners) for side in size]
    maps = np.random.default_rng(2).normal(size=(1, *shape, 1)).astype(np.float32)
    found = on_cells_of(maps, View(size, size, True), View(size, size), align_corners, align_corners)
    np.testing.assert_array_equal(found, maps[:, :, ::-1])


def test_places_of_a_view_are_places_of_the_image():
    # Every cell of the view holds where its middle lies in the reference: (p + 0.5) * 20 / 35 - 0.5.
    places = (centers(9, False) + 0.5) * 20 / 35 - 0.5
    found = on_cells_of(
        places.reshape(1, 1, -1, 1).astype(np.float32), View((4, 36), (4, 35)), View((4, 20), (4, 20)), False, False
    )
    np.testing.assert_allclose(found[0, 0, :, 0], centers(5, False), atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_sizes_may_be_known_only_at_run_time(jit_compile):
    def read(maps, sides):
        view, reference = View((sides[0], sides[1]), (sides[2], sides[3]), True), View((sides[4], sides[5]), (7, 10))
        return on_cells_of(maps, view, reference, True, True)

    maps = np.random.default_rng(3).normal(size=(2, 5, 6, 2)).astype(np.float32)
    sides = np.array([17, 21, 15, 19, 9, 13], np.int32)
    expected = read(maps, sides.tolist())
    assert expected.shape == (2, 3, 4, 2)
    if jit_compile:
        found = tf.function(lambda maps: read(maps, sides.tolist()), jit_compile=True)(maps)
    else:
        signature = [tf.TensorSpec([None, None, None, 2]), tf.TensorSpec([6], tf.int32)]
        found = tf.function(read, input_signature=signature)(maps, sides)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_lines_between_others_are_their_shares():
    maps = np.array([[[[0.0], [4.0], [8.0]]]], np.float32)
    at = np.array([0.25, 2.0, 1.5], np.float32)
    np.testing.assert_allclose(interpolate_lines(maps, at, 2)[0, 0, :, 0], [1, 8, 6])
    np.testing.assert_allclose(interpolate_lines(maps.transpose(0, 2, 1, 3), at, 1)[0, :, 0, 0], [1, 8, 6])
