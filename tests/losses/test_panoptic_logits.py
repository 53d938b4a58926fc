import numpy as np
import pytest
import tensorflow as tf

from tests.fixtures.upsnet.scene import CHANNELS, ORDERS, STORED, THINGS, in_order, truth
from tfpanoptic.losses.panoptic_logits import (
    panoptic_logits,
    panoptic_logits_count,
    panoptic_logits_loss,
    panoptic_target,
)

LOGITS = ("semantic_logits", "boxes", "box_category", "kept", "mask_logits")
TARGET = ("semantic", "instance_map", "box_category", "kept")
# Channels of the stored target of our N = 6 places: stuff, the four that take part, unknown; ignored.
OUR_CHANNEL = np.full(256, -1)
OUR_CHANNEL[:10] = [0, 1, 2, 3, 4, *(5 + STORED["training/kept"]), 5 + 6]


@pytest.fixture(params=ORDERS)
def channels(request):
    return ORDERS[request.param]


def stored(channels=CHANNELS):
    """The stored scene with its channels in the given order."""
    scene = truth()
    return {**scene, "semantic_logits": in_order(scene["semantic_logits"], channels)}


def loss(scene, channels=CHANNELS, things=THINGS, stride=4):
    return panoptic_logits_loss(**scene, channels=channels, thing_ids=things, stride=stride)


def target(scene, channels=CHANNELS, things=THINGS, stride=4):
    return panoptic_target(*(scene[name] for name in TARGET), channels, things, stride).numpy()


def stuff_order(channels):
    """Our stuff channel of each stored one."""
    ours = [category for category in channels if category not in THINGS]
    return [ours.index(category) for category in (5, 6, 7, 8, 9)]


def test_instance_and_unknown_logits_of_the_stored_scene(channels):
    scene = stored(channels)
    logits = panoptic_logits(*(scene[name] for name in LOGITS), channels, THINGS)[0].numpy()
    kept = STORED["training/kept"]
    np.testing.assert_allclose(logits[..., 5 + kept].transpose(2, 0, 1), STORED["training/instance_logits"], atol=2e-5)
    np.testing.assert_allclose(logits[..., -1], STORED["training/unknown_logits"], atol=2e-5)
    np.testing.assert_array_equal(logits[..., stuff_order(channels)], truth()["semantic_logits"][0, ..., :5])
    dropped = [place for place in range(6) if place not in kept]
    assert (logits[..., [5 + place for place in dropped]] < -1e20).all()


def test_the_target_of_the_stored_scene(channels):
    table = OUR_CHANNEL.copy()
    table[:5] = stuff_order(channels)
    np.testing.assert_array_equal(target(stored(channels), channels)[0], table[STORED["training/target"]])


def test_the_loss_of_the_stored_scene(channels):
    mean = loss(stored(channels), channels) / panoptic_logits_count(np.array([[256, 384]], np.int32))
    np.testing.assert_allclose(mean, [STORED["training/loss/panoptic"]], rtol=1e-6)


