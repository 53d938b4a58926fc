from dataclasses import replace

import pytest

from tfpanoptic.data import DATASETS
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.data.shares import SPLITS, draw_parts, split_of
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.dataset import DatasetConfig


class NoVal(DatasetConfig):
    """A set without a validation part."""

    name: str = "photos"

    @property
    def has_val(self) -> bool:
        return False


def config_of(**settings) -> NoVal:
    return validate(NoVal, settings, "data")


def records_of(names):
    """A record for each name."""
    first = nuclei("train").records[0]
    return tuple(replace(first, file_name=name) for name in names)


@pytest.fixture(scope="module")
def photos():
    """A hundred records."""
    return records_of([f"{number:03d}.jpg" for number in range(100)])


def test_every_image_is_in_one_part_of_about_its_share(photos):
    parts = draw_parts(photos, config_of(val_share=0.2))
    assert sorted(number for part in parts.values() for number in part) == list(range(100))
    # 20 and 10 expected; four standard deviations of a binomial are 16 and 12.
    assert 4 <= len(parts["val"]) <= 36 and 1 <= len(parts["select"]) <= 22


def test_added_images_move_none(photos):
    config = config_of(val_share=0.2, select_share=0.2)
    few, all_of_them = draw_parts(photos[::2], config), draw_parts(photos, config)
    for split in SPLITS:
        assert {photos[::2][n].file_name for n in few[split]} <= {photos[n].file_name for n in all_of_them[split]}


def test_another_seed_draws_other_parts(photos):
    parts = [draw_parts(photos, config_of(val_share=0.2, share_seed=seed))["val"] for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]


def test_no_part_of_a_tiny_set_is_empty(photos):
    for seed in range(20):
        parts = draw_parts(photos[:3], config_of(val_share=0.01, share_seed=seed))
        assert [len(parts[split]) for split in SPLITS] == [1, 1, 1]
        # However large the shares: none is left without an image, that to train on least of all.
        parts = draw_parts(photos[:4], config_of(val_share=0.45, select_share=0.5, share_seed=seed))
        assert all(parts[split] for split in SPLITS)


def test_images_of_a_group_are_in_one_part():
    names = [f"clips/video{v}_{frame}.jpg" for v in range(12) for frame in range(4)]
    parts = draw_parts(records_of(names), config_of(val_share=0.3, share_group=r"(video\d+)_"))
    videos = [{names[number].split("_")[0] for number in parts[split]} for split in SPLITS]
    assert all(videos) and sum(map(len, videos)) == len(set.union(*videos)) == 12


def test_a_name_without_the_group_is_a_group_of_its_own():
    names = ["a_1", "a_2", "b"]
    with pytest.raises(SettingError, match=r"data\.val_share: 2 groups by data.share_group '\^a' are too few"):
        draw_parts(records_of(names), config_of(val_share=0.3, share_group="^a"))
    with pytest.raises(SettingError, match=r"data\.share_group: 'video' is found in no name, such as a_1"):
        draw_parts(records_of(names), config_of(val_share=0.3, share_group="video"))


def test_too_few_images_are_refused(photos):
    with pytest.raises(SettingError, match=r"data\.val_share: 2 images are too few to set some aside"):
        draw_parts(photos[:2], config_of(val_share=0.5))


def test_without_shares_the_parts_are_those_of_the_reader():
    assert [len(split_of(config_of(), split, nuclei)) for split in ("train", "val")] == [120, 40]


def test_without_images_set_aside_there_is_no_select():
    with pytest.raises(SettingError, match=r"data\.select_share: no images are set aside"):
        split_of(config_of(), "select", nuclei)
    with pytest.raises(InputError, match="photos has the splits train and val, not 'test'"):
        split_of(config_of(), "test", nuclei)


def test_images_that_choose_come_out_of_train_where_there_is_a_validation_part():
    kind = DATASETS["nuclei"]
    config = validate(kind.config, {"name": "nuclei", "select_share": 0.25}, "data")
    splits = kind.load_splits(config, SPLITS)
    own = {split: [r.file_name for r in nuclei(split).records] for split in ("train", "val")}
    named = {split: [r.file_name for r in dataset.records] for split, dataset in splits.items()}
    assert named["val"] == own["val"]
    assert sorted(named["train"] + named["select"]) == sorted(own["train"]) and named["select"]
    assert all(dataset.split == split for split, dataset in splits.items())
    assert config.chooses_on == "select"


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"val_share": 1.0}, "val_share.*less than 1"),
        ({"val_share": 0.7, "select_share": 0.3}, "leave nothing to train on"),
        ({"val_share": 0.7}, "val_share 0.7 and select_share 0.35 leave nothing to train on"),
        ({"share_group": "a"}, "share_group belongs to val_share or select_share"),
        ({"val_share": 0.1, "share_group": "("}, "share_group: expected a regular expression"),
    ],
)
def test_shares_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        config_of(**settings)


def test_a_share_of_a_set_with_validation_is_refused():
    with pytest.raises(InputError, match="the set has a validation part of its own; leave val_share out"):
        validate(DATASETS["nuclei"].config, {"name": "nuclei", "val_share": 0.2}, "data")
