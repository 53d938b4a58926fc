import numpy as np
import pytest

from tests.losses.mask_loss_cases import bilinear
from tfpanoptic.ops.point_samples import mask_at, masks_at, neighbours, values_at

RANDOM = np.random.default_rng(0)
# The last points are the corners of the image and the middles of cells.
POINTS = np.concatenate(
    [RANDOM.uniform(size=(2, 2, 60)), np.tile([[0, 0, 0.99999, 0.1], [0, 0.99999, 0, 0.5]], (2, 1, 1))], 2
)
POINTS = POINTS.astype(np.float32)


def test_values_are_interpolated_and_zero_outside():
    maps = RANDOM.normal(size=(2, 6, 5, 3)).astype(np.float32)
    found = values_at(maps, POINTS)
    for image in (0, 1):
        expected = [bilinear(maps[image, :, :, channel], POINTS[image].T) for channel in range(3)]
        np.testing.assert_allclose(found[image], np.stack(expected, axis=1), atol=2e-5)


def test_a_corner_reads_a_quarter_of_its_cell():
    maps = np.full((1, 4, 4, 1), 8.0, np.float32)
    points = np.array([[[0.0, 0.5, 0.125], [0.0, 0.0, 0.125]]], np.float32)
    assert values_at(maps, points).numpy().ravel().tolist() == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("size", [(6, 5), (24, 31)])
def test_a_map_of_places_reads_as_one_mask_each_would(size):
    segment_map = RANDOM.integers(0, 5, (2, *size)).astype(np.int32)
    found = masks_at(segment_map, POINTS, 6).numpy()
    for image in (0, 1):
        for place in range(1, 7):
            expected = bilinear(segment_map[image] == place, POINTS[image].T)
            np.testing.assert_allclose(found[image, :, place - 1], expected, atol=2e-5)


def test_masks_are_read_at_points_of_their_own():
    segment_map = RANDOM.integers(0, 4, (2, 7, 9)).astype(np.int32)
    image, place = np.array([1, 0, 1], np.int32), np.array([2, 3, 1], np.int32)
    points = RANDOM.uniform(size=(3, 2, 40)).astype(np.float32)
    found = mask_at(segment_map, image, place, points).numpy()
    for row in range(3):
        expected = bilinear(segment_map[image[row]] == place[row], points[row].T)
        np.testing.assert_allclose(found[row], expected, atol=2e-5)


def test_shares_add_up_to_one_inside():
    points = np.full((1, 2, 1), 0.4, np.float32)
    np.testing.assert_allclose(sum(share for _, share in neighbours(points, (8, 8))), [[1.0]], rtol=1e-6)
