"""Weights of Detectron2's Panoptic FPN.

Each of our weights has exactly one of the original's names, found by the rules below. Arrays are renamed and brought
into Keras' layout; where the two models count differently they are reordered: our input is RGB, our boxes are
(y1, x1, y2, x2) and our features are flattened with the channels last.

Source: Detectron2 `modeling/meta_arch/panoptic_fpn.py` and the names of its published checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfpanoptic.convert import caffe2_resnet
from tfpanoptic.convert.fitting import (
    Head,
    differing_pixels,
    differing_settings,
    listed,
    require_architecture,
    set_weights,
)
from tfpanoptic.convert.pickled_arrays import read_pickled_arrays
from tfpanoptic.errors import InputError
from tfpanoptic.layers.normalize_image import IMAGENET_MEAN

_EXPECTED = "expected a checkpoint of Detectron2: a pickle, .pkl, or a file of PyTorch, .pth"

_PROJECT = "Detectron2's Panoptic FPN"
_CLASSIFIER = "an ImageNet classifier in Caffe2's names"

# What a checkpoint holds beside the network.
_NOT_NETWORK = re.compile(r"(^|\.)(num_batches_tracked|pixel_mean|pixel_std|cell_anchors\.\d+)$")

_CLASS_LOGITS = "roi_heads.box_predictor.cls_score."
_BOX_DELTAS = "roi_heads.box_predictor.bbox_pred."
_ANCHOR_DELTAS = "proposal_generator.rpn_head.anchor_deltas."
_FIRST_DENSE = "roi_heads.box_head.fc1.weight"
_BACKBONE = "backbone.bottom_up."
_STEM = f"{_BACKBONE}stem.conv1.weight"

_HEADS = (
    Head(_CLASS_LOGITS, "class logits", outputs_beside=1),  # background
    Head(_BOX_DELTAS, "box deltas", outputs_each=4),
    Head("roi_heads.mask_head.predictor.", "mask logits"),
    Head("sem_seg_head.predictor.", "semantic logits", "channels"),
)

# Height and width of the features of a box. Source: `MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION`.
_POOLED = (7, 7)

# (dx, dy, dw, dh) -> (dy, dx, dh, dw).
_DELTA_ORDER = (1, 0, 3, 2)

# Our path -> the original's name without its last part. The first that matches is used.
_LAYERS = (
    (re.compile(r"stem/"), lambda m: "backbone.bottom_up.stem.conv1"),
    (
        re.compile(r"stage(\d)_block(\d+)_(conv\d|shortcut)/"),
        lambda m: f"backbone.bottom_up.res{m[1]}.{int(m[2]) - 1}.{m[3]}",
    ),
    (re.compile(r"fpn/(lateral|output)(\d)/"), lambda m: f"backbone.fpn_{m[1]}{m[2]}"),
    (re.compile(r"rpn/conv/"), lambda m: "proposal_generator.rpn_head.conv"),
    (re.compile(r"rpn/objectness/"), lambda m: "proposal_generator.rpn_head.objectness_logits"),
    (re.compile(r"rpn/deltas/"), lambda m: "proposal_generator.rpn_head.anchor_deltas"),
    (re.compile(r"box_head/(fc\d)/"), lambda m: f"roi_heads.box_head.{m[1]}"),
    (re.compile(r"box_head/class_logits/"), lambda m: "roi_heads.box_predictor.cls_score"),
    (re.compile(r"box_head/deltas/"), lambda m: "roi_heads.box_predictor.bbox_pred"),
    (re.compile(r"mask_head/conv(\d)/"), lambda m: f"roi_heads.mask_head.mask_fcn{m[1]}"),
    (re.compile(r"mask_head/deconv/"), lambda m: "roi_heads.mask_head.deconv"),
    (re.compile(r"mask_head/logits/"), lambda m: "roi_heads.mask_head.predictor"),
    # Every second layer of the original enlarges and has no weights.
    (re.compile(r"semantic_fpn/p(\d)_conv(\d)/"), lambda m: f"sem_seg_head.p{m[1]}.{2 * int(m[2]) - 2}"),
    (re.compile(r"semantic_fpn/logits/"), lambda m: "sem_seg_head.predictor"),
)

# Our path behind the layer -> the last part of the original's name.
_LEAVES = {
    "conv/kernel": "weight",
    "kernel": "weight",
    "bias": "bias",
    **{
        f"{norm}/{ours}": f"norm.{theirs}"
        for norm in ("batch_norm", "group_norm")
        for ours, theirs in (
            ("gamma", "weight"),
            ("beta", "bias"),
            ("moving_mean", "running_mean"),
            ("moving_variance", "running_var"),
        )
    },
}


# Of the channels of pixels in its files.
_ORDER = "blue, green, red"

# What the model zoo's Panoptic FPN and its ImageNet backbones were trained with; shapes alone do not tell.
_SETTINGS = {
    "normalization": "imagenet_mean",
    "backbone.stride_on": "1x1",
    "backbone.max_pool": True,
    "backbone.stem": "plain",
    "norm.kind": "frozen",
    "norm.epsilon": 1e-5,
    "instance.pooling.aligned": True,
    "instance.pooling.sampling_ratio": 0,
}


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint of Detectron2, keyed by its names; neither PyTorch nor code of the file is used.

    Args:
        path: of a `.pkl` of the model zoo or of a `.pth`, with the arrays under `model` or, as Caffe2 has it, `blobs`,
            or by themselves.

    Raises:
        InputError: no such file, another format, damaged, or a pickle that names anything but arrays, tensors and plain
            containers.
    """
    return read_pickled_arrays(path, ("model", "blobs"), _EXPECTED)


