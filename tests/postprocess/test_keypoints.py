import numpy as np
import pytest
import tensorflow as tf

from tests.postprocess.keypoint_scenes import OTHER_THING, THING, perfect_outputs, random_outputs, targets_of
from tfpanoptic.ops.keypoint_graph import CENTER, EDGES
from tfpanoptic.postprocess.keypoints import deeperlab_postprocess

CHANNELS, THINGS = (1, 2, 3), (THING, OTHER_THING)
SETTINGS = {
    "channels": CHANNELS,
    "thing_ids": THINGS,
    "num_categories": 3,
    "align_corners": False,
    "radius": 3,
    "refinements": 2,
    "refinement_weight": "probability",
    "long_refinements": 0,
    "long_weight": 0.1,
    "long_weight_per": "disk",
    "keypoint_threshold": 0.05,
    "keypoint_window": 3,
    "keypoint_distance": 2.0,
    "instance_score": 0.1,
    "box_overlap": 0.7,
    "max_instances": 8,
    "stuff_area": 0,
}


def scene():
    """Two discs side by side, a rectangle under them and one of the other thing at the border, on stuff."""
    panoptic = np.full((32, 40), 20_000)
    y, x = np.mgrid[:32, :40]
    panoptic[20:28, 4:30] = 10_003
    panoptic[(y - 10) ** 2 + (x - 9) ** 2 <= 36] = 10_001
    panoptic[(y - 11) ** 2 + (x - 22) ** 2 <= 36] = 10_002
    panoptic[0:9, 32:40] = 30_001
    return panoptic


def segments(outputs, size, valid_size=None, **changes):
    valid_size = np.array(valid_size or [size] * len(outputs["semantic_logits"]), np.int32)
    return deeperlab_postprocess(outputs, size, valid_size, **{**SETTINGS, **changes})


def panoptic_of(made, image=0):
    labels = np.concatenate([[0], np.asarray(made.labels)[image]])
    return labels[np.asarray(made.segment_ids)[image]]


def assert_same_segments(ours, theirs):
    """Equal categories, and instances equal up to their numbers."""
    np.testing.assert_array_equal(ours // 10_000, theirs // 10_000)
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(ours)) == len(np.unique(theirs))


@pytest.fixture(scope="module")
def outputs():
    return perfect_outputs(targets_of(scene(), radius=3, things=THINGS), channels=3)


def test_perfect_outputs_give_the_scene_back(outputs):
    made = segments(outputs, (32, 40))
    assert_same_segments(panoptic_of(made), scene())
    # Every keypoint has a probability of 1, and so has every category.
    np.testing.assert_allclose(np.asarray(made.scores)[np.asarray(made.labels) > 0], 1, rtol=1e-5)


def test_without_long_votes_and_refinements_perfect_outputs_give_it_back_too(outputs):
    assert_same_segments(panoptic_of(segments(outputs, (32, 40), long_weight=0.0, refinements=0)), scene())


@pytest.mark.parametrize("other", [{"refinement_weight": "one"}, {"long_refinements": 2}, {"long_weight_per": "pixel"}])
def test_other_readings_of_the_paper_give_the_perfect_scene_back_too(outputs, other):
    assert_same_segments(panoptic_of(segments(outputs, (32, 40), **other)), scene())


