import numpy as np
import pytest

from tfpanoptic.oracles.centers import CERTAIN
from tfpanoptic.oracles.queries import perfect_queries
from tfpanoptic.panoptic_map import encode
from tfpanoptic.postprocess.mask_classification import merge_queries

# Things 1 and 2, stuff 3 and 4, and no-object.
CHANNELS, THINGS = (1, 2, 3, 4, 0), (1, 2)


def outputs(panoptic, queries=6, **options):
    return perfect_queries(panoptic, CHANNELS, THINGS, queries, **options)


def scene():
    """32 x 48: stuff 3 with two things of category 1 and one of category 2, all but one on the cells; void on top."""
    panoptic = np.full((32, 48), encode(3, 0), np.int32)
    panoptic[:4] = 0
    panoptic[8:16, 4:12] = encode(1, 1)
    panoptic[8:16, 20:28] = encode(1, 2)
    panoptic[20:30, 20:41] = encode(2, 1)
    return panoptic


def merged(panoptic, made):
    segments = merge_queries(
        *made.values(), panoptic.shape, np.array([panoptic.shape], "int32"), CHANNELS, THINGS, 0.8, 0.5, 0.8
    )
    return np.concatenate([[0], np.asarray(segments.labels)[0]])[np.asarray(segments.segment_ids)[0]]


def test_perfect_queries_give_the_truth_back():
    panoptic = scene()
    found = merged(panoptic, outputs(panoptic))
    assert (found == panoptic).mean() > 0.97
    assert set(np.unique(found)) == {0, encode(1, 1), encode(1, 2), encode(2, 1), encode(3, 0)}


def test_each_segment_has_a_query_the_largest_first_and_the_rest_is_no_object():
    made = outputs(scene())
    assert made["class_logits"].shape == (1, 6, 5) and made["mask_logits"].shape == (1, 8, 12, 6)
    assert made["class_logits"][0].argmax(-1).tolist() == [2, 1, 0, 0, 4, 4]
    assert {name: values.dtype for name, values in made.items()} == dict.fromkeys(made, np.float32)


def test_a_masks_logit_is_a_line_through_the_share_of_the_cell():
    panoptic = np.full((4, 12), encode(3, 0), np.int32)
    panoptic[:, 6:] = encode(1, 1)  # none, half and all of the three cells
    panoptic[0, 11] = 0  # void is in no mask
    masks = outputs(panoptic)["mask_logits"][0, 0]
    np.testing.assert_allclose(masks[:, 0], CERTAIN * np.array([1.0, 0.0, -1.0]), atol=1e-5)
    np.testing.assert_allclose(masks[:, 1], CERTAIN * np.array([-1.0, 0.0, 0.875]), atol=1e-5)
    assert (masks[:, 2:] == -CERTAIN).all()


@pytest.mark.parametrize("limits", [{"queries": 2}, {"queries": 6, "segments": 2}])
def test_of_too_many_segments_the_smallest_are_left_out(limits):
    found = merged(scene(), outputs(scene(), **limits))
    assert set(np.unique(found)) == {0, encode(3, 0), encode(2, 1)}


def test_crowds_and_categories_without_a_channel_have_no_query():
    panoptic = scene()
    panoptic[panoptic == encode(1, 1)] = encode(1, 0)
    panoptic[panoptic == encode(2, 1)] = encode(7, 1)
    assert outputs(panoptic)["class_logits"][0].argmax(-1).tolist() == [2, 0, 4, 4, 4, 4]


def test_an_image_of_void_has_no_query():
    made = outputs(np.zeros((16, 16), np.int32))
    assert (made["class_logits"][0].argmax(-1) == 4).all() and (made["mask_logits"] == -CERTAIN).all()


def test_finer_masks_give_more_of_the_truth_back():
    panoptic = scene()
    coarse, fine = (merged(panoptic, outputs(panoptic, stride=stride)) for stride in (4, 2))
    assert (coarse == panoptic).mean() < (fine == panoptic).mean()