def load_variables(model, variables: Mapping[str, np.ndarray], reset_heads: bool = False) -> tuple[str, ...]:
    """Fills `model` from Detectron2's arrays: every array is used once, every weight is set once.

    Args:
        model: a Keras model whose weights have the paths of `models/panoptic_fpn.py`.
        variables: name -> array of floats, in PyTorch's layout; the `module.` of parallel training is optional, anchors
            and counters are passed over.
        reset_heads: leave class logits, box deltas, mask logits and semantic logits as they are.

    Returns:
        Paths of the weights that were left as they are.

    Raises:
        SettingError: a model of another architecture.
        InputError: arrays without a weight, weights without an array, shapes that differ, or a
            network that computes something else with these weights; nothing is set then.
    """
    if all(name.startswith("module.") for name in variables):
        variables = {name.removeprefix("module."): array for name, array in variables.items()}
    if caffe2_resnet.STEM in variables:
        raise InputError("weights of a backbone; --backbone-only converts them and leaves all others as initialised")
    require_architecture(model, ("panoptic_fpn",), _PROJECT)
    differing = [
        *differing_pixels("pixel_mean", variables.get("pixel_mean"), IMAGENET_MEAN[::-1], _ORDER),
        *differing_pixels("pixel_std", variables.get("pixel_std"), (1.0, 1.0, 1.0), _ORDER),
        *differing_settings(model, _SETTINGS),
    ]
    arrays = {name: _in_our_layout(name, a) for name, a in variables.items() if not _NOT_NETWORK.search(name)}
    return set_weights(model.weights, arrays, detectron2_name, _PROJECT, _HEADS, reset_heads, differing)


def load_backbone(model, variables: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Fills the backbone of `model` from an ImageNet classifier in Caffe2's names, and nothing else.

    Args:
        model: as `load_variables`.
        variables: name -> array of floats, in Caffe2's layout, which is PyTorch's.

    Returns:
        Paths of the weights that were left as they are: all but the backbone's.

    Raises:
        InputError: other names, the backbone is another one or computes something else with these weights; nothing is
            set then.
    """
    if caffe2_resnet.STEM not in variables:
        names = listed("found", variables)
        raise InputError(f"--backbone-only: expected {_CLASSIFIER}, such as {caffe2_resnet.STEM}; {names}")
    differing = differing_settings(model, _SETTINGS, ("backbone", "norm", "normalization"))
    arrays = {name: _in_our_layout(name, a) for name, a in caffe2_resnet.detectron2_arrays(variables).items()}
    weights = [weight for weight in model.weights if detectron2_name(weight.path).startswith(_BACKBONE)]
    set_weights(weights, arrays, detectron2_name, _CLASSIFIER, (), differing=differing)
    return tuple(w.path for w in model.weights if not detectron2_name(w.path).startswith(_BACKBONE))


def detectron2_name(path: str) -> str:
    """The original's name of the weight at `path` of our model; `path` itself where no rule knows it."""
    for pattern, name in _LAYERS:
        match = pattern.match(path)
        if match and path[match.end() :] in _LEAVES:
            return f"{name(match)}.{_LEAVES[path[match.end() :]]}"
    return path


def _in_our_layout(name: str, array: np.ndarray) -> np.ndarray:
    """An array of the original as Keras and our model hold it, float32."""
    array = np.asarray(array, np.float32)
    if name == _FIRST_DENSE and array.ndim == 2 and array.shape[1] % np.prod(_POOLED) == 0:
        array = array.reshape(len(array), -1, *_POOLED).transpose(0, 2, 3, 1).reshape(array.shape)
    if array.ndim == 4:  # (out, in, y, x); of the transposed convolution (in, out, y, x), and Keras' has out before in
        array = array.transpose(2, 3, 1, 0)
    elif array.ndim == 2:
        array = array.T
    if name == _STEM and array.ndim == 4:
        array = array[:, :, ::-1]
    if name.startswith((_BOX_DELTAS, _ANCHOR_DELTAS)) and array.shape[-1:] and array.shape[-1] % 4 == 0:
        array = array.reshape(*array.shape[:-1], -1, 4)[..., _DELTA_ORDER].reshape(array.shape)
    return array
