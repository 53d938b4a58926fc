import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.ops.enlarged_logits import best_channel, channel_logit

SIZES = [((9, 11), (33, 41)), ((6, 8), (24, 32)), ((5, 7), (5, 7)), ((1, 1), (4, 5)), ((9, 9), (13, 10))]


def enlarged(logits, size, align_corners):
    return tf.raw_ops.ResizeBilinear(
        images=logits, size=size, align_corners=align_corners, half_pixel_centers=not align_corners
    ).numpy()


def random_logits(size, depth=5):
    return np.random.default_rng(0).normal(size=(2, *size, depth)).astype(np.float32)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("small", "large"), SIZES)
def test_strips_give_what_enlarging_everything_gives(small, large, align_corners):
    logits = random_logits(small)
    channel, log_sum_exp = best_channel(logits, large, align_corners)
    full = enlarged(logits, large, align_corners)
    chosen = np.take_along_axis(full, np.asarray(channel)[..., None], -1)[..., 0]
    np.testing.assert_allclose(chosen, full.max(-1), atol=2e-6)  # rounding may swap channels that are equal to 1e-6
    np.testing.assert_allclose(log_sum_exp, tf.reduce_logsumexp(full, -1), atol=2e-6)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("small", "large"), SIZES)
def test_one_channel_a_pixel_is_that_of_the_enlarged_logits(small, large, align_corners):
    logits, channel = random_logits(small), np.random.default_rng(1).integers(0, 5, (2, *large)).astype(np.int32)
    full = enlarged(logits, large, align_corners)
    expected = np.take_along_axis(full, channel[..., None], -1)[..., 0]
    np.testing.assert_allclose(channel_logit(logits, channel, align_corners), expected, atol=2e-6)
