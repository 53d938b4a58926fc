from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.ops.tensor_float import multiply_tensor_floats
from tfpanoptic.postprocess.centers import group_and_merge, panoptic_deeplab_postprocess

FIXTURE = Path(__file__).parents[1] / "fixtures" / "postprocess" / "panoptic_deeplab.npz"
# Letters of the scenes: two things, two stuff categories, void.
CATEGORIES = {"c": 1, "d": 2, "g": 3, "s": 4, ".": 0}
THINGS, NUM_CATEGORIES = (1, 2), 4


def scene(*rows):
    return np.array([[CATEGORIES[letter] for letter in row] for row in rows], np.int32)


def merge(semantic, centers, offset=None, max_centers=4, stuff_area=0, threshold=0.1):
    """Panoptic map of one scene. `centers`: {(y, x): height}; without offsets every pixel points at itself."""
    heatmap = np.zeros(semantic.shape, np.float32)
    for (y, x), height in centers.items():
        heatmap[y, x] = height
    offset = np.zeros((*semantic.shape, 2), np.float32) if offset is None else offset
    made = group_and_merge(
        semantic[None], heatmap[None], offset[None], THINGS, NUM_CATEGORIES, threshold, 1, max_centers, stuff_area
    )
    return panoptic_of(made), {name: np.asarray(value)[0] for name, value in made.items()}


def postprocessed(*arguments):
    return panoptic_deeplab_postprocess(*arguments)._asdict()


def panoptic_of(made, image=0):
    labels = np.concatenate([[0], np.asarray(made["labels"])[image]])
    return labels[np.asarray(made["segment_ids"])[image]]


def random_maps(seed, batch=1, height=20, width=30):
    random = np.random.default_rng(seed)
    return (
        random.integers(0, NUM_CATEGORIES + 1, (batch, height, width)).astype(np.int32),
        random.uniform(size=(batch, height, width)).astype(np.float32),
        random.normal(size=(batch, height, width, 2)).astype(np.float32) * 5,
    )


@pytest.mark.parametrize("case", ["0", "1", "2", "3"])
def test_segments_equal_those_of_deeplab2_up_to_instance_numbers(case):
    reference = np.load(FIXTURE)
    threshold, divisor, stuff_area, _, kernel, count = reference[f"{case}/params"].tolist()
    made = tf.function(group_and_merge)(
        reference[f"{case}/semantic"].astype(np.int32)[None],
        reference[f"{case}/heatmap"].astype(np.float32)[None],
        reference[f"{case}/offset"].astype(np.float32)[None],
        tuple(reference["thing_ids"].tolist()),
        133,
        threshold,
        int(kernel),
        int(count),
        int(stuff_area),
    )
    ours, theirs = panoptic_of(made), reference[f"{case}/panoptic"]
    np.testing.assert_array_equal(ours // 10_000, theirs // int(divisor))
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(ours)) == len(np.unique(theirs))


