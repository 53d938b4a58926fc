"""The five losses of DeeperLab, at input size.

Source: Yang et al. 2019, sections 3.2 and 3.3. Own choices, as the paper's are not known in detail:

- Offsets count in radii of the disks, which keeps the terms of small and large images alike (Papandreou et al. 2018,
  PersonLab, divides short offsets so). `keypoint` and `long` are means over the five keypoints, as `short` and `middle`
  are over theirs. Neither is a setting: another unit, or a sum in place of a mean, multiplies a term by a constant, as
  its weight in `loss_weights` does: a weight for pixels is multiplied by the radius here, one for sums by five.
- Offsets are taught as the heads give them: the paper refines them in inference.
- The heatmap teaches where it is 0 as well, but not on void and crowds.
- The semantic term is the mean over its kept pixels that cost anything, as in DeepLab2.
"""

from __future__ import annotations

from keras import ops

from tfpanoptic.losses.classification import hard_pixel_cross_entropy
from tfpanoptic.ops.bilinear_points import cell_positions
from tfpanoptic.ops.center_offset import enlarge_offset
from tfpanoptic.ops.keypoint_graph import EDGES, KEYPOINTS, offsets_of
from tfpanoptic.ops.resize import resize_bilinear


def deeperlab_loss(
    outputs: dict, targets: dict, channels: tuple[int, ...], radius: int, top_k_fraction: float, align_corners: bool
) -> dict:
    """Unweighted loss terms of each image; all but `semantic` are sums, to be divided by `deeperlab_counts`.

    Args:
        outputs: `semantic_logits` `[B, h, w, K]`, `keypoint_logits` `[B, h, w, 5]`, and in pixels of that grid
            `short_offset` and `long_offset` `[B, h, w, 10]` and `middle_offset` `[B, h, w, 16]`.
        targets: a batch of what `targets.keypoints` returns, `[B, ...]`.
        channels: category id of each of the K channels.
        radius: of the disks, in pixels.
        top_k_fraction: share of the pixels that the semantic term keeps.
        align_corners: the grid rule of the enlargement.

    Returns:
        `semantic`, `keypoint`, `short`, `middle` and `long`, float32 `[B]` each.
    """
    size = ops.shape(targets["semantic"])[1:3]

    def enlarge(name):
        return resize_bilinear(ops.cast(outputs[name], "float32"), size, align_corners)

    def offset(name):
        return enlarge_offset(ops.cast(outputs[name], "float32"), size, align_corners) / float(radius)

    position = ops.reshape(cell_positions(size), (1, *size, 2))
    disk, instance = targets["disk"], targets["instance"]
    kinds = range(len(KEYPOINTS))
    short, middle, long = (offset(f"{name}_offset") for name in ("short", "middle", "long"))

    def error(predicted, kind, place):
        """Distance along the axes between where an offset points and the keypoint of the instance at `place`."""
        keypoint = ops.cast(_of_places(targets["keypoints"][:, :, kind], place), "float32")
        difference = ops.abs(predicted - (keypoint - position) / float(radius))
        return ops.sum(ops.where(place >= 0, ops.mean(difference, axis=-1), 0.0), axis=(1, 2))

    return {
        "semantic": hard_pixel_cross_entropy(
            enlarge("semantic_logits"), targets["semantic"], targets["semantic_weight"], channels, top_k_fraction
        ),
        "keypoint": _heatmap_cross_entropy(enlarge("keypoint_logits"), disk >= 0, targets["keypoint_weight"]),
        "short": sum(error(offsets_of(short, kind), kind, disk[..., kind]) for kind in kinds),
        "middle": sum(
            error(offsets_of(middle, edge), end, disk[..., start]) for edge, (start, end) in enumerate(EDGES)
        ),
        "long": sum(error(offsets_of(long, kind), kind, instance) for kind in kinds) / len(KEYPOINTS),
    }


def deeperlab_counts(targets: dict) -> dict:
    """What the terms of `deeperlab_loss` are divided by over the global batch, float32 `[B]` each.

    Pixels that the heatmap learns from; pixels of the disks, of each keypoint and of each edge's start; pixels of
    instances. The semantic term is divided by the number of images.
    """

    def pixels(mask):
        return ops.sum(ops.cast(mask, "float32"), axis=(1, 2))

    of_disks = pixels(targets["disk"] >= 0)  # [B, 5]
    return {
        "keypoint": pixels(targets["keypoint_weight"]),
        "short": ops.sum(of_disks, axis=1),
        "middle": sum(of_disks[:, start] for start, _ in EDGES),
        "long": pixels(targets["instance"] >= 0),
    }


def _of_places(table, place):
    """Rows of each image's table `[B, N, 2]` at places int32 `[B, H, W]`, `[B, H, W, 2]`; the first for -1."""
    batch, count = ops.shape(table)[:2]
    image = ops.reshape(ops.arange(batch, dtype="int32") * count, (-1, 1, 1))
    return ops.take(ops.reshape(table, (-1, 2)), image + ops.maximum(place, 0), axis=0)


def _heatmap_cross_entropy(logits, target, weight):
    """Sigmoid cross entropy, the mean over the keypoints summed over the pixels, float32 `[B]`.

    Args:
        logits: float32 `[B, H, W, 5]`.
        target: bool `[B, H, W, 5]`.
        weight: float32 `[B, H, W]`.
    """
    loss = ops.binary_crossentropy(ops.cast(target, "float32"), logits, from_logits=True)
    return ops.sum(ops.mean(loss, axis=-1) * weight, axis=(1, 2))
