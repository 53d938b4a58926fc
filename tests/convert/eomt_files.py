"""Arrays of small EoMTs and of their backbones under the names of other projects, from names and shapes alone.

Source: the names are those of the published files, and of the converters of `transformers` (`models/eomt`,
`eomt_dinov3`, `dinov2_with_registers`, `dinov3_vit`), which name both sides.
"""

import re
from types import SimpleNamespace

import numpy as np

from tests.convert.weight import Weight
from tests.models.eomt_reference import recipe

WIDTH, DEPTH, QUERIES, CLASSES = 8, 3, 5, 4
PARTS = ("q_proj", "k_proj", "v_proj")


def hub_shapes(form, width=WIDTH, depth=DEPTH, queries=QUERIES, classes=CLASSES, grid=(4, 4)):
    """Name -> shape of an EoMT in the names of `transformers`."""
    learned = form == "dinov2"
    shapes = {"embeddings.cls_token": (1, 1, width), "embeddings.register_tokens": (1, 4, width)}

    def layer(name, *shape, outputs=None):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, (outputs or shape[0],)

    layer("embeddings.patch_embeddings" + (".projection" if learned else ""), width, 3, 16, 16)
    if learned:
        shapes["embeddings.position_embeddings.weight"] = (grid[0] * grid[1], width)
    out, up, down = ("out_proj", "fc1", "fc2") if learned else ("o_proj", "up_proj", "down_proj")
    for i in range(depth):
        for norm in ("norm1", "norm2"):
            layer(f"layers.{i}.{norm}", width)
        for part in (*PARTS, out):
            layer(f"layers.{i}.attention.{part}", width, width)
        if not learned:
            del shapes[f"layers.{i}.attention.k_proj.bias"]
        layer(f"layers.{i}.mlp.{up}", 4 * width, width)
        layer(f"layers.{i}.mlp.{down}", width, 4 * width)
        for scale in ("layer_scale1", "layer_scale2"):
            shapes[f"layers.{i}.{scale}.lambda1"] = (width,)
    layer("layernorm", width)
    shapes["query.weight"] = (queries, width)
    for block in range(2):
        layer(f"upscale_block.block.{block}.conv1", width, width, 2, 2)
        shapes[f"upscale_block.block.{block}.conv2.weight"] = (width, 1, 3, 3)
        layer(f"upscale_block.block.{block}.layernorm2d", width)
    for number in (1, 2, 3):
        layer(f"mask_head.fc{number}", width, width)
    layer("class_predictor", classes + 1, width)
    return shapes


def hub_arrays(form, **sizes):
    """An EoMT in the names of `transformers`."""
    return {name: recipe.weight(name, shape) for name, shape in hub_shapes(form, **sizes).items()}


def renamed(arrays, *rules):
    """The arrays by other names; each name goes through all rules, (pattern, replacement)."""
    named = {}
    for name, array in arrays.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        assert name not in named
        named[name] = array
    return named


def fused(arrays, path):
    """The arrays with queries, keys and values in one array, named `path` in their block; no key bias becomes zeros."""
    rest = {name: array for name, array in arrays.items() if not re.search("[qkv]_proj", name)}
    blocks = sorted({m[1] for name in arrays if (m := re.match(r"(.*)q_proj\.weight", name))})
    for start in blocks:
        for leaf in ("weight", "bias"):
            zeros = np.zeros_like(arrays[f"{start}q_proj.{leaf}"])
            parts = [arrays.get(f"{start}{part}.{leaf}", zeros) for part in PARTS]
            rest[f"{start.removesuffix('attention.')}{path}.{leaf}"] = np.concatenate(parts)
    return rest


