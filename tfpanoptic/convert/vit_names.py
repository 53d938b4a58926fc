"""Names of vision transformers and of EoMT in other projects' files -> our paths and Keras' layout.

Known are EoMT's own files and those of `transformers`, each with DINOv2 and DINOv3, and the backbones alone: Meta's
files, those of `transformers`, and timm's of DINOv2.

Source: the names of the published checkpoints, and the converters of `transformers` (`models/eomt`, `eomt_dinov3`,
`dinov2_with_registers`, `dinov3_vit`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from tfpanoptic.errors import InputError

CLASS_TOKEN = "tokens/class_token"
POSITIONS = "tokens/positions"
KERNEL = "patch_embedding/kernel"
QUERIES = "queries/table"
# Axes of what is looked into before a model's weights are compared with it.
_AXES = {CLASS_TOKEN: 3, POSITIONS: 2, KERNEL: 4, QUERIES: 2}
# Start of the paths of a backbone.
BACKBONE = re.compile(r"(patch_embedding|tokens|block\d+|final_norm)/")
# With a bias of the keys; a masked one is none.
_BIAS_MASK = re.compile(r"(.*\.attn\.qkv\.bias)_mask$")

# What parallel training, compilation and the classes of `transformers` put before a name, or into it.
_WRAPPERS = re.compile(r"^module\.|_orig_mod\.|^network\.|^model\.|^dinov2_with_registers\.")
# What has no weight here: the token of masked patches, frequencies of rotary positions, buffers of training.
_NOT_NETWORK = re.compile(
    r"(^|\.)(mask_token|rope_embed(dings)?\.\w+|num_batches_tracked|attn_mask_probs|pixel_mean|pixel_std)$|^criterion\."
)

_TOP = r"^(?:encoder\.backbone\.)?"
_BLOCK = rf"{_TOP}(?:encoder\.layer|layers|layer|blocks)\.(\d+)\."
# Start of a name -> start of our path; the first that matches is used. What follows is looked up in `_LEAVES`.
_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (rf"{_BLOCK}norm([12])\.", r"block\1/norm\2/"),
        (rf"{_BLOCK}attention\.(?:attention\.)?q(?:uery|_proj)\.", r"block\1/query/"),
        (rf"{_BLOCK}attention\.(?:attention\.)?k(?:ey|_proj)\.", r"block\1/key/"),
        (rf"{_BLOCK}attention\.(?:attention\.)?v(?:alue|_proj)\.", r"block\1/value/"),
        (rf"{_BLOCK}(?:attn\.proj|attention\.(?:out_proj|o_proj|output\.dense))\.", r"block\1/out/"),
        (rf"{_BLOCK}attn\.qkv\.", r"block\1/qkv/"),
        (rf"{_BLOCK}(?:ls|layer_scale)([12])\.(?:gamma|lambda1)$", r"block\1/scale\2"),
        (rf"{_BLOCK}mlp\.(?:fc1|up_proj)\.", r"block\1/fc1/"),
        (rf"{_BLOCK}mlp\.(?:fc2|down_proj)\.", r"block\1/fc2/"),
        (rf"{_TOP}(?:embeddings\.|patch_embed\.)?cls_token$", CLASS_TOKEN),
        (rf"{_TOP}(?:embeddings\.|patch_embed\.)?(?:reg|register|storage)_tokens?$", "tokens/register_tokens"),
        (rf"{_TOP}(?:embeddings\.position_embeddings(?:\.weight)?|pos_embed)$", POSITIONS),
        (
            rf"{_TOP}(?:embeddings\.patch_embeddings|patch_embed\.patch_embeddings|patch_embed)"
            r"\.(?:proj(?:ection)?\.)?(?=weight$|bias$)",
            "patch_embedding/",
        ),
        (rf"{_TOP}(?:layer)?norm\.", "final_norm/"),
        (r"^(?:query|q)\.weight$", "queries/table"),
        (r"^class_(?:predictor|head)\.", "class_head/"),
        (r"^mask_head\.(?:fc1|0)\.", "mask_head/fc1/"),
        (r"^mask_head\.(?:fc2|2)\.", "mask_head/fc2/"),
        (r"^mask_head\.(?:fc3|4)\.", "mask_head/fc3/"),
        (r"^upscale(?:_block\.block)?\.0\.", "upscale1/"),
        (r"^upscale(?:_block\.block)?\.1\.", "upscale2/"),
    )
)
_LEAVES = {"weight": "kernel", "bias": "bias"}
_NORM_LEAVES = {"weight": "gamma", "bias": "beta"}
_UPSCALE_LEAVES = {
    "conv1.weight": "deconv/kernel",
    "conv1.bias": "deconv/bias",
    "conv2.weight": "depthwise/kernel",
    **{f"{norm}.{leaf}": f"norm/{ours}" for norm in ("norm", "layernorm2d") for leaf, ours in _NORM_LEAVES.items()},
}
# A gated network in place of two layers with GELU: the sizes giant, S+, H+ and 7B.
_GATED = re.compile(rf"{_BLOCK}mlp\.(w12|w[123]|gate_proj|weights_in|weights_out)\.")


# Ends of the names of what `Buffers` holds.
BUFFERS = ("attn_mask_probs", "pixel_mean", "pixel_std")


class Buffers(NamedTuple):
    """What a file says beside its weights; None where it does not.

    Attributes:
        attention_masks: probability of masked attention in each query block.
        pixel_mean: of red, green and blue, of pixels 0..1.
        pixel_deviation: likewise.
    """

    attention_masks: np.ndarray | None
    pixel_mean: np.ndarray | None
    pixel_deviation: np.ndarray | None


def read_buffers(variables: Mapping[str, np.ndarray]) -> Buffers:
    """The buffers among the arrays of a file, by its names."""
    named = _by_short_name(variables)
    values = [next((array for name, array in named.items() if name.endswith(end)), None) for end in BUFFERS]
    return Buffers(*(None if value is None else np.asarray(value, np.float64).ravel() for value in values))


def our_arrays(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a file by our paths, float32, in Keras' layout; names that no rule knows stay.

    Queries, keys and values that are one array are three here; a bias of the keys that is masked is left out. Where the
    table of positions begins with that of the class token, this is added to the token, as timm does.

    Args:
        variables: name -> array in PyTorch's layout; what has a path of ours already stays.

    Raises:
        InputError: two arrays of one weight, a transformer with gated layers, or an array of another number of axes.
    """
    named = _by_short_name(variables)
    gated = next((name for name in named if _GATED.match(name)), None)
    if gated:
        raise InputError(f"{gated}: gated layers, as the sizes S+, H+, giant and 7B have them, are not known here")
    masked = {match[1] for name in named if (match := _BIAS_MASK.match(name))}
    arrays: dict[str, np.ndarray] = {}
    for name, array in named.items():
        if _NOT_NETWORK.search(name) or _BIAS_MASK.match(name):
            continue
        for path, part in _parts(name, np.asarray(array, np.float32)):
            if name in masked and path.endswith("/key/bias"):
                continue
            if path in arrays:
                raise InputError(f"{name}: a second array for {path}")
            arrays[path] = part
    for path, axes in _AXES.items():
        given = arrays.get(path)
        if given is not None and (given.ndim != axes or not given.size):
            raise InputError(f"{path}: expected an array of {axes} axes with numbers, found shape {given.shape}")
    _fold_class_position(arrays, variables)
    return arrays


