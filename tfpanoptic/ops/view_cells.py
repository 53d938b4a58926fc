"""Maps of one view of an image on the cells of another: views differ in scale and may be mirrored.

An image lies at the top left of its input, whatever the view, so the cells of a mirrored view lie between those of
the view that is not. Maps are read there by linear interpolation, rows and columns apart.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from tfpanoptic.ops.resize import interpolate_lines, positions_on, source_positions


class View(NamedTuple):
    """How an image lies in an input of the network. Sides are integers or scalar int32 tensors.

    Attributes:
        size: (H, W) of the input.
        valid: (h, w) of the image in it, which is one image at several sizes.
        mirrored: whether its left and right are exchanged.
    """

    size: tuple[Any, Any]
    valid: tuple[Any, Any]
    mirrored: bool = False


def on_cells_of(maps, view: View, reference: View, align_corners: bool, plus_one: bool):
    """Maps of a head for one view, on the cells that the head has for another.

    Args:
        maps: float32 `[B, h, w, C]`, of `view`.
        view: whose sides, as those of `reference`, are k * stride, plus 1 where `plus_one`.
        reference: the other; not mirrored.
        align_corners: how cells lie on pixels and pixels of one size on those of another: with aligned corners, or with
            half-pixel centres.
        plus_one: whether cells are 1 more than a multiple, too.

    Returns:
        float32 `[B, h', w', C]`. Cells beyond the image have the values of its last ones.
    """
    for axis in (1, 2):
        sides = (view.size[axis - 1], view.valid[axis - 1])
        others = (reference.size[axis - 1], reference.valid[axis - 1])
        mirrored = view.mirrored and axis == 2
        cells = ops.shape(maps)[axis]
        maps = interpolate_lines(maps, _positions(cells, sides, others, mirrored, align_corners, plus_one), axis)
    return maps


def _positions(cells, sides, others, mirrored: bool, align_corners: bool, plus_one: bool):
    """Where the cells of the reference lie along an axis of `cells` cells of the view, float32 `[n]`.

    Args:
        sides: (side of the input, side of the image) of the view.
        others: the same of the reference.
    """
    (size, valid), (other_size, other_valid) = sides, others
    extra, edge = int(plus_one), int(align_corners)
    # A head has one stride: its cells grow as the input does.
    length = (cells - extra) * (other_size - extra) // (size - extra) + extra
    pixel = positions_on(source_positions(length, other_size, align_corners), other_valid, valid, align_corners)
    if mirrored:
        pixel = ops.cast(valid - 1, "float32") - pixel
    at = positions_on(pixel, size, cells, align_corners)
    # The last cell that a pixel of the image needs, in integers.
    span = ops.maximum(size - edge, 1)
    last = ((valid - edge) * (cells - edge) + (span - 1)) // span - (1 - edge)
    return ops.minimum(ops.maximum(at, 0.0), ops.cast(last, "float32"))
