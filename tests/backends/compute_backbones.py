"""Parts of backbones on the backend of KERAS_BACKEND, as an .npz file: both paddings, switches, gates.

Usage: compute_backbones.py FILE. Under JAX, importing TensorFlow fails.
"""

import os
import sys

if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None

import numpy as np
from keras import ops

from tfpanoptic.layers.conv import ConvNorm, DepthwiseConvNorm
from tfpanoptic.layers.squeeze_excite import EffectiveSqueezeExcite, SqueezeExcite
from tfpanoptic.layers.switchable_atrous_conv import SwitchableConvNorm

LAYERS = {
    "symmetric": lambda: ConvNorm(4, 3, stride=2),
    "same": lambda: ConvNorm(4, 3, stride=2, activation="relu6", padding="same"),
    "same_depthwise": lambda: DepthwiseConvNorm(5, stride=2, padding="same"),
    "switchable": lambda: SwitchableConvNorm(4, 3, dilation=2),
    "strided_switchable": lambda: SwitchableConvNorm(4, 3, stride=2),
    "hard_gate": lambda: SqueezeExcite(2, "hard_sigmoid"),
    "effective_gate": lambda: EffectiveSqueezeExcite(),
}


def main(path: str) -> None:
    """Computes everything and writes `path`; weights are random, so that switches and contexts act."""
    random = np.random.default_rng(0)
    image = random.uniform(-1, 1, (2, 12, 9, 3)).astype("float32")
    results = {}
    for name, make in LAYERS.items():
        layer = make()
        layer.build(image.shape)
        for weight in layer.weights:
            low = 0.5 if weight.name in ("gamma", "moving_variance") else -0.3
            weight.assign(random.uniform(low, low + 0.6, weight.shape))
        results[name] = ops.convert_to_numpy(layer(image))
    np.savez(path, **results)


if __name__ == "__main__":
    main(sys.argv[1])
