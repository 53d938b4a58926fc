"""Weights of DeepLab2's TensorFlow checkpoints.

A checkpoint names variables by the attributes of the original's object graph, such as
`encoder/_stage4/_block6/_conv3_bn/_batch_norm/gamma`. Each of our variables has exactly one such name, found by the
rules below; arrays are renamed, never cut or invented. One kind loses its axes: batch normalisations inside axial
attention have a shape such as (3, 1, 8, 1, 1) there, and are a list of channels in the same order here.

Source: the variable names of DeepLab2's published checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.convert.fitting import Head, differing_settings, require_architecture, set_weights
from tfpanoptic.errors import InputError

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"

_EXPECTED = "a TensorFlow checkpoint of DeepLab2, by its path without .index or by its folder"
_PROJECT = "DeepLab2's Panoptic-DeepLab or Axial-DeepLab"

# What a training checkpoint holds beside the network.
_NOT_NETWORK = re.compile(
    r"(^|/)(\.OPTIMIZER_SLOT|_CHECKPOINTABLE_OBJECT_GRAPH|save_counter|global_step)(/|$)|^optimizer/"
)

# Batch normalisations that keep the axes of what they normalise, one channel after the other.
_OF_CHANNELS = re.compile(r"/_batch_norm_(similarity|retrieved_output)/")

# Its channels include void where the model has one.
_HEADS = (Head("semantic_last_layer/", "semantic logits", "channels"),)

# A block of a stage, the original's, and of that one axis of its attention.
_BLOCK = r"((?:decoder_)?stage\d)_block(\d+)"
_THEIRS = r"encoder/_\1/_block\2"
_AXIS = rf"{_THEIRS}/_attention/_\3"

# The stacked decoder of MaX-DeepLab-L's backbone. It stands in checkpoints of Axial-DeepLab, which does not read it.
_DECODER = "decoder_stage"

# Start of our path -> start of the original's. The first that matches is used.
_PREFIXES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"stem/", r"encoder/_stem/"),
        (r"stem_conv([12])/", r"encoder/_stem/_conv\1_bn_act/"),
        (r"stem_conv3/", r"encoder/_stem/_conv3_bn/"),
        (rf"{_BLOCK}_conv([12])/", rf"{_THEIRS}/_conv\3_bn_act/"),
        (rf"{_BLOCK}_conv2_linear/", rf"{_THEIRS}/_conv2_bn/"),
        (rf"{_BLOCK}_conv3/", rf"{_THEIRS}/_conv3_bn/"),
        (rf"{_BLOCK}_squeeze_excite/conv/", rf"{_THEIRS}/_squeeze_and_excite/_se_conv/"),
        (rf"{_BLOCK}_shortcut/", rf"{_THEIRS}/_shortcut/"),
        (rf"{_BLOCK}_attention/(\w+)/qkv_norm/", rf"{_AXIS}/_batch_norm_qkv/"),
        (rf"{_BLOCK}_attention/(\w+)/logit_norm/", rf"{_AXIS}/_batch_norm_similarity/"),
        (rf"{_BLOCK}_attention/(\w+)/output_norm/", rf"{_AXIS}/_batch_norm_retrieved_output/"),
        (rf"{_BLOCK}_attention/(\w+)/(\w+)_positions$", rf"{_AXIS}/_\4_rpe/embeddings"),
        (rf"{_BLOCK}_attention/(\w+)/", rf"{_AXIS}/"),
        (r"(decoder_stage\d)_resized_fuse_(\w+)_conv1/", r"encoder/_\1_resized_fuse/_\2_conv_bn1/"),
        (r"block(\d+)_conv/", r"encoder/_blocks/\1/"),
        (r"block(\d+)_expand/", r"encoder/_blocks/\1/_conv1_bn_act/"),
        (r"block(\d+)_depthwise/", r"encoder/_blocks/\1/_conv2_bn_act/"),
        (r"block(\d+)_squeeze_excite/(\w+)/", r"encoder/_blocks/\1/_squeeze_excitation/_se_\2/"),
        (r"block(\d+)_project/", r"encoder/_blocks/\1/_conv3_bn/"),
        (r"(semantic|instance)_aspp/pointwise/", r"\1_decoder/_aspp/_conv_bn_act/"),
        (r"(semantic|instance)_aspp/atrous(\d)/", r"\1_decoder/_aspp/_aspp_conv\2/_conv_bn_act/"),
        (r"(semantic|instance)_aspp/pool/", r"\1_decoder/_aspp/_aspp_pool/_conv_bn_act/"),
        (r"(semantic|instance)_aspp/project/", r"\1_decoder/_aspp/_proj_conv_bn_act/"),
        (r"(semantic|instance)_projection/", r"\1_decoder/_aspp/_proj_conv_bn_act/"),
        (r"(semantic|instance)_decoder/reduce(\d)/", r"\1_decoder/_low_level_conv\2/"),
        (r"(semantic|instance)_decoder/fuse(\d)/(\w+)/", r"\1_decoder/_fusion_conv\2/_conv1_bn_act/_\3/"),
        (r"semantic_head/hidden/(\w+)/", r"semantic_head_without_last_layer/_conv1_bn_act/_\1/"),
        (r"semantic_head/predict/", r"semantic_last_layer/"),
        (r"center_head/hidden/(\w+)/", r"instance_center_head_without_last_layer/_conv1_bn_act/_\1/"),
        (r"center_head/predict/", r"instance_center_head_last_layer/"),
        (r"offset_head/hidden/(\w+)/", r"instance_regression_head_without_last_layer/_conv1_bn_act/_\1/"),
        (r"offset_head/predict/", r"instance_regression_head_last_layer/"),
    )
)


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a TensorFlow checkpoint that belong to the network, keyed by the original's names.

    Args:
        path: of the checkpoint without `.index`, or of a folder, whose latest checkpoint is read.

    Raises:
        InputError: no checkpoint there.
    """
    import tensorflow as tf

    prefix = str(path).removesuffix(".index")
    if not Path(f"{prefix}.index").is_file() and not Path(prefix).is_dir():
        raise InputError(f"{path}: {_kind(Path(path))}; expected {_EXPECTED}")
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = [name for name in reader.get_variable_to_shape_map() if not _NOT_NETWORK.search(name)]
        return {name.removesuffix(SUFFIX): reader.get_tensor(name) for name in names}
    except (ValueError, tf.errors.OpError) as error:
        raise InputError(f"{path}: not a TensorFlow checkpoint ({' '.join(str(error).split())})") from None