def authors_arrays(arrays, form, buffers=True):
    """The arrays of `hub_arrays` by the names of the authors' repository."""
    common = (
        (r"^query\.", "network.q."),
        (r"^class_predictor\.", "network.class_head."),
        *((rf"^mask_head\.fc{1 + i // 2}\.", f"network.mask_head.{i}.") for i in (0, 2, 4)),
        (r"^upscale_block\.block\.(\d)\.layernorm2d", r"network.upscale.\1.norm"),
        (r"^upscale_block\.block\.", "network.upscale."),
        (r"^layernorm\.", "network.encoder.backbone.norm."),
        (r"^layers\.", "network.encoder.backbone.blocks."),
    )
    if form == "dinov2":
        arrays = fused(arrays, "attn.qkv")
        own = (
            (r"attention\.out_proj", "attn.proj"),
            (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
            (r"^embeddings\.register_tokens", "network.encoder.backbone.reg_token"),
            (r"^embeddings\.position_embeddings\.weight", "network.encoder.backbone.pos_embed"),
            (r"^embeddings\.patch_embeddings\.projection", "network.encoder.backbone.patch_embed.proj"),
            (r"^embeddings\.", "network.encoder.backbone."),
        )
    else:
        own = ((r"^embeddings\.", "network.encoder.backbone.patch_embed."),)
    named = renamed(arrays, *own, *common)
    if form == "dinov2":
        named["network.encoder.backbone.pos_embed"] = named["network.encoder.backbone.pos_embed"][None]
    if buffers:
        named["network.attn_mask_probs"] = np.zeros(3, "float32")
        named["network.encoder.pixel_mean"] = np.array([0.485, 0.456, 0.406], "float32").reshape(1, 3, 1, 1)
        named["network.encoder.pixel_std"] = np.array([0.229, 0.224, 0.225], "float32").reshape(1, 3, 1, 1)
        named["criterion.empty_weight"] = np.array([1.0] * CLASSES + [0.1], "float32")
    return named


def backbone_of(arrays):
    """The backbone's part of `hub_arrays`."""
    parts = ("embeddings.", "layers.", "layernorm.")
    return {name: array for name, array in arrays.items() if name.startswith(parts)}


def meta_backbone(arrays, form):
    """The backbone of `hub_arrays` by the names of Meta's own files."""
    arrays = renamed(
        fused(backbone_of(arrays), "attn.qkv"),
        (r"attention\.(out|o)_proj", "attn.proj"),
        (r"mlp\.up_proj", "mlp.fc1"),
        (r"mlp\.down_proj", "mlp.fc2"),
        (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"),
        (r"^layers\.", "blocks."),
        (r"^layernorm\.", "norm."),
        (r"^embeddings\.patch_embeddings(\.projection)?", "patch_embed.proj"),
        (r"^embeddings\.position_embeddings\.weight", "pos_embed"),
        (r"^embeddings\.register_tokens", "register_tokens" if form == "dinov2" else "storage_tokens"),
        (r"^embeddings\.", ""),
    )
    arrays["mask_token"] = np.ones((1, WIDTH), "float32")
    if form == "dinov3":
        arrays["rope_embed.periods"] = np.ones(2, "float32")
        for name in [name for name in arrays if name.endswith("qkv.bias")]:
            third = np.ones(len(arrays[name]) // 3, "float32")
            arrays[f"{name}_mask"] = np.concatenate([third, 0 * third, third])
            # What the file holds for the keys does not matter.
            arrays[name] = arrays[name] + np.concatenate([0 * third, np.nan * third, 0 * third])
    return arrays


def hub_backbone(arrays, form):
    """The backbone of `hub_arrays` by the names of `transformers`' files of the backbone alone."""
    arrays = backbone_of(arrays)
    if form == "dinov3":
        arrays = renamed(arrays, (r"^layers\.", "layer."), (r"^layernorm\.", "norm."))
    else:
        arrays = renamed(
            arrays,
            (r"^layers\.", "encoder.layer."),
            (r"attention\.q_proj", "attention.attention.query"),
            (r"attention\.k_proj", "attention.attention.key"),
            (r"attention\.v_proj", "attention.attention.value"),
            (r"attention\.out_proj", "attention.output.dense"),
            (r"position_embeddings\.weight", "position_embeddings"),
        )
    return {**arrays, "embeddings.mask_token": np.ones((1, WIDTH), "float32")}


def eomt_weights(form, width=WIDTH, depth=DEPTH, queries=QUERIES, classes=CLASSES, grid=(4, 4)):
    """The weights of our EoMT, by path."""
    learned = form == "dinov2"
    shapes = {"tokens/class_token": (1, 1, width), "tokens/register_tokens": (1, 4, width)}

    def layer(name, *shape):
        shapes[f"{name}/kernel"], shapes[f"{name}/bias"] = shape, (shape[-1],)

    def norm(name):
        shapes[f"{name}/gamma"] = shapes[f"{name}/beta"] = (width,)

    layer("patch_embedding", 16, 16, 3, width)
    if learned:
        shapes["tokens/positions"] = (grid[0] * grid[1], width)
    for i in range(depth):
        for part in ("query", "key", "value", "out"):
            layer(f"block{i}/{part}", width, width)
        if not learned:
            del shapes[f"block{i}/key/bias"]
        layer(f"block{i}/fc1", width, 4 * width)
        layer(f"block{i}/fc2", 4 * width, width)
        for number in (1, 2):
            norm(f"block{i}/norm{number}")
            shapes[f"block{i}/scale{number}"] = (width,)
    norm("final_norm")
    shapes["queries/table"] = (queries, width)
    for number in (1, 2):
        layer(f"upscale{number}/deconv", 2, 2, width, width)
        shapes[f"upscale{number}/depthwise/kernel"] = (3, 3, width, 1)
        norm(f"upscale{number}/norm")
    for number in (1, 2, 3):
        layer(f"mask_head/fc{number}", width, width)
    layer("class_head", width, classes + 1)
    return SimpleNamespace(weights=[Weight(path, shape) for path, shape in shapes.items()])
