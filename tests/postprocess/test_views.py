import numpy as np
import pytest

from tests.postprocess.keypoint_scenes import DEPTHS, random_outputs
from tfpanoptic.ops.keypoint_graph import EDGES, KEYPOINTS, MIRRORED, MIRRORED_EDGES
from tfpanoptic.oracles.keypoints import deeperlab_perfect_outputs
from tfpanoptic.postprocess.views import center_outputs, center_values, keypoint_outputs, keypoint_values
from tfpanoptic.targets.keypoints import deeperlab_targets

ONE = np.ones(2, np.float32)


def softmax(logits):
    logits = np.asarray(logits)
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits)))


def center_maps(seed):
    random = np.random.default_rng(seed)
    depths = {"semantic_logits": 3, "center_heatmap": 1, "center_offset": 2}
    return {name: random.normal(size=(1, 2, 3, depth)).astype(np.float32) for name, depth in depths.items()}


def mean(*views):
    return {name: sum(np.asarray(view[name]) for view in views) / len(views) for name in views[0]}


def test_probabilities_are_averaged_and_given_as_logits():
    first, second = center_maps(0), center_maps(1)
    made = center_outputs(mean(*(center_values(outputs, ONE, False) for outputs in (first, second))))
    expected = (softmax(first["semantic_logits"]) + softmax(second["semantic_logits"])) / 2
    np.testing.assert_allclose(softmax(made["semantic_logits"]), expected, atol=1e-6)
    np.testing.assert_allclose(made["center_heatmap"], (first["center_heatmap"] + second["center_heatmap"]) / 2)


def test_a_category_that_no_view_allows_has_a_finite_logit():
    outputs = {**center_maps(0), "semantic_logits": np.array([0.0, -3000.0], np.float32).reshape(1, 1, 1, 2)}
    logits = np.asarray(center_outputs(center_values(outputs, ONE, False))["semantic_logits"])
    assert logits[0, 0, 0, 0] == 0 and -100 < logits[0, 0, 0, 1] < -50


def test_offsets_of_a_mirrored_view_at_twice_the_width():
    outputs = {**center_maps(0), "center_offset": np.array([6.0, 4.0], np.float32).reshape(1, 1, 1, 2)}
    # Cells of the view are as high as those of the reference and half as wide.
    made = center_values(outputs, np.array([1.0, 0.5], np.float32), True)
    assert np.asarray(made["center_offset"]).ravel().tolist() == [6, -2]


def test_left_is_right_in_the_mirrored_image():
    swapped = [KEYPOINTS[kind].replace("left", "?").replace("right", "left").replace("?", "right") for kind in range(5)]
    assert [KEYPOINTS[kind] for kind in MIRRORED] == swapped
    assert [EDGES[edge] for edge in MIRRORED_EDGES] == [(MIRRORED[start], MIRRORED[end]) for start, end in EDGES]


def two_things(height, width):
    """Two instances whose mass centres are pixels, so that they are not rounded to one side."""
    panoptic = np.full((height, width), 20_000)
    panoptic[1:6, 2:5] = 10_001
    panoptic[5:8, 6:11] = 10_002
    return panoptic


def perfect(panoptic, stride, align_corners):
    made = deeperlab_targets(panoptic.astype(np.int32), (1,), radius=2, max_instances=4)
    targets = {name: values.numpy() for name, values in made.items()}
    return deeperlab_perfect_outputs(targets, (1, 2), stride, align_corners)


# Aligned cells of an even stride share the pixels between them to one side, which is another one in the mirrored map.
@pytest.mark.parametrize(
    ("size", "stride", "align_corners"), [((9, 13), 1, False), ((8, 12), 2, False), ((10, 13), 3, True)]
)
def test_perfect_keypoints_of_the_mirrored_map_are_those_of_the_map(size, stride, align_corners):
    panoptic = two_things(*size)
    expected, mirrored = (perfect(maps, stride, align_corners) for maps in (panoptic, panoptic[:, ::-1]))
    mirrored = {name: values[:, :, ::-1] for name, values in mirrored.items()}
    made = keypoint_outputs(keypoint_values(mirrored, ONE, True))
    probability, other = sigmoid(made["keypoint_logits"]), sigmoid(expected["keypoint_logits"])
    np.testing.assert_allclose(probability, other, atol=0.02)  # the oracle's tilt is not mirrored
    for name in ("short_offset", "middle_offset", "long_offset"):
        np.testing.assert_allclose(made[name], expected[name], atol=1e-5, err_msg=name)
        assert np.abs(expected[name][..., 1::2]).max() > 0.5
    np.testing.assert_allclose(softmax(made["semantic_logits"]), softmax(expected["semantic_logits"]), atol=1e-6)


def test_a_view_counts_for_offsets_as_much_as_it_is_sure_of_the_disk():
    certain, unsure = (
        {name: np.zeros((1, 1, 1, depth), np.float32) for name, depth in DEPTHS.items()} for _ in range(2)
    )
    # Probabilities 1/2 and 1/4, offsets 0 and 6: (0 / 2 + 6 / 4) / (3 / 4) = 2.
    unsure["keypoint_logits"][:] = -np.log(3)
    for name in ("short_offset", "middle_offset", "long_offset"):
        unsure[name][:] = 6
    made = keypoint_outputs(mean(*(keypoint_values(outputs, ONE, False) for outputs in (certain, unsure))))
    np.testing.assert_allclose(made["short_offset"], np.full((1, 1, 1, 10), 2), rtol=1e-5)
    np.testing.assert_allclose(made["middle_offset"], np.full((1, 1, 1, 16), 2), rtol=1e-5)
    np.testing.assert_allclose(made["long_offset"], np.full((1, 1, 1, 10), 3), rtol=1e-5)
    np.testing.assert_allclose(sigmoid(made["keypoint_logits"]), np.full((1, 1, 1, 5), 0.375), rtol=1e-5)


def test_a_single_view_gives_its_own_outputs():
    outputs = {name: values.numpy() for name, values in random_outputs(0, 2, 3, 4).items()}
    made = keypoint_outputs(keypoint_values(outputs, ONE, False))
    np.testing.assert_allclose(softmax(made.pop("semantic_logits")), softmax(outputs["semantic_logits"]), atol=1e-6)
    for name, values in made.items():
        np.testing.assert_allclose(values, outputs[name], atol=1e-4, err_msg=name)


def test_what_is_mirrored_twice_is_as_it_was():
    outputs = {name: values.numpy() for name, values in random_outputs(1, 1, 2, 3).items()}
    twice = outputs
    for _ in range(2):
        twice = keypoint_outputs(keypoint_values(twice, ONE, True))
    for name in ("keypoint_logits", "short_offset", "middle_offset", "long_offset"):
        np.testing.assert_allclose(twice[name], outputs[name], atol=1e-4, err_msg=name)