def our_path(name: str) -> str:
    """The path of ours of the array `name`; `name` itself where no rule knows it."""
    for pattern, replacement in _RULES:
        match = pattern.match(name)
        if not match:
            continue
        start, leaf = match.expand(replacement), name[match.end() :]
        leaves = _LEAVES
        if start.startswith("upscale"):
            leaves = _UPSCALE_LEAVES
        elif re.search(r"norm\d?/$", start):
            leaves = _NORM_LEAVES
        if not start.endswith("/"):
            return start if not leaf else name
        return start + leaves[leaf] if leaf in leaves else name
    return name


def _by_short_name(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays by their names without what stands for no layer of the network."""
    named: dict[str, np.ndarray] = {}
    for name, array in variables.items():
        short, before = name, ""
        while short != before:
            short, before = _WRAPPERS.sub("", short), short
        if short in named:
            raise InputError(f"{name}: a second array of {short}")
        named[short] = array
    return named


def _parts(name: str, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Path and array of ours, or three of each of queries, keys and values in one."""
    if "/" in name:  # ours
        yield name, array
        return
    path = our_path(name)
    if "/qkv/" in path and array.ndim and len(array) % 3 == 0:
        for part, third in zip(("query", "key", "value"), np.split(array, 3), strict=True):
            yield path.replace("/qkv/", f"/{part}/"), _in_our_layout(path, third)
    else:
        yield path, _in_our_layout(path, array)


def _in_our_layout(path: str, array: np.ndarray) -> np.ndarray:
    """An array in Keras' layout."""
    if path == POSITIONS:
        return array.reshape(array.shape[-2:]) if array.ndim == 3 and len(array) == 1 else array
    if not path.endswith("/kernel"):
        return array
    if array.ndim == 4:
        # (out, in, y, x); of the transposed convolution (in, out, y, x), where Keras has out before in; of the
        # depthwise one (channels, 1, y, x), where Keras has the 1 last.
        return array.transpose(2, 3, 0, 1) if path.endswith("depthwise/kernel") else array.transpose(2, 3, 1, 0)
    return array.T


def _fold_class_position(arrays: dict[str, np.ndarray], variables: Mapping[str, np.ndarray]) -> None:
    """Adds the class token's position to the token, in the files of backbones that have one.

    Source: timm `vision_transformer.py`, `_convert_dinov2`.
    """
    positions, token = arrays.get(POSITIONS), arrays.get(CLASS_TOKEN)
    alone = any(name.endswith(("embeddings.position_embeddings", "pos_embed")) for name in variables)
    of_eomt = any("backbone." in name for name in variables)
    if positions is None or token is None or not alone or of_eomt:
        return
    if square_side(len(positions) - 1):
        arrays[CLASS_TOKEN] = token + positions[0]
        arrays[POSITIONS] = positions[1:]


def square_side(count: int) -> int:
    """Side of a square grid of so many cells; 0 where there is none."""
    side = round(count**0.5)
    return side if side * side == count else 0
