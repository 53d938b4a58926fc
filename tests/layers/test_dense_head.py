import numpy as np

from tfpanoptic.layers.dense_head import DenseHead
from tfpanoptic.layers.norm import Norm


def test_predictions_are_linear():
    layer = DenseHead(1, 1, kernel_size=1, separable=False, norm=Norm(epsilon=0.25))
    layer.build((1, 1, 1, 1))
    layer.hidden.conv.kernel.assign([[[[2.0]]]])
    layer.hidden.norm.moving_variance.assign([0.75])  # with epsilon, 1
    layer.predict.kernel.assign([[[[-1.0]]]])
    layer.predict.bias.assign([0.5])
    # ReLU(2 * 3) * -1 + 0.5, not cut at 0.
    np.testing.assert_allclose(layer(np.full((1, 1, 1, 1), 3.0, "float32")), [[[[-5.5]]]], rtol=1e-6)