def test_the_gradients_of_the_stored_scene():
    scene = {name: tf.constant(value) for name, value in stored().items()}
    inputs = [scene["semantic_logits"], scene["mask_logits"]]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        mean = loss(scene)[0] / (64 * 96)
    semantic, masks = (gradient.numpy()[0] for gradient in tape.gradient(mean, inputs))
    expected = STORED["training/gradient/semantic_logits"].transpose(1, 2, 0)
    np.testing.assert_allclose(semantic[::2, ::2], expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(np.linalg.norm(semantic), STORED["training/gradient/semantic_logits_norm"], rtol=1e-5)
    kept, expected = STORED["training/kept"], STORED["training/gradient/mask_logits"]
    np.testing.assert_allclose(masks[kept], expected, atol=1e-5 * np.abs(expected).max())
    assert not np.delete(masks, kept, axis=0).any()


def small(semantic, instance_map, category=(1, 2), kept=(True, True), width=None):
    """One row of pixels, logits at stride 1 with channels (3, 1, 2, 4): two things, grass 3 and sky 4.

    Box 0 covers pixels 0 and 1, box 1 pixel 2.
    """
    width = width or len(semantic)
    boxes = np.array([[[0, 0, 1, 2], [0, 2, 1, 3]]], np.float32)
    return {
        "semantic_logits": np.zeros((1, 1, width, 4), np.float32),
        "boxes": boxes,
        "box_category": np.array([category], np.int32),
        "kept": np.array([kept]),
        "mask_logits": np.ones((1, 2, 4, 4), np.float32),
        "semantic": np.array([[semantic]], np.int32),
        "instance_map": np.array([[instance_map]], np.int32),
    }


def small_target(*arguments, **options):
    return target(small(*arguments, **options), (3, 1, 2, 4), (1, 2), 1)[0, 0].tolist()


def small_loss(scene):
    return float(loss(scene, (3, 1, 2, 4), (1, 2), 1)[0])


def test_stuff_instances_and_void_have_their_channels():
    # Grass, sky, instances at places 0 and 1, void; ids that no channel has are void, too.
    assert small_target([3, 4, 1, 2, 0, 9], [0, 0, 1, 2, 0, 0]) == [0, 1, 2, 3, -1, -1]


def test_things_without_an_instance_that_takes_part_are_unknown():
    # A dropped instance and a crowd, which has no place; unknown is channel 4.
    assert small_target([1, 2, 1], [1, 2, 0], kept=(True, False)) == [2, 4, 4]


def test_instances_show_above_stuff_and_void_and_dropped_ones_do_not():
    assert small_target([3, 0, 3], [1, 1, 2], kept=(True, False)) == [2, 2, 0]


@pytest.mark.parametrize("empty", [{"kept": (False, False)}, {"category": (0, 0)}])
def test_without_instances_things_are_ignored_and_the_loss_is_that_of_stuff(empty):
    scene = small([3, 1, 4], [0, 0, 0], **empty)
    assert target(scene, (3, 1, 2, 4), (1, 2), 1)[0, 0].tolist() == [0, -1, 1]
    # Two cells between two stuff channels of equal logits.
    assert small_loss(scene) == pytest.approx(2 * np.log(2))


def test_the_loss_of_a_row_worked_out_by_hand():
    # Semantic logits are 0, masks 1. Pixel 0: grass 0, sky 0, instance 0 has 1, instance 1 and unknown 0.
    # Pixel 2 is sky in the box of instance 1, pixel 3 grass in no box.
    scene = small([1, 0, 4, 3], [1, 0, 0, 0])
    inside = np.log(4 + np.e)
    assert small_loss(scene) == pytest.approx(inside - 1 + inside + np.log(5))


def test_unknown_is_the_best_thing_less_the_best_part_of_an_instance():
    scene = small([3, 3, 3, 3], [0] * 4)
    scene["semantic_logits"][0, 0] = [[0, 5, 2, 0], [0, -3, -4, 0], [0, 7, 4, 0], [0, -6, -2, 0]]
    logits = panoptic_logits(*(scene[name] for name in LOGITS), (3, 1, 2, 4), (1, 2), 1)
    # 5 - 5; -3 less 0 of the box that misses the pixel; 7 - 4 of class 2; -2 - 0.
    np.testing.assert_array_equal(logits[0, 0, :, -1], [0, -3, 3, -2])


def test_empty_places_take_no_part():
    scene = small([1, 3, 4], [1, 0, 0], category=(1, 0))
    once = small_loss(scene)
    scene["boxes"][0, 1], scene["mask_logits"][0, 1] = [0, 0, 1, 3], 50
    assert small_loss(scene) == once


def test_a_void_channel_competes_but_is_never_a_target():
    logits = panoptic_logits(
        np.zeros((1, 1, 2, 3), np.float32),
        *(small([0, 1], [0, 1])[name] for name in LOGITS[1:]),
        channels=(0, 1, 2),
        thing_ids=(1, 2),
        stride=1,
    )
    assert logits.shape == (1, 1, 2, 1 + 2 + 1)
    assert target(small([0, 1], [0, 1]), (0, 1, 2), (1, 2), 1)[0, 0].tolist() == [-1, 1]


def test_padding_is_ignored_and_not_counted():
    scene = small([1, 3, 4, 0, 0, 0], [1, 0, 0, 0, 0, 0])
    scene["semantic_logits"][0, 0, 3:] = 8
    assert small_loss(scene) == pytest.approx(small_loss(small([1, 3, 4], [1, 0, 0])))
    counts = panoptic_logits_count(np.array([[1, 3], [8, 9], [5, 4]], np.int32), 4)
    np.testing.assert_array_equal(counts, [1, 2 * 3, 2 * 1])


def test_a_right_answer_costs_nothing_and_extreme_logits_stay_finite():
    scene = small([1, 0, 2, 3], [1, 0, 2, 0])
    scene["mask_logits"] = scene["mask_logits"] * 1000
    scene["semantic_logits"][0, 0, 3] = [1000, -1000, -1000, -1000]
    assert small_loss(scene) == 0
    scene["mask_logits"] = scene["mask_logits"] * -1e20
    scene["semantic_logits"] = scene["semantic_logits"] * -1e20
    assert np.isfinite(small_loss(scene))


def pair():
    """The stored scene, and one with other instances taking part and half of it void."""
    first, second = stored(), stored()
    second["kept"] = ~first["kept"]
    second["semantic_logits"] = first["semantic_logits"][:, ::-1]
    second["semantic"] = np.where(np.arange(384) < 192, first["semantic"], 0)
    return first, second


def test_the_loss_of_a_batch_is_the_losses_of_its_images():
    first, second = pair()
    together = loss({name: np.concatenate([first[name], second[name]]) for name in first})
    np.testing.assert_allclose(together, [loss(first)[0], loss(second)[0]], rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_sizes_known_only_when_run_and_xla_give_the_same_loss(compiled):
    scene = stored()
    free = {"semantic_logits": (1, 2), "semantic": (1, 2), "instance_map": (1, 2)}
    signature = {}
    for name, value in scene.items():
        shape = [None if axis == 0 or axis in free.get(name, ()) else length for axis, length in enumerate(value.shape)]
        signature[name] = tf.TensorSpec(shape, value.dtype)
    traced = tf.function(loss, input_signature=[signature], jit_compile=compiled)
    np.testing.assert_allclose(traced(scene), loss(scene), rtol=1e-5)


def test_the_loss_is_computed_in_float32_from_bfloat16_logits():
    scene = small([1, 0, 4, 3], [1, 0, 0, 0])
    half = {name: tf.cast(value, tf.bfloat16) if name.endswith("logits") else value for name, value in scene.items()}
    assert small_loss(half) == pytest.approx(small_loss(scene), rel=1e-6)
