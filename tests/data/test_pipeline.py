import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfpanoptic.data import pipeline
from tfpanoptic.data.dataset import read_record_image, read_segment_map
from tfpanoptic.data.examples import Source
from tfpanoptic.data.input_size import prepare_batch
from tfpanoptic.data.label_space import remapped
from tfpanoptic.data.pipeline import record_number, records_of_batch, training_batches, validation_batches
from tfpanoptic.errors import SettingError
from tfpanoptic.ops.resize import nearest_to_size
from tfpanoptic.panoptic_map import category_of
from tfpanoptic.segment_map import to_panoptic_map
from tfpanoptic.settings.augmentation import AugmentConfig, CopyPasteConfig
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.label_space import RemapConfig
from tfpanoptic.settings.sizes import Grid

INPUT, GRID = InputConfig(long_side=33), Grid(16, plus_one=True, align_corners=True)
AUGMENT = AugmentConfig(crop=(17, 33), min_scale=0.5, max_scale=2, quarter_turns=True, hue=0.1, contrast=0.2)


# The second image fills the crop, so that what lies over the first is to be seen.
PASTING = AUGMENT.model_copy(update={"copy_paste": CopyPasteConfig(probability=0.8, scale=2, stuff=True)})


ALWAYS_PASTING = AUGMENT.model_copy(update={"copy_paste": CopyPasteConfig(probability=1)})


def read_and_note(numbers: list[int]):
    """A source of one-coloured images that writes down which it was asked for."""

    def note(number):
        numbers.append(int(number))
        return np.full((20, 24), 20_001, np.int32)

    def read(number):
        panoptic = tf.ensure_shape(tf.numpy_function(note, [number], tf.int32), (20, 24))
        return tf.zeros([20, 24, 3], tf.uint8), panoptic

    return Source(read, lambda labels, number: labels)


def category_map(example):
    return {"category": category_of(example["panoptic"])}


def batches(coco, count: int, batch_size: int = 4, seed: int = 5, augment: AugmentConfig = AUGMENT, **arguments):
    """The first batches as NumPy arrays."""
    data = training_batches(coco.read(), INPUT, GRID, augment, category_map, batch_size, seed, **arguments)
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
        "seed": ((4, 2), "int32"),
        "step": ((4,), "int32"),
        "targets": {"category": ((4, 17, 33), "int32")},
    }


def test_shapes_are_known_before_the_first_batch(several):
    data = training_batches(several.read(), INPUT, GRID, AUGMENT, lambda example: {}, 4, 5)
    assert data.element_spec["image"].shape == (4, 17, 33, 3)
    assert data.element_spec["valid_size"].shape == (4, 2)


def test_targets_are_made_of_the_augmented_map(several):
    (batch,) = batches(several, 1)
    np.testing.assert_array_equal(batch["targets"]["category"], category_of(batch["panoptic"]))


def test_the_batch_of_a_step_does_not_depend_on_where_the_run_started(several):
    assert_equal_batches(batches(several, 6)[4:], batches(several, 2, start_step=4))


@pytest.mark.parametrize("augment", [AUGMENT, PASTING], ids=["plain", "pasting"])
def test_the_batch_of_a_step_does_not_depend_on_memory_or_parallelism(several, augment):
    alone = batches(several, 2, augment=augment, memory_limit=0, parallel_calls=1)
    assert_equal_batches(alone, batches(several, 2, augment=augment))


def test_workers_make_the_parts_of_the_batch(several):
    whole = batches(several, 3, start_step=2)
    parts = [batches(several, 3, start_step=2, worker=worker, workers=2) for worker in (0, 1)]
    for expected, first, second in zip(whole, *parts, strict=True):
        assert_equal_batches(tf.nest.map_structure(lambda *p: np.concatenate(p), first, second), expected)


def test_copy_paste_puts_another_image_over_the_view_that_would_be_there(several):
    (ground,) = several.read().categories.stuff_ids
    pasted = 0
    for before, after in zip(batches(several, 3), batches(several, 3, augment=PASTING), strict=True):
        np.testing.assert_array_equal(before["valid_size"], after["valid_size"])
        over = (before["image"] != after["image"]).any(-1)
        np.testing.assert_array_equal(before["panoptic"][~over], after["panoptic"][~over])
        # Neither crowds nor void come from the second image.
        assert ((after["panoptic"][over] % 10_000 > 0) | (after["panoptic"][over] == ground * 10_000)).all()
        pasted += over.any((1, 2)).sum()
    assert 4 < pasted < 12  # of 12, of which 80 % have a second image


def test_the_records_of_a_batch_are_those_that_are_read(several, monkeypatch):
    read = []
    monkeypatch.setattr(pipeline, "memory_source", lambda *_: read_and_note(read))
    data = training_batches(several.read(), INPUT, GRID, ALWAYS_PASTING, category_map, 4, 5, parallel_calls=1)
    next(iter(data))
    dataset = several.read()
    expected = records_of_batch(dataset, 4, 5, 0, pasted=True)
    found = [dataset.records[number] for number in read[:8]]
    assert found[::2] + found[1::2] == expected and expected[:4] == records_of_batch(dataset, 4, 5, 0)