def _kind(path: Path) -> str:
    """What is at the path instead of a checkpoint."""
    if not path.is_file():
        return "no such checkpoint"
    return "not a TensorFlow checkpoint" if path.stat().st_size else "an empty file"


def load_variables(model, variables: Mapping[str, np.ndarray], reset_heads: bool = False) -> tuple[str, ...]:
    """Fills `model` from DeepLab2's arrays: every array is used once, every weight is set once.

    Args:
        model: a `PanopticSegmenter` of Panoptic-DeepLab or Axial-DeepLab, or a network of one.
        variables: name -> array; the suffix of checkpoint files is optional. Optimizer slots, save counters, the
            global step, and a stacked decoder that the model does not read are passed over.
        reset_heads: leave the last layer of the semantic head as it is.

    Returns:
        Paths of the weights that were left as they are.

    Raises:
        SettingError: a model of another architecture.
        InputError: arrays without a weight, weights without an array, shapes that differ, or a setting with which the
            model computes something else with these weights; nothing is set then.
    """
    require_architecture(model, ("panoptic_deeplab", "axial_deeplab"), _PROJECT)
    arrays = {name.removesuffix(SUFFIX): value for name, value in variables.items() if not _NOT_NETWORK.search(name)}
    if not any(weight.path.startswith(_DECODER) for weight in model.weights):
        arrays = {name: x for name, x in arrays.items() if not name.startswith(f"encoder/_{_DECODER}")}
    arrays = {name: np.ravel(x) if _OF_CHANNELS.search(name) else x for name, x in arrays.items()}
    differing = differing_settings(model, _settings(model))
    return set_weights(model.weights, arrays, deeplab2_name, _PROJECT, _HEADS, reset_heads, differing)


def _settings(model) -> dict[str, Any]:
    """What DeepLab2's networks are computed with; shapes alone do not tell.

    Source: `model/encoder`, and `epsilon` of the configurations: 1e-5 with MobileNetV3, else the default of 1e-3.
    """
    backbone = model.experiment.model.backbone.name if hasattr(model, "experiment") else ""
    return {
        "normalization": "symmetric",
        "align_corners": True,
        "norm.epsilon": 1e-5 if backbone.startswith("mobilenet") else 1e-3,
        "backbone.padding": "symmetric",
        "backbone.gate": "sigmoid",
        "backbone.stride_on": "3x3",
        "backbone.max_pool": False,
    }


def deeplab2_name(path: str) -> str:
    """The original's name of the weight at `path` of our model; `path` itself where no rule knows it."""
    for pattern, replacement in _PREFIXES:
        match = pattern.match(path)
        if match:
            name = match.expand(replacement) + path[match.end() :]
            name = re.sub(
                r"(_depthwise|blocks/\d+/_conv2_bn_act)/conv/kernel$", r"\1/_depthwise_conv/depthwise_kernel", name
            )
            name = re.sub(r"/switch/(\w+)$", r"/_conv/_switch/\1", name)
            name = re.sub(r"/(pre|post)_context/conv/(\w+)$", r"/_\1_global_context/convolution/\2", name)
            return re.sub(r"/(conv/kernel|batch_norm/\w+)$", r"/_\1", name)
    return path