@pytest.mark.parametrize("case", ["0", "1", "2", "3"])
def test_center_scores_equal_those_of_deeplab2(case):
    reference = np.load(FIXTURE)
    threshold, _, stuff_area, _, kernel, count = reference[f"{case}/params"].tolist()
    things = reference["thing_ids"]
    made = tf.function(group_and_merge)(
        reference[f"{case}/semantic"].astype(np.int32)[None],
        reference[f"{case}/heatmap"].astype(np.float32)[None],
        reference[f"{case}/offset"].astype(np.float32)[None],
        tuple(things.tolist()),
        133,
        threshold,
        int(kernel),
        int(count),
        int(stuff_area),
    )
    scores = np.concatenate([[0], made["center_scores"][0]])[made["segment_ids"][0]]
    scores = np.where(np.isin(panoptic_of(made) // 10_000, things), scores, 0)
    np.testing.assert_array_equal(scores.astype(np.float32), reference[f"{case}/score_map"])


def test_each_thing_pixel_joins_the_nearest_center():
    panoptic, _ = merge(scene("ccccc"), {(0, 0): 0.9, (0, 4): 0.5})
    # Pixel 2 is equally near: the higher centre, which comes first, takes it.
    np.testing.assert_array_equal(panoptic, [[10_001, 10_001, 10_001, 10_002, 10_002]])


def test_offsets_decide_before_positions():
    offset = np.zeros((1, 5, 2), np.float32)
    offset[0, 0] = [0, 4]
    panoptic, _ = merge(scene("ccccc"), {(0, 0): 0.9, (0, 4): 0.5}, offset)
    assert panoptic[0, 0] == 10_002


def test_instances_are_numbered_within_their_category_from_the_highest_center_down():
    panoptic, made = merge(scene("cc.dd.cc"), {(0, 0): 0.3, (0, 3): 0.5, (0, 7): 0.9})
    np.testing.assert_array_equal(panoptic, [[10_002, 10_002, 0, 20_001, 20_001, 0, 10_001, 10_001]])
    np.testing.assert_array_equal(made["labels"], [10_001, 20_001, 10_002, 0, 0, 0])


def test_an_instance_takes_the_category_of_most_of_its_pixels():
    panoptic, _ = merge(scene("dcc"), {(0, 0): 1.0})
    np.testing.assert_array_equal(panoptic, [[10_001, 10_001, 10_001]])


def test_a_split_vote_goes_to_the_lower_id():
    panoptic, _ = merge(scene("ddcc"), {(0, 0): 1.0})
    np.testing.assert_array_equal(panoptic, [[10_001] * 4])


def test_thing_pixels_without_any_center_are_void():
    panoptic, made = merge(scene("ccgg"), {})
    np.testing.assert_array_equal(panoptic, [[0, 0, 30_000, 30_000]])
    np.testing.assert_array_equal(made["center_scores"], [0, 0, 0, 0, 1, 0])


def test_a_center_among_stuff_alone_leaves_its_row_empty():
    _, made = merge(scene("ggcc"), {(0, 0): 0.9, (0, 3): 0.5})
    np.testing.assert_array_equal(made["labels"][:2], [0, 10_001])
    np.testing.assert_array_equal(made["center_scores"][:2], [0, 0.5])


def test_a_center_is_strictly_above_the_threshold():
    panoptic, _ = merge(scene("cc"), {(0, 0): 0.5}, threshold=0.5)
    assert not panoptic.any()


def test_stuff_below_the_area_limit_becomes_void():
    semantic = scene("ssss", "sgss", "ssgs")  # two pixels of grass
    below, _ = merge(semantic, {}, stuff_area=3)
    at_limit, _ = merge(semantic, {}, stuff_area=2)
    assert set(np.unique(below)) == {0, 40_000} and set(np.unique(at_limit)) == {30_000, 40_000}


@pytest.mark.parametrize("max_centers", [1, 2, 3])
def test_exactly_the_highest_centers_are_kept(max_centers):
    centers = {(0, 0): 0.3, (0, 2): 0.9, (0, 4): 0.5, (0, 6): 0.4}
    _, made = merge(scene("c.c.c.c"), centers, max_centers=max_centers)
    np.testing.assert_allclose(made["center_scores"][:max_centers], [0.9, 0.5, 0.4][:max_centers])
    assert (made["labels"][:max_centers] > 0).all()


def test_equal_centers_beyond_the_limit_are_kept_in_raster_order():
    panoptic, _ = merge(scene("c...", "c..c"), {(1, 3): 0.5, (0, 0): 0.5, (1, 0): 0.5}, max_centers=2)
    np.testing.assert_array_equal(panoptic, [[10_001, 0, 0, 0], [10_002, 0, 0, 10_002]])


def test_an_image_smaller_than_the_number_of_centers_works():
    panoptic, _ = merge(scene("cg"), {(0, 0): 1.0}, max_centers=50)
    np.testing.assert_array_equal(panoptic, [[10_001, 30_000]])


def test_an_image_of_void_gives_empty_tables():
    panoptic, made = merge(scene("....", "...."), {(0, 1): 0.8})
    assert not panoptic.any() and not made["labels"].any() and not made["areas"].any()


def test_areas_count_the_pixels_of_each_row():
    _, made = merge(scene("ccgs", "dcg."), {(0, 0): 0.8}, stuff_area=2)
    # One instance of four thing pixels, two of grass, one of sky below the limit.
    np.testing.assert_array_equal(made["areas"], [4, 0, 0, 0, 2, 0])


@pytest.mark.parametrize("seed", range(5))
def test_every_pixel_is_void_or_of_a_row_that_exists(seed):
    semantic, heatmap, offset = random_maps(seed)
    made = group_and_merge(semantic, heatmap, offset, THINGS, NUM_CATEGORIES, 0.1, 5, 40, 10)
    panoptic, ids = panoptic_of(made), np.asarray(made["segment_ids"])
    category, instance = panoptic // 10_000, panoptic % 10_000
    assert ((panoptic > 0) == (ids[0] > 0)).all()
    assert (instance[np.isin(category, THINGS)] > 0).all() and not instance[np.isin(category, (3, 4))].any()
    found, areas = np.unique(ids[ids > 0], return_counts=True)
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(made["areas"])[0]) + 1, found)
    np.testing.assert_array_equal(np.asarray(made["areas"])[0][found - 1], areas)


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_center_is_that_of_a_plain_search(seed):
    _, heatmap, offset = random_maps(seed)
    semantic = np.ones((1, 20, 30), np.int32)
    made = group_and_merge(semantic, heatmap, offset, THINGS, NUM_CATEGORIES, 0.0, 1, 40, 0)
    order = np.argsort(-heatmap[0].ravel(), kind="stable")[:40]
    centers = np.stack([order // 30, order % 30], axis=-1)
    pixel = np.stack(np.mgrid[:20, :30], axis=-1) + offset[0].astype(np.float64)
    distance = ((pixel[:, :, None] - centers) ** 2).sum(-1)
    np.testing.assert_array_equal(np.asarray(made["segment_ids"])[0] - 1, distance.argmin(-1))


def test_a_batch_gives_the_segments_of_its_images():
    maps = random_maps(3, batch=3)
    together = group_and_merge(*maps, THINGS, NUM_CATEGORIES, 0.1, 5, 40, 10)
    for image in range(3):
        alone = group_and_merge(*(m[image : image + 1] for m in maps), THINGS, NUM_CATEGORIES, 0.1, 5, 40, 10)
        for name in alone:
            np.testing.assert_array_equal(alone[name][0], together[name][image], err_msg=name)


def test_a_mirrored_image_gives_mirrored_segments():
    semantic, heatmap, offset = random_maps(7)
    settings = (THINGS, NUM_CATEGORIES, 0.1, 5, 40, 10)
    made = group_and_merge(semantic, heatmap, offset, *settings)
    mirrored = group_and_merge(semantic[:, :, ::-1], heatmap[:, :, ::-1], offset[:, :, ::-1] * [1, -1], *settings)
    np.testing.assert_array_equal(made["segment_ids"], np.asarray(mirrored["segment_ids"])[:, :, ::-1])


def test_categories_without_things_or_without_stuff_work():
    semantic, heatmap, offset = random_maps(1)
    made = group_and_merge(semantic, heatmap, offset, (), NUM_CATEGORIES, 0.1, 5, 4, 0)
    np.testing.assert_array_equal(panoptic_of(made), semantic[0] * 10_000)
    made = group_and_merge(semantic, heatmap, offset, (1, 2, 3, 4), NUM_CATEGORIES, 0.1, 5, 4, 0)
    np.testing.assert_array_equal(panoptic_of(made) > 0, semantic[0] > 0)


# The whole way, from outputs at the head's stride.

CHANNELS = (0, 1, 2, 3, 4)
SETTINGS = (CHANNELS, THINGS, NUM_CATEGORIES, True, 0.1, 5, 40, 10)


def random_outputs(seed, batch=1, height=9, width=11):
    random = np.random.default_rng(seed)
    shape = (batch, height, width)
    return {
        "semantic_logits": random.normal(size=(*shape, len(CHANNELS))).astype(np.float32) * 3,
        "center_heatmap": random.uniform(size=(*shape, 1)).astype(np.float32),
        "center_offset": random.normal(size=(*shape, 2)).astype(np.float32),
    }


@pytest.mark.parametrize("align_corners", [True, False])
def test_scores_are_the_mean_probability_times_the_center(align_corners):
    outputs, size = random_outputs(2), (33, 41)
    settings = (CHANNELS, THINGS, NUM_CATEGORIES, align_corners, 0.1, 5, 40, 10)
    made = postprocessed(outputs, size, np.array([[30, 41]], np.int32), *settings)
    resize = {"align_corners": align_corners, "half_pixel_centers": not align_corners}
    logits = tf.raw_ops.ResizeBilinear(images=outputs["semantic_logits"], size=size, **resize)
    heatmap = tf.raw_ops.ResizeBilinear(images=outputs["center_heatmap"], size=size, **resize)[0, :, :, 0].numpy()
    probability, heights = tf.nn.softmax(logits)[0].numpy(), heatmap[:30].ravel()
    ids, labels = np.asarray(made["segment_ids"])[0], np.asarray(made["labels"])[0]
    for row in np.flatnonzero(labels):
        category, score = labels[row] // 10_000, np.asarray(made["scores"])[0, row]
        mean = probability[ids == row + 1][:, category].mean()
        if category in THINGS:
            assert np.abs(mean * heights - score).min() < 1e-5  # one of the pixels is its centre
        else:
            assert score == pytest.approx(mean, rel=1e-5)


def test_a_confident_network_gives_its_segments_and_scores():
    semantic = scene("ccgg", "ccgg", "gggg")
    logits = np.eye(5, dtype=np.float32)[semantic][None] * np.log(6.0)  # P = 6 / (6 + 4) = 0.6
    heatmap = np.zeros((1, 3, 4, 1), np.float32)
    heatmap[0, 0, 0] = 0.5
    outputs = {"semantic_logits": logits, "center_heatmap": heatmap, "center_offset": np.zeros((1, 3, 4, 2))}
    made = postprocessed(outputs, (3, 4), np.array([[3, 4]]), CHANNELS, THINGS, 4, True, 0.1, 3, 2, 0)
    np.testing.assert_array_equal(panoptic_of(made), [[10_001, 10_001, 30_000, 30_000]] * 2 + [[30_000] * 4])
    np.testing.assert_allclose(made["scores"], [[0.3, 0, 0.6, 0]], rtol=1e-5)


def test_padding_is_void_and_holds_no_center():
    outputs = random_outputs(4)
    made = postprocessed(outputs, (33, 41), np.array([[20, 25]], np.int32), *SETTINGS)
    ids = np.asarray(made["segment_ids"])[0]
    assert not ids[20:].any() and not ids[:, 25:].any() and ids[:20, :25].any()


def test_offsets_are_enlarged_to_pixels_of_the_input():
    # A grid of 2 x 3 on 5 x 9: aligned corners make one cell 4 pixels, down and across.
    semantic = np.full((2, 3), 1)
    outputs = {
        "semantic_logits": np.eye(5, dtype=np.float32)[semantic][None],
        "center_heatmap": np.array([[1, 0, 0.5], [0, 0, 0]], np.float32).reshape(1, 2, 3, 1),
        "center_offset": np.broadcast_to(np.float32([0, 1]), (1, 2, 3, 2)),  # each points 4 pixels to the right
    }
    made = postprocessed(outputs, (5, 9), np.array([[5, 9]]), CHANNELS, THINGS, 4, True, 0.1, 3, 2, 0)
    # Centres at x = 0 and x = 8; x + 4 is nearer to 8 from x = 1 on.
    np.testing.assert_array_equal(panoptic_of(made), [[10_001] + [10_002] * 8] * 5)


def test_sizes_known_only_when_run_give_the_same_segments():
    signature = [
        {
            "semantic_logits": tf.TensorSpec([None, None, None, len(CHANNELS)]),
            "center_heatmap": tf.TensorSpec([None, None, None, 1]),
            "center_offset": tf.TensorSpec([None, None, None, 2]),
        },
        tf.TensorSpec([2], tf.int32),
        tf.TensorSpec([None, 2], tf.int32),
    ]
    traced = tf.function(
        lambda outputs, size, valid: postprocessed(outputs, (size[0], size[1]), valid, *SETTINGS),
        input_signature=signature,
    )
    for batch, height, width in ((1, 9, 11), (2, 5, 8)):
        outputs, size = random_outputs(5, batch, height, width), (4 * height - 3, 4 * width - 3)
        valid = np.array([size] * batch, np.int32)
        made, eager = traced(outputs, size, valid), postprocessed(outputs, size, valid, *SETTINGS)
        np.testing.assert_array_equal(made["segment_ids"], eager["segment_ids"])
        np.testing.assert_allclose(made["scores"], eager["scores"], rtol=1e-5)


def test_it_compiles_with_xla():
    outputs, valid = random_outputs(6), np.array([[33, 41]], np.int32)
    compiled = tf.function(lambda outputs: postprocessed(outputs, (33, 41), valid, *SETTINGS), jit_compile=True)
    made, eager = compiled(outputs), postprocessed(outputs, (33, 41), valid, *SETTINGS)
    np.testing.assert_array_equal(made["segment_ids"], eager["segment_ids"])


def test_grouping_is_the_same_where_products_are_of_tensor_floats(monkeypatch):
    """A map as wide as one of Cityscapes; offsets lead near one of 200 centres, or anywhere."""
    random = np.random.default_rng(0)
    height, width = 65, 2049
    heatmap = np.zeros((1, height, width), np.float32)
    heatmap[0, random.permutation(height)[:50, None], random.permutation(width)[:200].reshape(50, 4)] = 0.5
    centers = np.argwhere(heatmap[0])[random.integers(0, 200, height * width)]
    pixel = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2)
    offset = (centers - pixel + random.normal(0, 20, pixel.shape)).reshape(1, height, width, 2).astype(np.float32)
    semantic = np.full((1, height, width), 1, np.int32)
    arguments = (semantic, heatmap, offset, THINGS, NUM_CATEGORIES, 0.1, 1, 200, 0)
    expected = np.asarray(group_and_merge(*arguments)["segment_ids"])
    multiply_tensor_floats(monkeypatch)
    # A pointed place is off by 2**-13 pixels at most; where the coordinates lose bits, 1 pixel in 300 changes.
    assert np.mean(np.asarray(group_and_merge(*arguments)["segment_ids"]) != expected) <= 5e-5
