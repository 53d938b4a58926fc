"""ImageNet classifiers in Caffe2's names, `R-50.pkl` and `R-101.pkl` of MSRA, from which Detectron2's training starts.

Their batch normalisation is a scale and an offset; mean and variance are part of these.

Source: Detectron2 `checkpoint/c2_model_loading.py`, `convert_basic_c2_names`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

STEM = "conv1_w"

# The classifier, training, and the bias of the first convolution, which Detectron2 drops as well.
_NOT_BACKBONE = re.compile(r"(fc1000|pred)_[wb]|conv1_b|.*_momentum")

_NAME = re.compile(r"(?:res_)?(conv1|res(\d)_(\d+)_branch(1|2a|2b|2c))_(w|bn_s|bn_b)")
_BRANCHES = {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"}
_LEAVES = {"w": "weight", "bn_s": "norm.weight", "bn_b": "norm.bias"}

# With it the normalisation divides by 1. Source: Detectron2 `layers/batch_norm.py`, `FrozenBatchNorm2d`, epsilon 1e-5.
_VARIANCE = 1.0 - 1e-5


def detectron2_arrays(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The backbone's arrays by Detectron2's names, with mean and variance; names that no rule knows stay."""
    arrays = {}
    for name, array in variables.items():
        if _NOT_BACKBONE.fullmatch(name):
            continue
        renamed = _detectron2_name(name)
        arrays[renamed] = array
        if renamed.endswith(".norm.weight"):
            norm = renamed.removesuffix("weight")
            arrays[f"{norm}running_mean"] = np.zeros(np.shape(array), np.float32)
            arrays[f"{norm}running_var"] = np.full(np.shape(array), _VARIANCE, np.float32)
    return arrays


def _detectron2_name(name: str) -> str:
    match = _NAME.fullmatch(name)
    if not match:
        return name
    layer, stage, block, branch, leaf = match.groups()
    layer = f"stem.{layer}" if stage is None else f"res{stage}.{block}.{_BRANCHES[branch]}"
    return f"backbone.bottom_up.{layer}.{_LEAVES[leaf]}"
