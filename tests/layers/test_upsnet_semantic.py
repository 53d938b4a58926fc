import keras
import numpy as np

from tfpanoptic.layers.upsnet_semantic import SharedDeformableHead


def test_levels_are_enlarged_to_the_finest_and_concatenated_in_their_order():
    layer = SharedDeformableHead(1, (1,))
    sizes = [(8, 16), (4, 8), (2, 4), (1, 2)]
    layer.build([(1, *size, 1) for size in sizes])
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    layer.convolutions[0].kernel.assign(kernel)
    layer.logits.kernel.assign(np.array([1, 10, 100, 1000], np.float32).reshape(1, 1, 4, 1))
    layer.logits.bias.assign([-7])
    levels = [np.full((1, *size, 1), level, np.float32) for level, size in enumerate(sizes, start=1)]
    levels[3][0, 0, 1] = -5  # ReLU makes it 0
    made = layer(levels)[0, :, :, 0]
    # 1 + 2 * 10 + 3 * 100 - 7 = 314. P5's 4 and 0 lie at columns 3.5 and 11.5: column x is 4 * (11.5 - x) / 8 between.
    coarse = np.clip(4 * (11.5 - np.arange(16)) / 8, 0, 4)
    np.testing.assert_allclose(made, np.tile(314 + 1000 * coarse, (8, 1)), rtol=1e-6)


def test_all_levels_share_their_convolutions():
    inputs = [keras.Input((None, None, 6)) for _ in range(4)]
    layer = SharedDeformableHead(3, (5, 4), name="semantic_head")
    layer(inputs)
    shapes = {weight.path: tuple(weight.shape) for weight in layer.weights}
    assert shapes == {
        "semantic_head/conv1/offset/kernel": (3, 3, 6, 18),
        "semantic_head/conv1/offset/bias": (18,),
        "semantic_head/conv1/kernel": (3, 3, 6, 5),
        "semantic_head/conv1/bias": (5,),
        "semantic_head/conv2/offset/kernel": (3, 3, 5, 18),
        "semantic_head/conv2/offset/bias": (18,),
        "semantic_head/conv2/kernel": (3, 3, 5, 4),
        "semantic_head/conv2/bias": (4,),
        "semantic_head/logits/kernel": (1, 1, 16, 3),
        "semantic_head/logits/bias": (3,),
    }


def test_logits_begin_near_zero():
    keras.utils.set_random_seed(0)
    layer = SharedDeformableHead(40, (50,))
    layer.build([(1, 8, 8, 6)] * 4)
    assert abs(np.std(layer.logits.kernel) / 0.01 - 1) < 0.05
