import numpy as np

from tfpanoptic.postprocess.mean_probability import mean_probability


def test_each_row_has_the_mean_probability_of_its_own_category():
    # Channels are of categories 2 and 1; probabilities of 2 are 0.2, 0.6, 0.9 and 0.5.
    probability = np.array([0.2, 0.6, 0.9, 0.5], np.float32)
    logits = np.log(np.stack([probability, 1 - probability], axis=-1))[None, None]
    segment_ids = np.array([[[1, 1, 2, 0]]], np.int32)
    labels, areas = np.array([[20_001, 10_000, 0]], np.int32), np.array([[2, 1, 0]], np.int32)
    found = mean_probability(segment_ids, labels, areas, logits, np.zeros((1, 1, 4), np.float32), (2, 1), False)
    np.testing.assert_allclose(found, [[0.4, 0.1, 0]], rtol=1e-5)
