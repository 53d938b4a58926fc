"""The ceiling of a made-up architecture, whose grouping forgets some categories."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.architecture import Oracle, Relaxation, Segments
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.coco_panoptic import read_coco_panoptic, write_coco_panoptic
from tfpanoptic.doctor.ceiling import ceiling, verdict
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, segment_rows
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import Grid

COW, GRASS, SKY = 1, 2, 3
TABLE = CategoryTable(
    tuple(Category(i, name, i == COW, (0, 0, 0), i) for i, name in enumerate(("cow", "grass", "sky"), start=1))
)
# Every label of a panoptic map that the scenes have: a cow, another one, grass and sky.
LABELS = (10_001, 10_002, 20_000, 30_000)


def perfect_outputs(panoptic, forgotten, categories):
    return {"labels": panoptic[None, ..., None].astype(np.float32)}


def postprocess(outputs, size, valid_size, forgotten, categories):
    rows = tf.constant([0 if label // 10_000 in forgotten else label for label in LABELS])
    equal = tf.cast(outputs["labels"], tf.int32) == rows
    number = tf.where(tf.reduce_any(equal, -1), tf.argmax(equal, -1, tf.int32) + 1, 0)
    segment_ids = tf.where(outputs["labels"][..., 0] > 0, number, 0)
    return Segments(segment_ids, rows[None], tf.ones((1, len(LABELS))))


def settings(forgotten, most_instances):
    return tuple(
        Relaxation(f"model.forget.{c}", "yes", f"no ({most_instances})", rest, "keep it", possible=c != GRASS)
        for c in forgotten
        for rest in [tuple(other for other in forgotten if other != c)]
    )


# Its configuration is the tuple of the categories that are forgotten; the rest comes back as it is.
FORGETFUL = SimpleNamespace(
    name="forgetful",
    grid=lambda forgotten: Grid(8, align_corners=True),
    postprocess=postprocess,
    merges_at_own_size=lambda forgotten: False,
    oracle=Oracle(perfect_outputs, settings),
)


def scene(ids, rows):
    ids = np.asarray(ids, np.int32)
    areas = [int((ids == i).sum()) for i in rows]
    return SegmentMap(ids, segment_rows(list(rows), list(rows.values()), areas=areas))


@pytest.fixture
def dataset(tmp_path):
    """Three images of 8 x 8: sky over grass with one, two and two cows."""
    scenes = []
    for number, cows in enumerate((1, 2, 2)):
        ids = np.repeat([[3] * 8, [4] * 8], 4, axis=0)
        ids[5:7, 1:3] = 1
        if cows == 2:
            ids[5:7, 5:7] = 2
        rows = {1: COW, 2: COW, 3: SKY, 4: GRASS}
        kept = {i: category for i, category in rows.items() if (ids == i).any()}
        scenes.append((f"{number}", np.full((8, 8, 3), number, np.uint8), scene(ids, kept)))
    write_coco_panoptic(tmp_path, TABLE, scenes)
    return read_coco_panoptic(tmp_path / "images", tmp_path / "panoptic.json", tmp_path / "panoptic")


def measure(dataset, forgotten=(), **arguments):
    return ceiling(dataset, FORGETFUL, forgotten, InputConfig(), **arguments)


def by_setting(found):
    return {s["setting"]: s for s in found["costs"]["settings"]}


def test_a_grouping_that_gives_everything_back_has_a_ceiling_of_1(dataset):
    found = measure(dataset)
    assert found["images"] == 3 and found["pq"]["all"]["pq"] == 1.0 and found["format"]["all"] == 1.0
    assert found["weak_categories"] == []
    assert found["verdict"][-1] == "It can be trained as it is."


def test_a_setting_costs_the_points_that_come_back_without_it(dataset):
    found = measure(dataset, (GRASS, COW))
    # Of three categories sky alone is found: 1/3. Either relaxation gives one third back.
    assert found["pq"]["all"]["pq"] == pytest.approx(1 / 3)
    assert found["weak_categories"] == ["cow", "grass"]
    costs = by_setting(found)
    assert costs["model.forget.1"]["cost"] == pytest.approx({"all": 1 / 3, "things": 1.0, "stuff": 0.0})
    assert costs["model.forget.2"]["cost"] == pytest.approx({"all": 1 / 3, "things": 0.0, "stuff": 0.5})
    assert costs["model.forget.1"]["pq"] == pytest.approx({"all": 2 / 3, "things": 1.0, "stuff": 0.5})


def test_the_costliest_setting_comes_first(dataset):
    found = measure(dataset, (GRASS,))
    assert next(iter(by_setting(found))) == "model.forget.2"
    costs = [setting["cost"]["all"] for setting in found["costs"]["settings"]]
    assert costs == sorted(costs, reverse=True) and costs[0] == pytest.approx(1 / 3) and costs[-1] == 0


def test_the_verdict_advises_what_a_setting_can_have(dataset):
    lines = " ".join(measure(dataset, (GRASS, COW))["verdict"])
    assert "reach PQ 33.3 (things 0.0, stuff 50.0)" in lines
    assert "PQ of all and things and stuff is below 95.0: change settings before you train." in lines
    # The grass costs as much, but is only a bound.
    assert "Most points are lost by model.forget.1 (yes instead of no (2)), 33.3: keep it." in lines
    assert "Categories below 80.0: cow 0.0, grass 0.0." in lines


def test_a_bound_is_told_where_no_setting_costs_anything(dataset):
    assert "Most points are lost by model.forget.2" in " ".join(measure(dataset, (GRASS,))["verdict"])


def test_costs_are_measured_on_a_spread_of_the_images(dataset):
    found = measure(dataset, (COW,), limit=2, cost_images=1)
    assert (found["images"], found["costs"]["images"]) == (2, 1)


def test_by_size_every_segment_counts_once(dataset):
    size = measure(dataset, (COW,))["size"]
    # Five cows of 4 pixels, three skies of 32 and three lawns: all are small.
    assert size["small"]["per_category"]["cow"]["fn"] == 5
    assert size["small"]["per_category"]["sky"]["tp"] == 3
    assert size["large"]["all"]["pq"] is None


def test_categories_that_the_network_lacks_are_missed(dataset):
    known = CategoryTable(TABLE.categories[:2])
    assert measure(dataset, known=known)["pq"]["per_category"]["sky"]["pq"] == 0.0


def test_stuff_in_two_segments_is_lost_by_the_truth_itself(tmp_path):
    ids = np.repeat([[3] * 6, [4] * 6, [5] * 6], 2, axis=0)
    truth = scene(ids, {3: SKY, 4: GRASS, 5: SKY})
    write_coco_panoptic(tmp_path, TABLE, [("0", np.zeros((6, 6, 3), np.uint8), truth)])
    dataset = read_coco_panoptic(tmp_path / "images", tmp_path / "panoptic.json", tmp_path / "panoptic")
    found = measure(dataset)
    # Joined, the two skies have an IoU of 12 / 24 with each: no match. Grass 1, sky 0.
    assert found["format"]["all"] == 0.5 == found["pq"]["all"]["pq"]
    assert any("The truth itself loses 50.0 points: stuff of one category" in line for line in found["verdict"])


def test_everything_can_be_written_as_json(dataset):
    found = measure(dataset, (COW,))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_an_empty_truth_has_no_ceiling():
    nothing = {group: {"pq": None} for group in ("all", "things", "stuff")}
    assert verdict({"pq": nothing, "images": 1}) == ["The truth has no segment: there is nothing to reach."]


def test_an_architecture_without_an_oracle_is_named(dataset):
    with pytest.raises(InputError, match="no oracle for blind"):
        ceiling(dataset, SimpleNamespace(**{**vars(FORGETFUL), "name": "blind", "oracle": None}), (), InputConfig())
