import numpy as np
import pytest

from tests.losses.mask_loss_cases import CASES, NETWORKS, bilinear, case_of, network_of
from tfpanoptic.losses.mask_matching import matching_costs


def costs_of(case, **changes):
    case = {**case, **changes}
    outputs = case["outputs"]
    return matching_costs(
        outputs["class_logits"], outputs["mask_logits"], case["targets"], case["channels"], case["for_matching"]
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_class_costs_are_those_of_the_original(name):
    case = network_of(name)
    for class_logits, expected in zip(case["class_logits"], case["class_cost"], strict=True):
        found = costs_of(case, outputs={**case["outputs"], "class_logits": class_logits}).category.numpy()
        for image, cost in enumerate(expected):
            np.testing.assert_allclose(found[image, :, : cost.shape[1]], cost, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_mask_costs_are_the_definition_written_out(name):
    case = case_of(name)
    found = costs_of(case)
    for image, masks in enumerate(case["masks"]):
        points = case["for_matching"][image].T
        truth = np.stack([bilinear(mask, points) for mask in masks], axis=1)  # [P, m]
        for query in range(found.mask.shape[1]):
            logits = bilinear(case["outputs"]["mask_logits"][image, :, :, query], points)[:, None]
            probability = 1 / (1 + np.exp(-logits))
            entropy = -truth * np.log(probability) - (1 - truth) * np.log(1 - probability)
            dice = 1 - (2 * (probability * truth).sum(0) + 1) / (probability.sum() + truth.sum(0) + 1)
            count = len(masks)
            np.testing.assert_allclose(found.mask[image, query, :count], entropy.mean(0), rtol=1e-5)
            np.testing.assert_allclose(found.dice[image, query, :count], dice, rtol=1e-5, atol=1e-6)


def test_a_perfect_pair_costs_the_probability_alone():
    # One segment that fills the image, but for its border, which points read as half outside.
    targets = {"segment_map": np.ones((1, 8, 8), np.int32), "segment_category": np.array([[2, 0]], np.int32)}
    logits = np.full((1, 4, 4, 1), 1e4, np.float32)
    points = np.full((1, 2, 6), 0.5, np.float32)
    costs = matching_costs(np.array([[[0.0, 100.0, 0.0]]], np.float32), logits, targets, (1, 2, 0), points)
    assert costs.total().numpy()[0, 0, 0] == -2.0
