"""The comparison itself, with the worker's work done in this process; tests/cli/test_verbs.py starts a real one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.records.dataset import read_records
from tfpanoptic.data.records.write import write_records
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export import verify as module
from tfpanoptic.export.verify import Comparison, size_of, verify
from tfpanoptic.export.worker import open_format, run_job
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.segmenter import PanopticSegmenter

OPENED = {}


@pytest.fixture
def here(monkeypatch):
    """Artefacts are opened in this process, whose threads are set up already."""

    def run(job, folder, environment=None):
        if job.path not in OPENED:
            OPENED[job.path] = open_format(replace(job, threads=None))
        return run_job(job, folder, lambda job: OPENED[job.path])

    monkeypatch.setattr(module, "run_worker", run)


def few(count=2):
    dataset = nuclei("val")
    return replace(dataset, records=dataset.records[:count])


def test_an_export_is_the_model_and_has_its_pq(exported, here):
    segmenter, _ = exported
    found = verify(*exported, images=few())
    assert found.images == 2 and found.agreement["all"]["pq"] == 1.0 and found.drop == 0.0 and found.passed
    expected = segmenter.evaluate_panoptic(few())
    assert found.model_pq == expected and found.pq == expected
    assert found.latency.calls == found.model_latency.calls == 2
    assert found.bytes == sum(path.stat().st_size for path in exported[1].rglob("*") if path.is_file())


def test_photos_in_shards_are_compared_as_their_files(exported, here, tmp_path):
    write_records(few(), tmp_path / "records", 1)
    records = replace(read_records(tmp_path / "records"), name="nuclei")
    found, expected = verify(*exported, images=records), verify(*exported, images=few())
    assert found.agreement == expected.agreement and found.pq == expected.pq and found.passed


def test_other_weights_are_not_the_model(exported, here, tiny_experiment):
    segmenter, folder = exported
    other = PanopticSegmenter(tiny_experiment, segmenter.categories)
    other.set_weights([-2 * w for w in segmenter.get_weights()])
    found = verify(other, folder, images=few())
    with pytest.raises(WorkFailed, match="model: is not the model: agreement with the model is PQ "):
        found.require()


def test_photos_without_truth_give_agreement_alone(exported, here):
    photos = [record.image_path for record in few().records]
    found = verify(*exported, images=photos)
    assert found.pq is None and found.drop is None and found.agreement["all"]["pq"] == 1.0 and found.passed
    with pytest.raises(InputError, match="--max-drop is a loss of PQ; expected images with truth"):
        verify(*exported, images=photos, max_drop=0.1)


def test_a_photo_that_is_none_or_too_large_is_told_before_the_export_runs(exported, tmp_path, monkeypatch):
    def run(*_, **__):
        pytest.fail("the export was run")

    monkeypatch.setattr(module, "run_worker", run)
    (tmp_path / "none.png").write_bytes(b"no image")
    Image.new("1", (8000, 4001)).save(tmp_path / "large.png")
    Image.effect_noise((90, 90), 50).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    large = "4001 x 8000 pixels are more than the 32 million"
    for name, words in (("none.png", "not an image"), ("large.png", large), ("cut.png", "damaged or cut short")):
        with pytest.raises(InputError, match=f"{name}: .*{words}"):
            verify(*exported, images=[tmp_path / name])
    with pytest.raises(InputError, match="no image to compare on"):
        verify(*exported, images=[])


def test_an_export_of_other_categories_is_told(exported, here, tiny_experiment):
    table = CategoryTable.from_coco(
        [{"id": 1, "name": "nucleus", "isthing": 1}, {"id": 2, "name": "glass", "isthing": 0}]
    )
    with pytest.raises(WorkFailed, match="model: has other categories than the model"):
        verify(PanopticSegmenter(tiny_experiment, table), exported[1], images=few(1))


def test_a_fixed_size_is_another_size_for_some(exported, here):
    # The grid of the tiny model is 16: a photo of 256 x 256 is seen alike, one of 256 x 320 is larger.
    dataset = nuclei("val")
    sizes = [(record.height, record.width) for record in dataset.records]
    same, larger = sizes.index((256, 256)), next(i for i, size in enumerate(sizes) if size[1] > 256)
    images = replace(dataset, records=(dataset.records[same], dataset.records[larger]))
    found = verify(*exported, images=images, options={"size": (256, 256), "quantize": None})
    assert (found.shrunk, found.padded, found.alike) == (1, 0, 1) and found.limits.drop == 0.02
    found = verify(*exported, images=images, options={"size": (512, 512)})
    assert (found.shrunk, found.padded, found.alike) == (0, 2, 0) and found.limits.agreement is None


def half(category_of_right, score, left=1):
    """A map of 4 x 4 pixels: a segment left, another one right."""
    ids = np.repeat([[left, left, 2, 2]], 4, axis=0).astype(np.int32)
    return SegmentMap(ids, segment_rows([left, 2], [2, category_of_right], None, [8, 8], [1.0, score]))


def test_agreement_does_not_ask_for_the_same_ids_and_scores_are_of_matches():
    comparison = Comparison(3, 3)
    comparison.add(half(1, 0.9), half(1, 0.7, left=7))
    table = CategoryTable.from_coco([{"id": i, "name": str(i), "isthing": int(i == 1)} for i in (1, 2, 3)])
    found = comparison.summary(table, None)
    assert found["agreement"]["all"]["pq"] == 1.0
    assert found["score_difference"] == pytest.approx(0.1)  # the mean of 0 and 0.2
    comparison.add(half(1, 0.9), half(3, 0.9), alike=False)
    found = comparison.summary(table, None)
    # Category 1: one match and one missed segment, 1 / 1.5; 2: two matches; 3: a wrong segment alone.
    assert found["agreement"]["all"]["pq"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["agreement_alike"]["all"]["pq"] == 1.0


def test_what_an_export_finds_where_the_model_finds_nothing_is_wrong():
    comparison = Comparison(3, 3)
    comparison.add(SegmentMap(np.zeros((4, 4), np.int32), segment_rows([], [], None, [], [])), half(1, 0.9))
    table = CategoryTable.from_coco([{"id": i, "name": str(i), "isthing": 1} for i in (1, 2, 3)])
    agreement = comparison.summary(table, None)["agreement"]
    assert agreement["all"]["pq"] == 0.0 and agreement["per_category"]["1"]["fp"] == 1


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").write_bytes(b"12345")
    (tmp_path / "two").write_bytes(b"123")
    assert size_of(tmp_path) == 8 and size_of(Path(tmp_path / "two")) == 3
