import numpy as np
import pytest
import tensorflow as tf

from tests.fixtures.upsnet.scene import (
    CHANNELS,
    NUM_CATEGORIES,
    ORDERS,
    SEMANTIC_LOGITS,
    STORED,
    STUFF_AREA,
    THINGS,
    category_of_channel,
    detections,
    in_order,
)
from tfpanoptic.postprocess.panoptic_logits import classify_pixels, clean_up, upsnet_postprocess

BEST_FIRST = np.argsort(-STORED["inference/scores"])


def postprocess(outputs, size=(64, 96), valid_size=None, channels=CHANNELS, stuff_area=STUFF_AREA):
    valid_size = tf.constant([size] if valid_size is None else valid_size)
    return upsnet_postprocess(outputs, size, valid_size, channels, THINGS, NUM_CATEGORIES, 0.3, stuff_area)


def stored(channels=CHANNELS):
    return {**detections(), "semantic_logits": in_order(SEMANTIC_LOGITS, channels)}


def panoptic_of(made, image=0):
    return np.concatenate([[0], np.asarray(made.labels)[image]])[np.asarray(made.segment_ids)[image]]


@pytest.mark.parametrize("order", ORDERS)
def test_every_pixel_before_the_clean_up_is_the_stored_one(order):
    valid = np.ones((1, 64, 96), bool)
    pixels = classify_pixels(stored(ORDERS[order]), valid, ORDERS[order], THINGS, 0.3)
    np.testing.assert_array_equal(pixels.semantic[0], category_of_channel(STORED["inference/semantic"]))
    # Stored: stuff 0..4, the kept detections from 5 on, unknown 255. Ours: detections 0..5, stuff from 6 + category on.
    ours = np.zeros(256, np.int32)
    ours[:5] = 6 + np.arange(5, 10)
    ours[5:10] = [BEST_FIRST.tolist().index(detection) for detection in STORED["inference/kept"]]
    ours[255] = 6
    np.testing.assert_array_equal(pixels.winner[0], ours[STORED["inference/panoptic"]])


