import numpy as np
import pytest

from tests.postprocess.keypoint_scenes import perfect_outputs, targets_of
from tfpanoptic.ops.keypoint_graph import one_by_one
from tfpanoptic.postprocess.keypoint_instances import (
    Candidates,
    KeypointMaps,
    best_instances,
    find_candidates,
    hough_votes,
    instance_scores,
    keep_apart,
    proposed_keypoints,
    refined,
    refined_long_offsets,
    short_steps,
)

A, B, GRASS = 10_001, 10_002, 20_000
CELL = np.ones(2, np.float32)


def two_rectangles():
    """Rows 3 to 8 and columns 2 to 9; rows 4 to 11 and columns 14 to 19."""
    panoptic = np.full((16, 24), GRASS)
    panoptic[3:9, 2:10], panoptic[4:12, 14:20] = A, B
    return panoptic


# Of both instances, the centres rounded half to even: (5.5, 5.5) and (7.5, 16.5).
KEYPOINTS = np.array(
    [[(3, 2), (3, 9), (8, 2), (8, 9), (6, 6)], [(4, 14), (4, 19), (11, 14), (11, 19), (8, 16)]], np.float32
)


@pytest.fixture(scope="module")
def perfect():
    outputs = perfect_outputs(targets_of(two_rectangles()))
    probability = (outputs["keypoint_logits"] > 0).astype(np.float32)
    short, long = (np.asarray(one_by_one(outputs[f"{name}_offset"], 5)) for name in ("short", "long"))
    return KeypointMaps(np.asarray(one_by_one(probability, 5)), short, outputs["middle_offset"], long)


def empty_maps(height=4, width=6):
    shapes = KeypointMaps((5, height, width, 1), (5, height, width, 2), (1, height, width, 16), (5, height, width, 2))
    return KeypointMaps(*(np.zeros(shape, np.float32) for shape in shapes))


def test_the_votes_of_a_disk_meet_in_its_keypoint(perfect):
    # 13 pixels lie within 2 of another, all inside the image here.
    votes = np.asarray(hough_votes(perfect, np.zeros((1, 16, 24), bool), 13.0, 0.0)).reshape(5, 16, 24)
    for kind in range(5):
        expected = np.zeros((16, 24))
        for y, x in KEYPOINTS[:, kind].astype(int):
            expected[y, x] = 1
        np.testing.assert_allclose(votes[kind], expected, atol=1e-6)


def test_long_offsets_of_things_vote_with_their_weight():
    maps, is_thing = empty_maps(), np.zeros((1, 4, 6), bool)
    is_thing[0, 1, 1:4] = True
    maps.long[4, 1, :, 1] = [0, 2, 1, 0, 0, 0]  # the centre, across: cells 1, 2 and 3 point to 3
    votes = np.asarray(hough_votes(maps, is_thing, 2.0, 0.5))
    assert votes[4, 1, 3] == 3 * 0.5 / 2 and votes[4].sum() == votes[4, 1, 3]


def test_a_refinement_adds_the_short_offset_where_it_is_probable():
    maps = empty_maps()
    maps.short[0, 2, 3] = 1, -1
    maps.probability[0, 2, 3] = 0.5
    start = np.array([[[1, 2]]] * 5, np.float32)
    ends = refined(np.ones((5, 1, 2), np.float32), start, short_steps(maps), 1)
    np.testing.assert_allclose(ends, [[[1.5, 0.5]]] + 4 * [[[1, 1]]])


@pytest.mark.parametrize(
    ("by_itself", "by_short", "expected"),
    [(0, 0, 2), (1, 0, 3), (2, 0, 3), (0, 1, 2.5), (1, 1, 4)],
)
def test_long_offsets_refine_themselves_before_short_ones_do(by_itself, by_short, expected):
    """One row, the centre, across: cell 0 leads to 2, cell 2 on to 3. The steps lead from 2 to 2.5 and from 3 to 4."""
    maps, steps = empty_maps(1, 6), np.zeros((5, 1, 6, 2), np.float32)
    maps.long[4, 0, :, 1] = [2, 0, 1, 0, 0, 0]
    steps[4, 0, :, 1] = [0, 0, 0.5, 1, 0, 0]
    offsets = np.asarray(refined_long_offsets(maps, steps, by_itself, by_short))
    np.testing.assert_array_equal(offsets[4, 0, 0], (0, expected))
    assert not offsets[:4].any()


def test_any_keypoint_proposes_the_whole_instance(perfect):
    points = KEYPOINTS.reshape(1, 10, 2)
    kind = np.tile(np.arange(5, dtype=np.int32), 2)[None]
    proposed = np.asarray(proposed_keypoints(points, kind, perfect.middle, short_steps(perfect), 2))
    np.testing.assert_allclose(proposed[0], np.repeat(KEYPOINTS, 5, axis=0), atol=1e-5)


