import numpy as np
import pytest

from tests.architectures.experiments import MODELS
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.oracles.centers import CERTAIN
from tfpanoptic.oracles.instances import perfect_detections, perfect_semantic_logits
from tfpanoptic.panoptic_map import encode

CATEGORIES = CategoryTable(tuple(Category(i, f"c{i}", i <= 2, (0, 0, 0), i) for i in (1, 2, 3)))


def scene():
    """Stuff 3 with a square, a disc and a crowd."""
    panoptic = np.full((64, 96), encode(3, 0), "int32")
    panoptic[8:24, 8:40] = encode(1, 1)
    y, x = np.mgrid[:64, :96] + 0.5
    panoptic[(y - 40) ** 2 + (x - 60) ** 2 < 15**2] = encode(2, 1)
    panoptic[0:4, 80:90] = encode(1, 0)
    return panoptic


def test_detections_are_the_instances_and_their_tight_boxes():
    found = perfect_detections(scene(), (1, 2), 4, 28)
    assert found["box_category"].tolist() == [[2, 1, 0, 0]] and found["scores"].tolist() == [[1, 1, 0, 0]]
    np.testing.assert_array_equal(found["boxes"][0, :2], [(25, 45, 55, 75), (8, 8, 24, 40)])
    assert (found["mask_logits"][0, 1] == CERTAIN).all() and not found["mask_logits"][0, 2:].any()
    # The corners of the disc's box are outside of it.
    assert found["mask_logits"][0, 0, 0, 0] == -CERTAIN and found["mask_logits"][0, 0, 14, 14] == CERTAIN


def test_of_more_instances_than_places_the_largest_stay():
    found = perfect_detections(scene(), (1, 2), 1, 28)
    assert found["box_category"].tolist() == [[2]]


def test_semantic_logits_are_the_shares_of_each_cell():
    channel = np.full((8, 8), 1)
    channel[:2, :4] = 0  # half of the first cell
    channel[4:, 4:] = -1
    found = perfect_semantic_logits(channel, 3)
    np.testing.assert_allclose(found[0, 0, 0], (CERTAIN / 2, CERTAIN / 2, 0))
    np.testing.assert_allclose(found[0, 0, 1], (0, CERTAIN, 0))
    assert not found[0, 1, 1].any()


@pytest.mark.parametrize("name", ["panoptic_fpn", "upsnet"])
def test_perfect_outputs_give_the_truth_back(name):
    architecture = ARCHITECTURES[name]
    config = architecture.config.model_validate(MODELS[name])
    panoptic = scene()
    outputs = architecture.oracle.perfect_outputs(panoptic, config, CATEGORIES)
    segments = architecture.postprocess(
        outputs, panoptic.shape, np.array([panoptic.shape], "int32"), config, CATEGORIES
    )
    labels = np.concatenate([[0], np.asarray(segments.labels)[0]])
    found = labels[np.asarray(segments.segment_ids)[0]]
    crowd = panoptic == encode(1, 0)
    # Boundaries are those of cells of 4 pixels and of masks of 28 x 28.
    assert (found == panoptic)[~crowd].mean() > 0.97
    assert set(np.unique(found)) - {0} == {encode(1, 1), encode(2, 1), encode(3, 0)}


@pytest.mark.parametrize(("name", "overlap"), [("panoptic_fpn", "instance_overlap"), ("upsnet", "removal_overlap")])
def test_each_setting_that_limits_is_relaxed_alone(name, overlap):
    architecture = ARCHITECTURES[name]
    changed = {"postprocess": {"max_detections": 5, "stuff_area": 100, overlap: 0.4}}
    config = architecture.config.model_validate({**MODELS[name], **changed})
    found = {relaxation.setting: relaxation for relaxation in architecture.oracle.settings(config, 9)}
    assert set(found) == {
        "model.postprocess.max_detections",
        f"model.postprocess.{overlap}",
        "model.postprocess.stuff_area",
        "model.instance.mask_head.size",
    }
    relaxed = found["model.postprocess.max_detections"].config
    assert relaxed.postprocess.max_detections == 9 and relaxed.postprocess.stuff_area == 100
    assert found["model.instance.mask_head.size"].config.instance.mask_head.size == 56
    assert len(architecture.oracle.settings(config, 5)) == 3
