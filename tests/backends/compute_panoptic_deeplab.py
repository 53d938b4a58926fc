"""Outputs and losses of a small Panoptic-DeepLab on the backend of KERAS_BACKEND, as an .npz file.

Usage: compute_panoptic_deeplab.py FILE. Under JAX, importing TensorFlow fails.
"""

import os
import sys
import zlib
from functools import partial

if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["tensorflow"] = None

import keras
import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.models.panoptic_deeplab import ARCHITECTURE, PanopticDeepLabConfig
from tfpanoptic.ops.resize import nearest_to_size, resize_bilinear
from tfpanoptic.ops.view_cells import View, on_cells_of
from tfpanoptic.postprocess.views import center_outputs, center_values

CATEGORIES = CategoryTable(tuple(Category(i, f"c{i}", i < 3, (0, 0, 0), i) for i in range(1, 4)))
BRANCH = {
    "aspp_channels": 8,
    "channels": 8,
    "head_channels": 8,
    "skips": [{"endpoint": "res3", "channels": 4}, {"endpoint": "res1", "channels": 4}],
}
CONFIGURATIONS = {
    "resnet": {
        "backbone": {"name": "resnet10", "width_multiplier": 0.125, "stem": "beta", "output_stride": 16},
        "aspp_pool_window": [2, 2],
        "semantic": BRANCH,
        "instance": BRANCH,
    },
    "mobilenet": {
        "backbone": {"name": "mobilenet_v3_small", "output_stride": 8},
        "normalization": "per_image",
        "align_corners": False,
        "separable": False,
        "kernel_size": 3,
        "semantic": BRANCH,
        "instance": BRANCH,
    },
}
HEIGHT, WIDTH = 33, 48


def main(path: str) -> None:
    """Computes everything and writes `path`."""
    results = {**compiled(resized_maps)(), **compiled(brought_back)()}
    # Every weight is set below; JAX would compile a random generator for each shape first, minutes in all.
    for initializer in (keras.initializers.VarianceScaling, keras.initializers.TruncatedNormal):
        initializer.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype)
    for name, values in CONFIGURATIONS.items():
        config = PanopticDeepLabConfig.model_validate({**values, "aspp_dropout": 0.0})
        model = ARCHITECTURE.build(config, CATEGORIES).train
        for weight in model.weights:
            weight.assign(seeded_weight(weight.path, weight.shape))
        for training in (False, True):
            found = compiled(partial(forward_and_loss, model, config, training))(batch(), targets())
            results |= {f"{name}/{training}/{key}": value for key, value in found.items()}
    np.savez(path, **{key: keras.ops.convert_to_numpy(value) for key, value in results.items()})


def compiled(function):
    """`function` as one graph; JAX compiles each operation by itself otherwise, which takes minutes."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def forward_and_loss(model, config, training: bool, batch: dict, targets: dict) -> dict:
    """Outputs and unweighted loss terms; moving statistics stay as they are."""
    weights = ([v.value for v in variables] for variables in (model.trainable_variables, model.non_trainable_variables))
    outputs, _ = model.stateless_call(*weights, batch, training=training)
    return {**outputs, **ARCHITECTURE.loss(outputs, targets, config, CATEGORIES)}


def seeded_weight(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values that depend on the path alone: kernels of unit gain, everything else near 1."""
    rng = np.random.default_rng(zlib.crc32(path.encode()))
    if path.endswith("kernel"):
        fan_in = np.prod(shape[:2]) * (1 if "depthwise" in path else shape[2])
        return rng.normal(size=shape, scale=(1.0 / fan_in) ** 0.5)
    return rng.uniform(0.8, 1.2, size=shape)


def batch() -> dict[str, np.ndarray]:
    """Two images, one of them padded."""
    image = np.random.default_rng(1).uniform(0, 255, (2, HEIGHT, WIDTH, 3)).astype("float32")
    return {"image": image, "valid_size": np.array([[HEIGHT, WIDTH], [20, 30]], "int32")}


def targets() -> dict[str, np.ndarray]:
    """Targets of the right shapes; what they mean does not matter here."""
    rng = np.random.default_rng(2)
    size = (2, HEIGHT, WIDTH)
    return {
        "semantic": rng.integers(0, 4, size).astype("int32"),
        "semantic_weight": rng.choice([1.0, 3.0], size).astype("float32"),
        "center_heatmap": rng.uniform(0, 1, size).astype("float32"),
        "center_weight": rng.choice([0.0, 1.0], size).astype("float32"),
        "center_offset": rng.normal(0, 9, (*size, 2)).astype("float32"),
        "offset_weight": rng.choice([0.0, 1.0], size).astype("float32"),
    }


def resized_maps() -> dict[str, np.ndarray]:
    """Maps enlarged and shrunk by both grid rules."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(2, 7, 9, 3)).astype("float32")
    labels = rng.integers(0, 9, (2, 7, 9)).astype("int32")
    results = {}
    for size in ((13, 17), (28, 30), (4, 5), (1, 1), (7, 9)):
        for align_corners in (True, False):
            key = f"{size}/{align_corners}"
            results[f"bilinear/{key}"] = resize_bilinear(values, size, align_corners)
            results[f"nearest/{key}"] = nearest_to_size(labels, (6, 5), size, align_corners)
    return results


def brought_back() -> dict[str, np.ndarray]:
    """Outputs of a mirrored view at another scale, on the cells of the image."""
    rng, results = np.random.default_rng(4), {}
    for align_corners in (True, False):
        extra = int(align_corners)
        view = View((32 + extra, 48 + extra), (27, 41), True)
        reference = View((24 + extra, 36 + extra), (20, 31))
        outputs = {
            name: on_cells_of(
                rng.normal(size=(1, 8 + extra, 12 + extra, depth)).astype("float32"),
                view,
                reference,
                align_corners,
                align_corners,
            )
            for name, depth in {"semantic_logits": 4, "center_heatmap": 1, "center_offset": 2}.items()
        }
        made = center_outputs(center_values(outputs, np.array([0.7, 0.8], "float32"), True))
        results |= {f"view/{align_corners}/{name}": values for name, values in made.items()}
    return results


if __name__ == "__main__":
    main(sys.argv[1])