def test_candidates_are_the_peaks_with_the_most_votes_first():
    maps, votes = empty_maps(), np.zeros((5, 4, 6), np.float32)
    votes[2, 1, 1], votes[2, 3, 4], votes[0, 2, 2], votes[4, 0, 5] = 0.9, 0.2, 0.5, 0.05
    found = find_candidates(votes, maps.middle, maps.short, 0.1, 3, 2, 0)
    np.testing.assert_array_equal(found.kind[0, :3], [2, 0, 2])
    np.testing.assert_array_equal(found.exists[0], [True] * 3 + [False] * 7)
    # Without middle offsets all keypoints are where the peak is.
    np.testing.assert_allclose(np.asarray(found.keypoints)[0, :3, 3], [(1, 1), (2, 2), (3, 4)])


def test_a_peak_lies_at_the_mean_of_its_votes():
    maps, votes = empty_maps(), np.zeros((5, 4, 6), np.float32)
    votes[0, 1, 1], votes[0, 1, 2] = 0.6, 0.2
    found = find_candidates(votes, maps.middle, maps.short, 0.1, 3, 1, 0)
    np.testing.assert_allclose(np.asarray(found.keypoints)[0, 0, 0], (1, 1.25), atol=1e-6)


def candidates(*keypoints, kinds=None):
    keypoints = np.array([keypoints], np.float32)
    kinds = np.array([kinds or [0] * keypoints.shape[1]], np.int32)
    return Candidates(kinds, keypoints, np.ones(kinds.shape, bool))


def moved(down, across):
    return KEYPOINTS[0] + (down, across)


def test_a_candidate_near_the_same_keypoint_of_a_kept_one_goes():
    some = candidates(KEYPOINTS[0], moved(0, 2), moved(0, 4), KEYPOINTS[1])
    # The second is 2 from the first; the third is 2 from the second, which went.
    assert np.asarray(keep_apart(some, 3.0, CELL)).tolist() == [[True, False, True, True]]
    # Cells of 2 pixels: 4 and 8 pixels apart.
    assert np.asarray(keep_apart(some, 3.0, 2 * CELL)).tolist() == [[True, True, True, True]]


def test_only_its_own_keypoint_is_compared():
    other = moved(0, 9)
    other[4] = KEYPOINTS[0, 4]  # the centres coincide, the corners do not
    for kind, stays in ((0, True), (4, False)):
        some = candidates(KEYPOINTS[0], other, kinds=[0, kind])
        assert np.asarray(keep_apart(some, 3.0, CELL)).tolist() == [[True, stays]]


def test_instances_score_the_mean_probability_of_their_keypoints():
    probability = np.zeros((5, 16, 24, 1), np.float32)
    for kind, (y, x) in enumerate(KEYPOINTS[1].astype(int)):
        probability[kind, y, x] = 0.1 * (kind + 1)
    probability[4, 6, 6] = 0.5
    np.testing.assert_allclose(instance_scores(KEYPOINTS[None], probability), [[0.1, 0.3]], rtol=1e-5)


def test_instances_are_ordered_by_their_scores_and_those_of_0_are_left_out():
    scores = np.array([[0.1, 0.3]], np.float32)
    keypoints, ordered = best_instances(candidates(*KEYPOINTS), scores, 2, 0.5, CELL)
    np.testing.assert_array_equal(ordered, scores[:, ::-1])
    np.testing.assert_array_equal(keypoints, KEYPOINTS[None, ::-1])
    _, ordered = best_instances(candidates(*KEYPOINTS), np.array([[0, 0.3]], np.float32), 2, 0.5, CELL)
    np.testing.assert_allclose(ordered, [[0.3, 0]])


def test_of_two_instances_in_one_box_the_better_stays_and_moves_up():
    scores = np.array([[0.1, 0.2, 0.9]], np.float32)
    some = candidates(KEYPOINTS[0], moved(0, 1), moved(0, 13))
    # Boxes of 6 x 8 pixels, one pixel apart: 7 / 9 of their union is common.
    keypoints, left = best_instances(some, scores, 3, 0.7, CELL)
    np.testing.assert_array_equal(np.asarray(keypoints)[0, :2, 4], [(6, 19), (6, 7)])
    assert (np.asarray(left)[0] > 0).tolist() == [True, True, False]
    _, left = best_instances(some, scores, 3, 0.8, CELL)
    assert (np.asarray(left)[0] > 0).all()