@pytest.mark.parametrize(("weight", "expected"), [("probability", 0.8), ("one", 1.0)])
def test_short_offsets_refine_as_much_as_they_are_probable_or_whole(outputs, weight, expected):
    """Middle offsets lead 2 cells too far left, where the probability is 1/2; it is 1 at the keypoints alone.

    By halves, 2 cells become 1 and then 1/2, between probabilities of 1/2 and 1; but for the one that proposes, all
    keypoints of an instance are so: (1 + 4 * 3/4) / 5.
    """
    middle, logits = outputs["middle_offset"].copy(), outputs["keypoint_logits"].copy()
    middle[..., 1::2] -= 2
    logits[logits > 0] = 0
    for instance in np.unique(scene()[scene() != 20_000]):
        y, x = np.nonzero(scene() == instance)
        points = [(down, across) for down in (y.min(), y.max()) for across in (x.min(), x.max())]
        for kind, point in enumerate([*points, np.round([y.mean(), x.mean()]).astype(int)]):
            logits[(0, *point, kind)] = 1000
    made = segments({**outputs, "middle_offset": middle, "keypoint_logits": logits}, (32, 40), refinement_weight=weight)
    things = np.isin(np.asarray(made.labels) // 10_000, THINGS)
    np.testing.assert_allclose(np.asarray(made.scores)[things], [expected] * 4, rtol=1e-5)


@pytest.mark.parametrize(("times", "instance"), [(0, 10_001), (1, 10_003)])
def test_a_pixel_that_leads_into_its_instance_is_led_on_by_long_offsets(outputs, times, instance):
    """A pixel of the rectangle leads to its top left for all keypoints: nearer to all those of the disc above it."""
    long = outputs["long_offset"].copy()
    long[0, 24, 10] = np.tile((20 - 24, 4 - 10), 5)
    made = panoptic_of(segments({**outputs, "long_offset": long}, (32, 40), long_refinements=times))
    places = {10_001: (10, 9), 10_003: (27, 20)}
    assert made[24, 10] == made[places[instance]]


@pytest.mark.parametrize(("per", "weight", "instances"), [("disk", 2e-4, 0), ("pixel", 2e-4, 4), ("disk", 2e-2, 4)])
def test_long_votes_weigh_by_disks_or_by_pixels(outputs, per, weight, instances):
    """Short offsets of 0 of probability 1/2 leave 1/2 a cell, of the 28 of a disk: 0.018 votes of the 0.05 needed.

    Cells have 4 pixels and disks 113. The smallest thing has 72 cells, so 288 pixels: 0.058 votes if one has 2e-4, and
    0.051 if 113 have 2e-2. The largest has 832 pixels: 0.0015 votes if 113 have 2e-4.
    """
    flat = {name: np.zeros_like(outputs[name]) for name in ("keypoint_logits", "short_offset")}
    made = segments(
        {**outputs, **flat}, (64, 80), radius=6, keypoint_distance=4.0, long_weight=weight, long_weight_per=per
    )
    assert (np.asarray(made.labels) % 10_000 > 0).sum() == instances


def test_a_keypoint_that_nobody_votes_for_does_not_lose_the_instance(outputs):
    logits = outputs["keypoint_logits"].copy()
    logits[..., 1:] = -1000
    made = segments({**outputs, "keypoint_logits": logits}, (32, 40))
    assert_same_segments(panoptic_of(made), scene())
    np.testing.assert_allclose(np.asarray(made.scores)[0, :4], 0.2, rtol=1e-5)  # one of five


def test_a_candidate_that_scores_too_little_is_in_nobodys_way(outputs):
    """Top left corners alone are voted for. Two cells beside the disc's, more votes meet at a cell of probability 0.

    The disc's has the 29 cells of its disk. The 40 of the last row lead beside it, from where the instance goes to the
    bottom right, where no keypoint is: its score is 0, while the disc's is 1/5.
    """
    logits, short, middle = (outputs[name].copy() for name in ("keypoint_logits", "short_offset", "middle_offset"))
    logits[..., 1:] = -1000
    corner, beside = (4, 3), (4, 5)
    logits[0, 31, :, 0] = 1000
    short[0, 31, :, :2] = np.stack([np.full(40, beside[0] - 31), beside[1] - np.arange(40)], axis=-1)
    logits[(0, *beside, 0)] = -1000
    to_center = EDGES.index((0, CENTER))
    middle[(0, *beside)][2 * to_center : 2 * to_center + 2] = 30 - beside[0], 34 - beside[1]
    changed = {**outputs, "keypoint_logits": logits, "short_offset": short, "middle_offset": middle}
    assert np.linalg.norm(np.subtract(corner, beside)) <= SETTINGS["keypoint_distance"]
    assert_same_segments(panoptic_of(segments(changed, (32, 40), long_weight=0.0)), scene())


def test_without_votes_things_are_void(outputs):
    flat = {**outputs, "keypoint_logits": np.full_like(outputs["keypoint_logits"], -1000)}
    panoptic = panoptic_of(segments(flat, (32, 40), long_weight=0.0))
    np.testing.assert_array_equal(panoptic, np.where(scene() == 20_000, 20_000, 0))


@pytest.mark.parametrize("align_corners", [False, True])
def test_pixels_join_the_instance_that_their_long_offsets_point_to(outputs, align_corners):
    """One cell for every second pixel; offsets are in cells."""
    size = (63, 79) if align_corners else (64, 80)
    made = segments(outputs, size, align_corners=align_corners, radius=6, keypoint_distance=4.0)
    at = (slice(None, None, 2), slice(None, None, 2))
    agree = panoptic_of(made)[at] // 10_000 == scene() // 10_000
    assert agree.mean() > 0.9 and len(np.unique(panoptic_of(made))) == 5
    if align_corners:  # every second pixel is the middle of a cell
        assert_same_segments(panoptic_of(made)[at], scene())


def test_padding_is_void_and_votes_for_nothing(outputs):
    made = segments(outputs, (32, 40), valid_size=[[16, 30]])
    panoptic = panoptic_of(made)
    assert not panoptic[16:].any() and not panoptic[:, 30:].any()
    # The discs' bottom corners lie below, the rectangles outside.
    assert set(np.unique(panoptic)) == {0, 10_001, 10_002, 20_000}
    np.testing.assert_array_equal(panoptic[:16, :30] // 10_000, scene()[:16, :30] // 10_000)


def test_at_most_so_many_instances_are_kept(outputs):
    made = segments(outputs, (32, 40), max_instances=2)
    assert (np.asarray(made.labels)[0, :2] > 0).all() and made.labels.shape == (1, 3)


@pytest.mark.parametrize("seed", range(3))
def test_every_pixel_is_void_or_of_a_row_that_exists(seed):
    made = segments(random_outputs(seed, 1, 8, 10, channels=3), (32, 40))
    panoptic, ids = panoptic_of(made), np.asarray(made.segment_ids)[0]
    assert ((panoptic > 0) == (ids > 0)).all()
    category, instance = panoptic // 10_000, panoptic % 10_000
    assert (instance[np.isin(category, THINGS)] > 0).all() and not instance[category == 2].any()


def test_a_batch_gives_the_segments_of_its_images():
    batch = random_outputs(4, 2, 8, 10, channels=3)
    together = segments(batch, (32, 40))
    for image in (0, 1):
        alone = segments({name: value[image : image + 1] for name, value in batch.items()}, (32, 40))
        np.testing.assert_array_equal(np.asarray(together.segment_ids)[image], np.asarray(alone.segment_ids)[0])
        np.testing.assert_allclose(np.asarray(together.scores)[image], np.asarray(alone.scores)[0], rtol=1e-5)


def test_sizes_known_only_when_run_give_the_same_segments():
    signature = [
        {
            name: tf.TensorSpec([None, None, None, value.shape[-1]])
            for name, value in random_outputs(0, 1, 1, 1, channels=3).items()
        },
        tf.TensorSpec([2], tf.int32),
        tf.TensorSpec([None, 2], tf.int32),
    ]
    traced = tf.function(
        lambda outputs, size, valid: deeperlab_postprocess(outputs, (size[0], size[1]), valid, **SETTINGS),
        input_signature=signature,
        autograph=False,
    )
    for batch, height, width in ((1, 9, 11), (2, 5, 8)):
        outputs, size = random_outputs(5, batch, height, width, channels=3), (4 * height, 4 * width)
        made, eager = traced(outputs, size, np.array([size] * batch, np.int32)), segments(outputs, size)
        np.testing.assert_array_equal(made.segment_ids, eager.segment_ids)
        np.testing.assert_allclose(made.scores, eager.scores, rtol=1e-5)


@pytest.mark.slow
def test_it_compiles_with_xla(outputs):
    compiled = tf.function(lambda outputs: segments(outputs, (32, 40), [[32, 40]]), jit_compile=True, autograph=False)
    np.testing.assert_array_equal(compiled(outputs).segment_ids, segments(outputs, (32, 40)).segment_ids)
