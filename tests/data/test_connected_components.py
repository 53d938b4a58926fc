import numpy as np
import pytest

from tfpanoptic.data.connected_components import connected_components


def flooded(labels):
    """The same by flooding from each pixel that has no number yet."""
    parts = np.full(labels.shape, -1)
    count = 0
    for start in np.ndindex(*labels.shape):
        if parts[start] >= 0:
            continue
        parts[start], stack = count, [start]
        while stack:
            y, x = stack.pop()
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    near = y + dy, x + dx
                    inside = 0 <= near[0] < labels.shape[0] and 0 <= near[1] < labels.shape[1]
                    if inside and parts[near] < 0 and labels[near] == labels[start]:
                        parts[near] = count
                        stack.append(near)
        count += 1
    return parts


@pytest.mark.parametrize("seed", range(12))
def test_parts_are_those_of_a_flood(seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, random.integers(1, 5) + 1, random.integers(1, 13, 2))
    np.testing.assert_array_equal(connected_components(labels), flooded(labels))


def test_a_spiral_is_one_part():
    spiral = np.zeros((41, 41), int)
    for ring in range(0, 20, 2):
        spiral[ring, ring : 41 - ring] = spiral[40 - ring, ring : 41 - ring] = 1
        spiral[ring : 41 - ring, ring] = spiral[ring : 41 - ring, 40 - ring] = 1
        spiral[ring + 1, ring], spiral[ring + 2, ring : ring + 3] = 0, 1
    np.testing.assert_array_equal(connected_components(spiral), flooded(spiral))


def test_an_empty_map_has_no_part():
    assert connected_components(np.zeros((0, 4), int)).shape == (0, 4)