@pytest.mark.parametrize("order", ORDERS)
def test_every_pixel_of_the_stored_scene_up_to_instance_numbers(order):
    panoptic = panoptic_of(postprocess(stored(ORDERS[order]), channels=ORDERS[order]))
    category, instance = STORED["inference/final/category"], STORED["inference/final/instance"]
    np.testing.assert_array_equal(panoptic // 10_000, category_of_channel(category))
    theirs = category.astype(np.int32) * 1000 + instance
    pairs = np.unique(np.stack([panoptic.ravel(), theirs.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(panoptic)) == len(np.unique(theirs))


def test_instances_of_a_category_are_numbered_by_score_and_keep_it():
    made = postprocess(stored())
    labels, scores = made.labels.numpy()[0, :6], made.scores.numpy()[0, :6]
    for category in THINGS:
        mine = labels // 10_000 == category
        assert labels[mine].tolist() == [category * 10_000 + number for number in range(1, mine.sum() + 1)]
    np.testing.assert_array_equal(scores, np.where(labels > 0, STORED["inference/scores"][BEST_FIRST], 0))


def test_stuff_scores_are_the_mean_probability_of_their_category():
    made = postprocess(stored())
    probability = tf.nn.softmax(SEMANTIC_LOGITS[0]).numpy()
    panoptic, scores = panoptic_of(made), made.scores.numpy()[0, 6:]
    for channel, score in enumerate(scores):
        pixels = panoptic == CHANNELS[channel] * 10_000
        np.testing.assert_allclose(score, probability[pixels, channel].mean() if pixels.any() else 0, rtol=1e-5)


def clean(winner, semantic, categories=(1, 2), stuff_area=0):
    """Panoptic map of one row and its result; two things 1 and 2, grass 3, sky 4, two detections."""
    made = clean_up(
        np.array([[winner]], np.int32), np.array([[semantic]], np.int32), np.array([categories], np.int32), (1, 2), 4,
        stuff_area,
    )  # fmt: skip
    made = {name: np.asarray(value)[0] for name, value in made.items()}
    return np.concatenate([[0], made["labels"]])[made["segment_ids"][0]].tolist(), made


# Codes of `winner` with two detections: void, grass, sky.
VOID, GRASS, SKY = 2, 2 + 3, 2 + 4


def test_an_instance_keeps_its_class_where_most_of_its_pixels_have_it():
    panoptic, _ = clean([0, 0, 0, GRASS], [1, 1, 3, 3])
    assert panoptic == [10_001, 10_001, 10_001, 30_000]


def test_an_instance_half_of_which_is_one_stuff_class_becomes_that_stuff():
    panoptic, made = clean([0, 0, 0, 0, SKY], [3, 3, 1, 2, 4])
    assert panoptic == [30_000] * 4 + [40_000]
    np.testing.assert_array_equal(made["labels"], [0, 0, 30_000, 40_000])
    np.testing.assert_array_equal(made["areas"], [0, 0, 4, 1])


def test_an_instance_keeps_its_class_where_less_than_half_is_stuff_or_another_thing_leads():
    assert clean([0] * 5, [3, 3, 1, 2, 4])[0] == [10_001] * 5
    assert clean([0] * 3, [2, 2, 2])[0] == [10_001] * 3


def test_of_equally_frequent_classes_the_lowest_id_counts():
    assert clean([0, 0], [1, 3])[0] == [10_001] * 2
    assert clean([0, 0], [4, 3])[0] == [30_000] * 2


def test_stuff_is_measured_after_instances_joined_it():
    assert clean([0, 0, GRASS, SKY, SKY], [3, 3, 3, 4, 4], stuff_area=3)[0] == [30_000] * 3 + [0, 0]
    assert clean([0, 0, GRASS, SKY, SKY], [3, 3, 3, 4, 4], stuff_area=4)[0] == [0] * 5


def test_the_area_limit_does_not_apply_to_instances_and_void_stays_void():
    assert clean([0, 1, VOID, VOID], [1, 2, 3, 3], stuff_area=10)[0] == [10_001, 20_001, 0, 0]


def test_instances_are_numbered_over_those_that_are_left():
    # The first becomes grass, so the second is the first of its category.
    panoptic, _ = clean([0, 0, 1, 1], [3, 3, 1, 1], categories=(1, 1))
    assert panoptic == [30_000, 30_000, 10_001, 10_001]


def test_without_detections_every_pixel_is_its_best_stuff():
    empty = {**stored(), "box_category": np.zeros((1, 6), np.int32)}
    made = postprocess(empty, stuff_area=0)
    expected = np.array(CHANNELS)[SEMANTIC_LOGITS[0, ..., :5].argmax(-1)]
    np.testing.assert_array_equal(panoptic_of(made), expected * 10_000)
    assert not made.labels.numpy()[0, :6].any() and not made.scores.numpy()[0, :6].any()


def test_pixels_outside_the_valid_part_are_void_and_the_others_as_without_them():
    padded = postprocess(stored(), valid_size=[[60, 80]])
    cut = {**stored(), "semantic_logits": SEMANTIC_LOGITS[:, :60, :80]}
    alone = postprocess(cut, size=(60, 80))
    np.testing.assert_array_equal(padded.segment_ids[:, :60, :80], alone.segment_ids)
    np.testing.assert_array_equal(padded.labels, alone.labels)
    np.testing.assert_allclose(padded.scores, alone.scores, rtol=1e-5)
    assert not padded.segment_ids[:, 60:].numpy().any() and not padded.segment_ids[:, :, 80:].numpy().any()


def test_a_void_channel_that_wins_makes_a_pixel_void():
    scene = stored()
    channels = (0, *CHANNELS[1:])
    made = panoptic_of(postprocess(scene, channels=channels, stuff_area=0)) // 10_000
    before = panoptic_of(postprocess(scene, stuff_area=0)) // 10_000
    winner = STORED["inference/panoptic"]
    assert not made[winner == 0].any() and (before[winner == 0] == 5).all()


def two_images():
    """The stored scene and one upside down with fewer detections, and their valid sizes of 128 x 192."""
    first = stored()
    second = {**first, "semantic_logits": first["semantic_logits"][:, ::-1]}
    second["box_category"] = first["box_category"] * (np.arange(6) != 1).astype(np.int32)
    return first, second, [[128, 192], [90, 130]]


def test_a_batch_of_two_is_two_images():
    first, second, valid_size = two_images()
    together = postprocess(
        {name: np.concatenate([first[name], second[name]]) for name in first}, (128, 192), valid_size
    )
    for image, alone in enumerate((first, second)):
        made = postprocess(alone, (128, 192), valid_size[image : image + 1])
        for ours, expected in zip(together, made, strict=True):
            np.testing.assert_allclose(ours[image], expected[0], rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_sizes_known_only_when_run_and_xla_give_the_same_segments(compiled):
    first, second, valid_size = two_images()
    outputs = {name: np.concatenate([first[name], second[name]]) for name in first}
    signature = {name: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for name, value in outputs.items()}
    signature["semantic_logits"] = tf.TensorSpec([None, None, None, 9])

    @tf.function(
        input_signature=[signature, tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([None, 2], tf.int32)],
        jit_compile=compiled,
    )
    def traced(outputs, image, valid_size):
        height, width = tf.unstack(tf.shape(image)[1:3])
        return upsnet_postprocess(
            outputs, (height, width), valid_size, CHANNELS, THINGS, NUM_CATEGORIES, 0.3, STUFF_AREA
        )

    size = (128, 192)
    made = traced(outputs, np.zeros((2, *size, 3), np.float32), np.array(valid_size, np.int32))
    for ours, expected in zip(made, postprocess(outputs, size, valid_size), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_bfloat16_logits_are_taken_in_float32():
    outputs = stored()
    rounded = {**outputs, "semantic_logits": tf.cast(SEMANTIC_LOGITS, tf.bfloat16)}
    exact = {**outputs, "semantic_logits": tf.cast(rounded["semantic_logits"], tf.float32)}
    np.testing.assert_array_equal(postprocess(rounded).segment_ids, postprocess(exact).segment_ids)
