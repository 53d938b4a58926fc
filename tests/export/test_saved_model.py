import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError
from tfpanoptic.export.saved_model import export_saved_model
from tfpanoptic.segmenter import PanopticSegmenter


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    segmenter = PanopticSegmenter.from_preset(tiny_run)
    folder = tmp_path_factory.mktemp("export") / "model"
    export_saved_model(segmenter, folder)
    return segmenter, folder


SERVE = """
import sys, types
for name in ("keras", "tfpanoptic"):
    sys.modules[name] = None
import numpy as np, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
images = np.load(sys.argv[2])
np.savez(sys.argv[3], **{k: v.numpy() for k, v in serve(image=tf.constant(images)).items()})
"""


def test_it_runs_where_there_is_only_tensorflow_and_gives_what_segment_gives(exported, tmp_path):
    segmenter, folder = exported
    # Two images of one odd size in a batch.
    images = np.random.default_rng(0).integers(0, 256, (2, 70, 93, 3), dtype=np.uint8)
    images[:, 20:40, 30:60] //= 4
    np.save(tmp_path / "images.npy", images)
    files = [str(folder), str(tmp_path / "images.npy"), str(tmp_path / "out.npz")]
    subprocess.run([sys.executable, "-c", SERVE, *files], check=True)
    served = np.load(tmp_path / "out.npz")
    for number, image in enumerate(images):
        expected = segmenter.segment(image)
        np.testing.assert_array_equal(served["panoptic"][number], expected.segmentation)
        rows = served["segments"][number]
        rows = rows[rows[:, 0] > 0]
        assert len(rows) == len(expected.segments_info) > 0
        for row, segment in zip(rows, expected.segments_info):
            x, y, width, height = segment["bbox"]
            assert row[0] == segment["id"] and row[1] == segment["category_id"] and row[2] == segment["isthing"]
            assert row[3] == pytest.approx(segment["score"], abs=1e-5)
            assert row[4:].tolist() == [segment["area"], y, x, y + height, x + width]


def test_categories_and_configuration_are_assets(exported):
    segmenter, folder = exported
    assets = {path.name: path.read_text() for path in (folder / "assets").iterdir()}
    assert assets["categories.json"] == segmenter.categories.to_json()
    assert assets["config.yaml"] == segmenter.experiment.to_yaml()
    assert json.loads(assets["segments.json"])["columns"][:2] == ["id", "category_id"]


def test_a_category_id_beyond_float32_is_refused(exported, tiny_experiment, tmp_path):
    from tfpanoptic.categories import CategoryTable

    table = CategoryTable.from_coco(
        [{"id": 2**24, "name": "nucleus", "isthing": 1}, {"id": 2, "name": "background", "isthing": 0}]
    )
    with pytest.raises(InputError, match="nucleus has the dataset id 16777216"):
        export_saved_model(PanopticSegmenter(tiny_experiment, table), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_that_exists_is_not_replaced(exported, tmp_path):
    with pytest.raises(InputError, match="--overwrite"):
        export_saved_model(*exported)
    Image.new("RGB", (2, 2)).save(tmp_path / "mine.png")
    with pytest.raises(InputError, match="holds something else"):
        export_saved_model(exported[0], tmp_path, overwrite=True)
