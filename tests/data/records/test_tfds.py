"""A small set with the features of `coco/2017_panoptic`, prepared by tensorflow-datasets itself."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.data.examples import file_reader
from tfpanoptic.data.records.tfds import TfdsConfig, load_tfds
from tfpanoptic.errors import InputError

tfds = pytest.importorskip("tensorflow_datasets")
LABELS = ["cell", "ground"]  # in their order here, which is not that of the categories


@pytest.fixture
def prepared(several, tmp_path):
    """The seven images of `several` and the first two of them as the validation part; the JSON of their categories."""
    several.write()

    class SmallPanoptic(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.1.0")

        def _info(self):
            objects = {
                "id": np.int64,
                "area": np.int64,
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=LABELS),
                "is_crowd": np.bool_,
            }
            features = {
                "image": tfds.features.Image(encoding_format="png"),
                "image/filename": tfds.features.Text(),
                "image/id": np.int64,
                "panoptic_image": tfds.features.Image(encoding_format="png"),
                "panoptic_image/filename": tfds.features.Text(),
                "panoptic_objects": tfds.features.Sequence(objects),
            }
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(7), "validation": self._generate_examples(2)}

        def _generate_examples(self, count):
            entries = zip(several.content["images"], several.content["annotations"], strict=True)
            for image, annotation in list(entries)[:count]:
                name = image["file_name"]
                segments = [
                    {
                        "id": segment["id"],
                        "area": segment["area"],
                        "bbox": tfds.features.BBox(0.0, 0.0, 1.0, 1.0),
                        "label": {7: "cell", 3: "ground"}[segment["category_id"]],
                        "is_crowd": bool(segment["iscrowd"]),
                    }
                    for segment in annotation["segments_info"]
                ]
                yield (
                    name,
                    {
                        "image": str(several.images / name),
                        "image/filename": name,
                        "image/id": image["id"],
                        "panoptic_image": str(several.panoptic / name),
                        "panoptic_image/filename": name,
                        "panoptic_objects": segments,
                    },
                )

    SmallPanoptic(data_dir=str(tmp_path / "sets")).download_and_prepare()
    (tmp_path / "categories.json").write_text(json.dumps(several.content["categories"]))
    return {"data_dir": str(tmp_path / "sets"), "categories": str(tmp_path / "categories.json")}


def test_a_prepared_set_is_the_set_of_its_files(prepared, several):
    """Its order is its own."""
    files = several.read()
    dataset = load_tfds(TfdsConfig(builder="small_panoptic", **prepared), "train")
    assert dataset.categories == files.categories
    rows = {record.file_name: row for row, record in enumerate(files.records)}
    assert sorted(rows) == sorted(record.file_name for record in dataset.records)
    read, read_files = file_reader(dataset), file_reader(files)
    for number, record in enumerate(dataset.records):
        row = rows[record.file_name]
        assert record.image_id == files.records[row].image_id
        np.testing.assert_array_equal(record.segments, files.records[row].segments)
        for values, expected in zip(read(tf.constant(number)), read_files(tf.constant(row)), strict=True):
            np.testing.assert_array_equal(values, expected)


def test_parts_are_those_of_tensorflow_datasets(prepared):
    whole = load_tfds(TfdsConfig(builder="small_panoptic", **prepared), "train")
    config = TfdsConfig(builder="small_panoptic:1.1.0", train="train[2:5]", val="validation", **prepared)
    part, validation = load_tfds(config, "train"), load_tfds(config, "val")
    assert [r.file_name for r in part.records] == [r.file_name for r in whole.records[2:5]]
    assert sorted(record.file_name for record in validation.records) == ["0.png", "1.png"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"builder": "coco/2017_panoptic"}, "data.builder: coco/2017_panoptic: .*expected a set that `tfds.load"),
        ({"builder": "nothing_of_that_name"}, "data.builder: nothing_of_that_name: "),
        ({"data_dir": "/nowhere"}, "data.data_dir: /nowhere: no such folder"),
        ({"train": "test"}, "data.train: test: .*expected a part of train, validation"),
        ({"categories": "coco"}, "data.categories: coco lacks 'cell', a label of small_panoptic"),
    ],
)
def test_what_is_not_there_is_named_in_one_line(prepared, settings, words):
    config = TfdsConfig(**{"builder": "small_panoptic", **prepared, **settings})
    with pytest.raises(InputError, match=words) as error:
        load_tfds(config, "train")
    assert len(str(error.value).splitlines()) == 1
