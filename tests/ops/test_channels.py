import numpy as np

from tfpanoptic.ops.channels import channel_of, channel_table, class_index, class_maps

CHANNELS = (4, 0, 7)


def test_the_table_ends_with_an_entry_for_every_larger_category():
    assert channel_table(CHANNELS).tolist() == [-1, -1, -1, -1, 0, -1, -1, 2, -1]


def test_void_and_categories_without_a_channel_have_none():
    found = channel_of(np.array([[4, 7, 0, -1, 5, 8, 99]], "int32"), CHANNELS)
    assert np.asarray(found).tolist() == [[0, 2, -1, -1, -1, -1, -1]]


def test_the_index_of_a_category_is_its_place_among_the_classes():
    found = class_index(np.array([[4, 7, 0, -1, 99]], "int32"), (4, 7))
    assert np.asarray(found)[0, :2].tolist() == [0, 1] and set(np.asarray(found)[0, 2:].tolist()) == {0}


def test_each_category_has_the_map_of_its_channel_and_image():
    logits = np.arange(2 * 1 * 2 * 3, dtype="float32").reshape(2, 1, 2, 3)
    maps, index = (np.asarray(x) for x in class_maps(logits, np.array([[7, 4], [4, 7]], "int32"), CHANNELS))
    # A pixel holds three channels: image 0 begins with 0 and 3, image 1 with 6 and 9.
    assert maps[index][:, :, 0].tolist() == [[[2, 5], [0, 3]], [[6, 9], [8, 11]]]
