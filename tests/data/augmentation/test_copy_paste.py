import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.data.augmentation.copy_paste import copy_paste, paste, pasted_number, second_config
from tfpanoptic.settings.augmentation import AugmentConfig, CopyPasteConfig

# Two categories of things, 1 and 2, and two of stuff, 3 and 4. 10000 and 20000 are crowds.
LABELS = np.array([0, 10_000, 10_001, 10_002, 10_007, 20_000, 20_001, 20_003, 30_000, 40_000], np.int32)
STUFF = (3, 4)
# The colour of a label in the first and in the second image: no two are equal.
SECOND = 5_000_000


def paint(labels: np.ndarray, offset: int) -> np.ndarray:
    """An image that shows each label in a colour of its own."""
    code = labels + offset
    return np.stack([code % 256, code // 256 % 256, code // 65536], -1).astype(np.float32)


def unpainted(image: np.ndarray) -> np.ndarray:
    return (image @ np.array([1, 256, 65536])).astype(int)


def random_view(number: int, size=(20, 24), offset: int = 0, valid=None):
    """Blocks of random labels, painted."""
    random = np.random.default_rng(number)
    panoptic = random.choice(LABELS, (size[0] // 4, size[1] // 4)).repeat(4, 0).repeat(4, 1)
    valid = random.integers(1, [side + 1 for side in size]) if valid is None else np.array(valid)
    panoptic[valid[0] :], panoptic[:, valid[1] :] = 0, 0
    image = paint(panoptic, offset)
    image[valid[0] :], image[:, valid[1] :] = 0, 0
    return tf.constant(image), tf.constant(panoptic), tf.constant(valid, tf.int32)


def pasted(first, second, number: int = 0, **settings):
    config = CopyPasteConfig(**settings)
    image, panoptic = paste(first, second[0], second[1], tf.constant([3, number]), config, STUFF)
    return image.numpy(), panoptic.numpy()


def chosen(first, second, number: int = 0, **settings) -> set[int]:
    """Labels of the second view of which pixels are to be seen."""
    codes = unpainted(pasted(first, second, number, **settings)[0])
    return set(np.unique(codes[codes >= SECOND]) - SECOND)


@pytest.mark.parametrize("settings", [{}, {"instances": "all", "stuff": True}, {"max_instances": 2}], ids=str)
def test_map_and_image_stay_together_and_numbers_unique(settings):
    for number in range(15):
        first, second = random_view(number), random_view(number + 100, offset=SECOND)
        image, panoptic = pasted(first, second, number, **settings)
        valid = tuple(slice(0, side) for side in first[2].numpy())
        codes = unpainted(image)[valid]
        pairs = set(zip(codes.ravel().tolist(), panoptic[valid].ravel().tolist(), strict=True))
        new = {code - SECOND: label for code, label in pairs if code >= SECOND}
        # What the image shows is what the map says: an old label as it was, a pasted one by one new label.
        assert len(pairs) == len({code for code, _ in pairs})
        assert all(code == label for code, label in pairs if code < SECOND)
        things = {old: label for old, label in new.items() if old % 10_000}
        assert all(label // 10_000 == old // 10_000 and label % 10_000 > 0 for old, label in things.items())
        taken = set(np.unique(first[1]))
        assert len(set(things.values())) == len(things) and not taken & set(things.values())
        # Crowds and void are not pasted; stuff keeps its label.
        assert all(old == label and old // 10_000 in STUFF for old, label in new.items() if old not in things)
        # Padding stays padding.
        outside = np.ones(panoptic.shape, bool)
        outside[valid] = False
        assert not panoptic[outside].any() and not image[outside].any()


def test_all_things_are_pasted_on_what_is_there():
    first = random_view(1, valid=(20, 24))
    second = random_view(2, offset=SECOND, valid=(20, 24))
    things = {label for label in np.unique(second[1]) if label % 10_000}
    assert len(things) > 3
    assert chosen(first, second, instances="all") == things
    assert len(chosen(first, second, instances="all", max_instances=2)) == 2


def test_some_things_are_from_one_to_all_or_to_the_limit():
    first, second = random_view(1, valid=(20, 24)), random_view(2, offset=SECOND, valid=(20, 24))
    things = {label for label in np.unique(second[1]) if label % 10_000}
    sets = [chosen(first, second, number) for number in range(60)]
    assert {len(labels) for labels in sets} == set(range(1, len(things) + 1))
    assert set.union(*sets) == things
    assert {len(chosen(first, second, number, max_instances=2)) for number in range(20)} == {1, 2}


def test_stuff_is_pasted_only_if_asked_for_and_then_each_for_half():
    first, second = random_view(1, valid=(20, 24)), random_view(2, offset=SECOND, valid=(20, 24))
    assert {30_000, 40_000} <= set(np.unique(second[1]))
    assert not any(label % 10_000 == 0 for n in range(20) for label in chosen(first, second, n))
    sets = [chosen(first, second, n, stuff=True) & {30_000, 40_000} for n in range(120)]
    # None, one or both: a third each, 40 of 120; five standard deviations are 26.
    assert all(abs(sum(len(labels) == count for labels in sets) - 40) < 26 for count in (0, 1, 2))
    assert set.union(*sets) == {30_000, 40_000}


def test_pasted_things_are_numbered_on():
    one = tf.constant([2, 2], tf.int32)
    first = tf.zeros([2, 2, 3]), tf.constant([[10_004, 10_002], [20_000, 30_000]]), one
    second = tf.ones([2, 2, 3]), tf.constant([[0, 10_001], [10_009, 20_005]]), one
    _, panoptic = pasted(first, second, instances="all")
    assert panoptic[0, 0] == 10_004
    assert sorted(panoptic.ravel()[1:]) == [10_005, 10_006, 20_001]


def test_a_thing_beyond_the_last_number_is_not_pasted():
    one = tf.constant([1, 3], tf.int32)
    first = tf.zeros([1, 3, 3]), tf.constant([[19_998, 30_000, 30_000]]), one
    second = tf.ones([1, 3, 3]), tf.constant([[0, 10_001, 10_002]]), one
    _, panoptic = pasted(first, second, instances="all")
    assert sorted(panoptic.ravel()) == [19_998, 19_999, 30_000]


def test_without_things_nothing_is_pasted():
    first = random_view(1, valid=(20, 24))
    empty = tf.ones([20, 24, 3]), tf.constant(np.full((20, 24), 10_000, np.int32)), first[2]
    image, panoptic = pasted(first, empty, instances="all", stuff=True)
    np.testing.assert_array_equal(image, first[0])
    np.testing.assert_array_equal(panoptic, first[1])


def test_it_happens_as_often_as_asked_for_and_the_same_in_a_pipeline():
    first = tf.zeros([2, 2, 3]), tf.fill([2, 2], 30_000), tf.constant([2, 2])
    config = CopyPasteConfig(probability=0.25)

    def view_of(number, seed):
        return tf.fill([2, 2, 3], tf.cast(number, tf.float32)), tf.fill([2, 2], 10_001), tf.constant([2, 2])

    def result(number):
        return copy_paste(first, view_of, 7, tf.stack([3, number]), config, STUFF)

    in_graph = list(tf.data.Dataset.range(200).map(result).as_numpy_iterator())
    # 50 of 200: five standard deviations are 31.
    assert abs(sum((panoptic == 10_001).all() for _, panoptic, _ in in_graph) - 50) < 31
    for number, view in enumerate(in_graph[:8]):
        for ours, eager in zip(view, result(tf.constant(number, tf.int64)), strict=True):
            np.testing.assert_array_equal(ours, eager)
    over = {int(image[0, 0, 0]) for image, panoptic, _ in in_graph if panoptic[0, 0] == 10_001}
    assert over == set(range(7))


def test_the_pasted_record_is_a_function_of_the_seed():
    numbers = [int(pasted_number(tf.constant([3, n], tf.int64), 5)) for n in range(40)]
    assert numbers == [int(pasted_number(tf.constant([3, n], tf.int64), 5)) for n in range(40)]
    assert set(numbers) == set(range(5))


def test_the_second_image_has_its_own_scale():
    config = AugmentConfig(
        crop=(8, 8), min_scale=0.2, max_scale=2.0, scale_step=0.1, copy_paste=CopyPasteConfig(scale=0.5)
    )
    second = second_config(config)
    assert (second.min_scale, second.max_scale, second.scale_step, second.scale_steps) == (0.1, 1.0, 0.05, 18)
