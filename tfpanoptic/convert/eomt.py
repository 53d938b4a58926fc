"""Weights of EoMT, and of the vision transformers from which its training starts.

Files of the authors' repository and of `transformers` hold the same network under other names (`vit_names.py`). Those
with DINOv3 are published as differences (`dinov3_differences.py`).

Source: EoMT's `models/eomt.py`, `models/vit.py` and `model_zoo/`; `transformers` `models/eomt`, `models/eomt_dinov3`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.convert import dinov3_differences
from tfpanoptic.convert.fitting import Head, differing_pixels, differing_settings, require_architecture, set_weights
from tfpanoptic.convert.pickled_arrays import read_pickled_arrays, require_content
from tfpanoptic.convert.safetensors_file import is_index, is_safetensors, read_index, read_safetensors
from tfpanoptic.convert.vit_fitting import fit_kernel, fit_positions, form_of, require_same_network, resampling_notes
from tfpanoptic.convert.vit_names import BACKBONE, CLASS_TOKEN, QUERIES, our_arrays, read_buffers
from tfpanoptic.errors import InputError
from tfpanoptic.layers.normalize_image import IMAGENET_DEVIATION, IMAGENET_MEAN

_EXPECTED = "expected a checkpoint of EoMT or of its backbone: .safetensors, its .index.json, or PyTorch's .bin or .pth"
_PROJECT = "EoMT"
_TRANSFORMER = "a vision transformer of DINOv2 (with registers) or DINOv3"
_REGISTERS = "tokens/register_tokens"
_HEADS = (Head("class_head/", "class logits", outputs_beside=1),)  # no object

# Of pixels 0..1. Source: EoMT `models/vit.py`, from the configurations of the backbones.
_PIXEL_MEAN, _PIXEL_DEVIATION = (
    tuple(value / 255 for value in values) for values in (IMAGENET_MEAN, IMAGENET_DEVIATION)
)

# Nothing is known of an EoMT's own licence from its arrays. Source: the repositories of DINOv2 and DINOv3.
_LICENCES = {"dinov2": "of the backbone, DINOv2: Apache-2.0", "dinov3": dinov3_differences.LICENCE}

add_backbone = dinov3_differences.add_backbone


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a checkpoint, keyed by its names; neither PyTorch nor code of the file is used.

    Args:
        path: of a `.safetensors`, of the `.index.json` beside several files, or of a file of PyTorch with the arrays
            under `state_dict`, `model` or by themselves.

    Raises:
        InputError: no such file, another format, damaged, or a pickle that names anything but arrays, tensors and plain
            containers.
    """
    path = Path(path)
    require_content(path, _EXPECTED)
    return read_index(path, _read_file) if is_index(path) else _read_file(path)


def _read_file(path: Path) -> dict[str, np.ndarray]:
    require_content(path, _EXPECTED)
    if is_safetensors(path):
        return read_safetensors(path)
    return read_pickled_arrays(path, ("state_dict", "model"), _EXPECTED)


def load_variables(model, variables: Mapping[str, np.ndarray], reset_heads: bool = False) -> tuple[str, ...]:
    """Fills `model` from EoMT's arrays: every array is used once, every weight is set once.

    Learned positions are resampled to the model's grid; `notes` says so.

    Args:
        model: a Keras model whose weights have the paths of `models/eomt.py`.
        variables: name -> array of floats, in PyTorch's layout, or as `add_backbone` gives them.
        reset_heads: leave the class logits as they are.

    Returns:
        Paths of the weights that were left as they are.

    Raises:
        SettingError: a model of another architecture.
        InputError: arrays without a weight, weights without an array, shapes that differ, differences without their
            backbone, or a network that computes something else with these weights; nothing is set then.
    """
    require_architecture(model, ("eomt",), _PROJECT)
    arrays = our_arrays(variables)
    if CLASS_TOKEN in arrays and QUERIES not in arrays:
        raise InputError("weights of a backbone; --backbone-only converts them and leaves all others as initialised")
    if CLASS_TOKEN not in variables:  # paths of ours: what `add_backbone` made is whole
        dinov3_differences.require_whole(arrays)
    require_same_network(arrays, model)
    fit_positions(arrays, model)
    buffers = read_buffers(variables)
    expected: dict[str, Any] = {"normalization": "imagenet"}
    if buffers.attention_masks is not None:
        expected["query_blocks"] = len(buffers.attention_masks)
    differing = [
        *differing_pixels("pixel_mean", buffers.pixel_mean, _PIXEL_MEAN),
        *differing_pixels("pixel_deviation", buffers.pixel_deviation, _PIXEL_DEVIATION),
        *differing_settings(model, expected),
    ]
    return set_weights(model.weights, arrays, str, _PROJECT, _HEADS, reset_heads, differing)


def load_backbone(model, variables: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Fills the backbone of `model` from DINOv2 (with registers) or DINOv3, and nothing else.

    A kernel for patches of 14 x 14 is resampled to 16 x 16, and positions to the model's grid; `notes` says so.

    Args:
        model: as `load_variables`.
        variables: name -> array of floats, in PyTorch's layout, of Meta's files, of `transformers` or of timm.

    Returns:
        Paths of the weights that were left as they are: all but the backbone's.

    Raises:
        SettingError: a model of another architecture.
        InputError: another network, or the backbone is another one; nothing is set then.
    """
    require_architecture(model, ("eomt",), _TRANSFORMER)
    arrays = our_arrays(variables)
    if QUERIES in arrays:
        raise InputError(f"--backbone-only: expected {_TRANSFORMER}, found all of an EoMT")
    if CLASS_TOKEN in arrays and _REGISTERS not in arrays:
        raise InputError(
            f"--backbone-only: expected {_TRANSFORMER}, found one without registers; DINOv2's files with them have "
            "reg4 or with-registers in their names"
        )
    require_same_network(arrays, model)
    fit_positions(arrays, model)
    fit_kernel(arrays, model)
    weights = [weight for weight in model.weights if BACKBONE.match(weight.path)]
    set_weights(weights, arrays, str, _TRANSFORMER, ())
    return tuple(weight.path for weight in model.weights if not BACKBONE.match(weight.path))


def notes(model, variables: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """What a conversion changes, and what it passes over with a meaning, a line each."""
    lines = resampling_notes(our_arrays(variables), model)
    masks = read_buffers(variables).attention_masks
    if masks is not None and masks.any():
        values = ", ".join(f"{value:g}" for value in masks)
        lines.append(
            f"attn_mask_probs: ({values}), expected 0: of a training that had not done without masked attention yet; "
            "inference here has none"
        )
    return tuple(lines)


def licence(variables: Mapping[str, np.ndarray]) -> str:
    """What is known of the licence of weights made of these arrays; empty where nothing is."""
    arrays = our_arrays(variables)
    return _LICENCES[form_of(arrays)] if CLASS_TOKEN in arrays else ""
