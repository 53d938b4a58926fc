import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.data.augment import AugmentConfig
from tfpanoptic.data.input_size import InputConfig
from tfpanoptic.data.pipeline import record_number, training_batches
from tfpanoptic.errors import InputError
from tfpanoptic.panoptic_map import category_of

INPUT = InputConfig(long_side=33, stride=16, plus_one=True)
AUGMENT = AugmentConfig(crop=(17, 33), min_scale=0.5, max_scale=2, quarter_turns=True, hue=0.1, contrast=0.2)


def batches(coco, count: int, batch_size: int = 4, seed: int = 5, **arguments):
    """The first batches as NumPy arrays."""
    data = training_batches(
        coco.read(), INPUT, AUGMENT, lambda panoptic: {"category": category_of(panoptic)}, batch_size, seed, **arguments
    )
    return list(itertools.islice(data.as_numpy_iterator(), count))


def assert_equal_batches(first, second):
    tf.nest.map_structure(np.testing.assert_array_equal, first, second)


def test_a_batch_has_the_declared_shapes_and_types(several):
    (batch,) = batches(several, 1)
    found = tf.nest.map_structure(lambda part: (part.shape, part.dtype.name), batch)
    assert found == {
        "image": ((4, 17, 33, 3), "float32"),
        "panoptic": ((4, 17, 33), "int32"),
        "valid_size": ((4, 2), "int32"),
        "original_size": ((4, 2), "int32"),
        "targets": {"category": ((4, 17, 33), "int32")},
    }


def test_shapes_are_known_before_the_first_batch(several):
    data = training_batches(several.read(), INPUT, AUGMENT, lambda panoptic: {}, 4, 5)
    assert data.element_spec["image"].shape == (4, 17, 33, 3)
    assert data.element_spec["valid_size"].shape == (4, 2)


def test_targets_are_made_of_the_augmented_map(several):
    (batch,) = batches(several, 1)
    np.testing.assert_array_equal(batch["targets"]["category"], category_of(batch["panoptic"]))


def test_the_batch_of_a_step_does_not_depend_on_where_the_run_started(several):
    assert_equal_batches(batches(several, 6)[4:], batches(several, 2, start_step=4))


def test_the_batch_of_a_step_does_not_depend_on_memory_or_parallelism(several):
    assert_equal_batches(batches(several, 3, memory_limit=0, parallel_calls=1), batches(several, 3))


def test_workers_make_the_parts_of_the_batch(several):
    whole = batches(several, 3, start_step=2)
    parts = [batches(several, 3, start_step=2, worker=worker, workers=2) for worker in (0, 1)]
    for expected, first, second in zip(whole, *parts, strict=True):
        assert_equal_batches(tf.nest.map_structure(lambda *p: np.concatenate(p), first, second), expected)


def test_another_seed_gives_other_batches(several):
    (first,), (second,) = batches(several, 1), batches(several, 1, seed=6)
    assert (first["image"] != second["image"]).any()


def test_two_views_of_one_image_differ(coco):
    (batch,) = batches(coco, 1)
    assert (batch["image"][0] != batch["image"][1]).any()


@pytest.mark.parametrize("records", [1, 2, 7, 100])
def test_every_epoch_shows_every_record_once(records):
    numbers = [int(record_number(tf.constant(p, tf.int64), records, 3)) for p in range(3 * records)]
    for epoch in range(3):
        assert sorted(numbers[epoch * records : (epoch + 1) * records]) == list(range(records))


def test_epochs_have_different_orders():
    numbers = [int(record_number(tf.constant(p, tf.int64), 50, 3)) for p in range(100)]
    assert numbers[:50] != numbers[50:] and numbers[:50] != list(range(50))


def test_a_crop_that_the_strides_do_not_fit_is_an_error(several):
    config = AugmentConfig(crop=(16, 33))
    with pytest.raises(
        InputError, match=r"augment.crop: input.stride asks for k \* 16 \+ 1, found \[16, 33\]; next is \[17"
    ):
        training_batches(several.read(), INPUT, config, lambda panoptic: {}, 2, 0)


def test_a_batch_that_the_workers_cannot_share_is_an_error(several):
    with pytest.raises(ValueError, match="multiple of the 3 workers, got 4"):
        training_batches(several.read(), INPUT, AUGMENT, lambda panoptic: {}, 4, 0, workers=3)


def test_two_replicas_share_a_batch(several):
    # `rebatch` is how a strategy cuts the worker's part for its replicas.
    data = training_batches(several.read(), INPUT, AUGMENT, lambda panoptic: {}, 4, 5).rebatch(2)
    halves = [part["image"] for part in itertools.islice(data.as_numpy_iterator(), 2)]
    np.testing.assert_array_equal(np.concatenate(halves), batches(several, 1)[0]["image"])
