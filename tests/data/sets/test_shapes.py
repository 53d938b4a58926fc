import numpy as np
import pytest

from tfpanoptic.data.dataset import read_record_image, read_segment_map
from tfpanoptic.data.sets.shapes import CATEGORIES, SMALLEST_AREA, ShapesConfig, draw_scene, load_shapes
from tfpanoptic.errors import InputError


def scenes(count: int = 40, height: int = 64, width: int = 80):
    return [draw_scene(height, width, (0, 0, index)) for index in range(count)]


def test_a_scene_is_a_function_of_its_seed():
    first, second, other = (draw_scene(48, 64, seed) for seed in ((3, 0, 5), (3, 0, 5), (3, 0, 6)))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1].ids, second[1].ids)
    assert (first[1].ids != other[1].ids).any()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 97), (200, 120)])
def test_a_scene_has_the_size_asked_for(height, width):
    image, truth = draw_scene(height, width, (0,))
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert truth.shape == (height, width)


def test_scenes_hold_every_category_crowds_overlaps_and_void():
    truths = [truth for _, truth in scenes()]
    rows = np.concatenate([truth.segments for truth in truths])
    assert set(rows["category"]) == set(CATEGORIES.ids)
    assert rows["iscrowd"].any() and any((truth.ids == 0).any() for truth in truths)


def test_only_things_are_crowds():
    rows = np.concatenate([truth.segments for _, truth in scenes()])
    assert set(rows["category"][rows["iscrowd"]]) <= set(CATEGORIES.thing_ids)


def test_the_table_lists_exactly_the_visible_segments():
    for _, truth in scenes(10):
        found, areas = np.unique(truth.ids[truth.ids > 0], return_counts=True)
        np.testing.assert_array_equal(found, truth.segments["id"])
        np.testing.assert_array_equal(areas, truth.segments["area"])
        assert areas.min() >= SMALLEST_AREA


def test_the_files_hold_the_scenes(tmp_path):
    config = ShapesConfig(height=40, width=56, train_images=3, val_images=2, seed=9, folder=str(tmp_path))
    record = load_shapes(config, "val").records[1]
    image, truth = draw_scene(40, 56, (9, 1, 1))
    np.testing.assert_array_equal(read_record_image(record), image)
    np.testing.assert_array_equal(read_segment_map(record).ids, truth.ids)
    np.testing.assert_array_equal(record.segments, truth.segments)


def test_each_split_has_its_own_number_of_other_scenes(tmp_path):
    config = ShapesConfig(height=32, width=32, train_images=3, val_images=2, folder=str(tmp_path))
    train, val = load_shapes(config, "train"), load_shapes(config, "val")
    assert (len(train), len(val)) == (3, 2)
    assert (read_record_image(train.records[0]) != read_record_image(val.records[0])).any()


def test_a_second_load_writes_nothing(tmp_path):
    config = ShapesConfig(height=32, width=32, train_images=2, folder=str(tmp_path))
    written = load_shapes(config, "train").records[0].image_path.stat().st_mtime_ns
    assert load_shapes(config, "train").records[0].image_path.stat().st_mtime_ns == written


def test_the_cache_folder_is_the_default_place(tmp_path, monkeypatch):
    monkeypatch.delenv("TFPANOPTIC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    dataset = load_shapes(ShapesConfig(height=32, width=32, train_images=1), "train")
    assert (tmp_path / "tfpanoptic") in dataset.records[0].image_path.parents


def test_another_configuration_has_another_folder(tmp_path):
    first, second = (ShapesConfig(height=32, width=32, train_images=1, seed=s, folder=str(tmp_path)) for s in (0, 1))
    assert load_shapes(first, "train").records[0].image_path != load_shapes(second, "train").records[0].image_path


def test_nothing_half_written_is_left_after_a_failure(tmp_path, monkeypatch):
    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfpanoptic.data.sets.shapes.write_coco_panoptic", fail)
    with pytest.raises(KeyboardInterrupt):
        load_shapes(ShapesConfig(height=32, width=32, folder=str(tmp_path)), "train")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert [path for folder in tmp_path.iterdir() for path in folder.iterdir()] == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        load_shapes(ShapesConfig(folder=str(tmp_path / "file")), "train")


def test_another_split_is_an_error():
    with pytest.raises(InputError, match="splits train and val, not 'test'"):
        load_shapes(ShapesConfig(), "test")