def test_another_seed_gives_other_batches(several):
    (first,), (second,) = batches(several, 1), batches(several, 1, seed=6)
    assert (first["image"] != second["image"]).any()


def test_every_image_has_a_seed_of_its_own_and_the_step_of_its_batch(several):
    first, second = batches(several, 2, start_step=7)
    # Positions 28..31 and 32..35 of the run of seed 5.
    assert first["seed"].tolist() == [[5, n] for n in range(28, 32)]
    assert second["seed"].tolist() == [[5, n] for n in range(32, 36)]
    assert first["step"].tolist() == [7] * 4 and second["step"].tolist() == [8] * 4


def test_targets_see_the_image_and_its_seed(several):
    seen = {}

    def targets(example):
        seen.update({name: (tuple(value.shape), value.dtype.name) for name, value in example.items()})
        return {}

    training_batches(several.read(), INPUT, GRID, AUGMENT, targets, 4, 5)
    assert seen == {
        "image": ((17, 33, 3), "float32"),
        "panoptic": ((17, 33), "int32"),
        "valid_size": ((2,), "int32"),
        "seed": ((2,), "int32"),
        "step": ((), "int32"),
    }


@pytest.mark.parametrize("memory_limit", [0, 1 << 20])
def test_deep_grey_values_are_read_by_the_rule_of_the_input(several, memory_limit):
    for number, image in enumerate(several.content["images"]):
        values = np.random.default_rng(number).integers(0, 4096, (image["height"], image["width"]))
        Image.fromarray(values.astype(np.uint16)).save(several.images / image["file_name"])
    dataset, policy = several.read(), InputConfig(deep_grey="file_range")
    arguments = (policy, GRID, category_map, 1)
    data = validation_batches(dataset, *arguments, memory_limit=memory_limit).as_numpy_iterator()
    for record, batch in zip(dataset.records, data, strict=True):
        expected = read_record_image(record, "file_range")
        np.testing.assert_array_equal(batch["image"][0][: record.height, : record.width], expected)


def test_validation_shows_each_image_once_in_order_and_as_in_inference(several):
    dataset = several.read()
    data = list(validation_batches(dataset, INPUT, GRID, category_map, 3).as_numpy_iterator())
    assert [len(batch["image"]) for batch in data] == [3] * (len(dataset) // 3) + [len(dataset) % 3] * (
        len(dataset) % 3 > 0
    )
    for number, record in enumerate(dataset.records):
        batch, place = data[number // 3], number % 3
        image = read_record_image(record)
        expected, valid_size = prepare_batch(image[None], INPUT, GRID)
        height, width = valid_size[0].numpy()
        assert batch["valid_size"][place].tolist() == [height, width]
        np.testing.assert_array_equal(batch["image"][place][:height, :width], expected[0][:height, :width])
        assert not batch["image"][place][height:].any() and not batch["panoptic"][place][:, width:].any()
        panoptic, _ = to_panoptic_map(read_segment_map(record), dataset.categories)
        resized = nearest_to_size(panoptic[None], panoptic.shape, (height, width), True)[0]
        np.testing.assert_array_equal(batch["panoptic"][place][:height, :width], resized)


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


def test_a_crop_that_the_grid_does_not_fit_is_an_error(several):
    config = AugmentConfig(crop=(16, 33))
    with pytest.raises(SettingError, match=r"augment.crop: .* k \* 16 \+ 1, found \[16, 33\]; nearest are \[17, 33\]"):
        training_batches(several.read(), INPUT, GRID, config, lambda example: {}, 2, 0)


def test_a_batch_that_the_workers_cannot_share_is_an_error(several):
    with pytest.raises(ValueError, match="multiple of the 3 workers, got 4"):
        training_batches(several.read(), INPUT, GRID, AUGMENT, lambda example: {}, 4, 0, workers=3)


def test_two_replicas_share_a_batch(several):
    # `rebatch` is how a strategy cuts the worker's part for its replicas.
    data = training_batches(several.read(), INPUT, GRID, AUGMENT, lambda example: {}, 4, 5).rebatch(2)
    halves = [part["image"] for part in itertools.islice(data.as_numpy_iterator(), 2)]
    np.testing.assert_array_equal(np.concatenate(halves), batches(several, 1)[0]["image"])


@pytest.mark.parametrize("memory_limit", [0, 1 << 20])
def test_padding_is_void_where_what_is_void_in_the_files_is_a_category(several, memory_limit):
    dataset = remapped(several.read(), RemapConfig(void="rest"))
    rest = dataset.categories.by_name()["rest"].id * 10_000
    wide = AugmentConfig(crop=(33, 33), flip_horizontal=False)
    data = training_batches(dataset, INPUT, GRID, wide, category_map, 2, 5, memory_limit=memory_limit)
    for panoptic, (height, width) in zip(*(next(iter(data))[key].numpy() for key in ("panoptic", "valid_size"))):
        assert (panoptic[:height, :width] == rest).any() and (panoptic[:height, :width] > 0).all()
        assert not panoptic[height:].any() and not panoptic[:, width:].any()
