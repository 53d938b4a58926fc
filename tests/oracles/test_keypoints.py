import numpy as np
import pytest

from tests.postprocess.keypoint_scenes import perfect_outputs, targets_of
from tfpanoptic.ops.center_offset import enlarge_offset
from tfpanoptic.oracles.centers import CERTAIN, TILT
from tfpanoptic.oracles.keypoints import deeperlab_perfect_outputs


def targets(panoptic, radius=2):
    return {name: value.numpy()[0] for name, value in targets_of(panoptic, radius=radius).items()}


def rectangle(height, width):
    panoptic = np.full((height, width), 20_000)
    panoptic[2:7, 3:10] = 10_001
    return panoptic


def test_without_a_stride_the_outputs_are_the_targets():
    panoptic = rectangle(9, 14)
    made = deeperlab_perfect_outputs(targets(panoptic), (1, 2), 1, align_corners=False)
    expected = perfect_outputs(targets_of(panoptic))
    for name in ("short_offset", "middle_offset", "long_offset"):
        np.testing.assert_allclose(made[name], expected[name])
    np.testing.assert_array_equal(made["semantic_logits"] > CERTAIN / 2, expected["semantic_logits"] > 0)
    probability = 1 / (1 + np.exp(-made["keypoint_logits"]))
    np.testing.assert_allclose(probability, expected["keypoint_logits"] > 0, atol=TILT)


def test_a_cell_says_how_much_of_it_lies_in_a_disk():
    panoptic = np.full((4, 4), 20_000)
    panoptic[0, 0] = 10_001
    # Of radius 1: pixels (0, 0), (0, 1) and (1, 0), three of the first cell's four.
    made = deeperlab_perfect_outputs(targets(panoptic, radius=1), (1, 2), 2, align_corners=False)
    probability = 1 / (1 + np.exp(-made["keypoint_logits"]))
    np.testing.assert_allclose(probability[0, 0, 0], 0.75, atol=TILT)
    np.testing.assert_allclose(probability[0, 1, 1], 0, atol=1e-6)


@pytest.mark.parametrize(("align_corners", "size"), [(False, (8, 12)), (True, (9, 13))])
def test_enlarged_offsets_are_those_of_the_targets(align_corners, size):
    # One instance everywhere: offsets are linear, and so are their means over inner cells.
    truth = targets(np.full(size, 10_001))
    made = deeperlab_perfect_outputs(truth, (1, 2), 4, align_corners)
    assert made["long_offset"].shape == (1, -(-size[0] // 4), -(-size[1] // 4), 10)
    offset = np.asarray(enlarge_offset(made["long_offset"], size, align_corners))[0]
    y, x = size[0] // 2, size[1] // 2
    expected = (truth["keypoints"][0] - (y, x)).reshape(-1)
    np.testing.assert_allclose(offset[y, x], expected, atol=0.6)
