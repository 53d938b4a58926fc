"""Maps read at points of the image, whatever size a map has: bilinear, and 0 outside.

Points are (x, y) in 0..1 of the image. A map of segments has the place of a segment in each cell, counted from 1, and
stands for one mask a place: what a mask reads at a point is the sum of the shares of the neighbours with its place.

Source: Kirillov et al. 2020 (PointRend), `point_sample` of Detectron2 `projects/PointRend`: half-pixel centres, and
neighbours outside count as 0.
"""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.bilinear_points import corners
from tfpanoptic.ops.gather import gather


def values_at(maps, points):
    """All channels of maps at points, float32 `[B, P, C]`.

    Args:
        maps: float32 `[B, h, w, C]`.
        points: float32 `[B, 2, P]`, (x, y).
    """
    table = ops.reshape(maps, (-1, maps.shape[3]))
    return sum(gather(table, cell) * ops.expand_dims(share, 2) for cell, share in _neighbours(maps, points))


def masks_at(segment_map, points, places: int):
    """What the mask of each place reads at points, float32 `[B, P, places]`.

    Args:
        segment_map: int32 `[B, H, W]`, 0 where no segment is.
        points: float32 `[B, 2, P]`, (x, y).
        places: how many there are.
    """
    cells, place = ops.reshape(segment_map, (-1,)), ops.arange(1, places + 1, dtype="int32")
    return sum(
        ops.where(ops.expand_dims(gather(cells, cell), 2) == place, ops.expand_dims(share, 2), 0.0)
        for cell, share in _neighbours(segment_map, points)
    )


def mask_at(segment_map, image, place, points):
    """What one mask reads at points of its own, float32 `[R, P]`.

    Args:
        segment_map: int32 `[B, H, W]`.
        image: int32 `[R]`, in whose map each mask is.
        place: int32 `[R]`, counted from 1.
        points: float32 `[R, 2, P]`, (x, y).
    """
    height, width = ops.shape(segment_map)[1:3]
    cells = ops.reshape(segment_map, (-1,))
    number = ops.arange(ops.shape(image)[0], dtype="int32")
    shift = ops.expand_dims((image - number) * height * width, 1)
    place = ops.expand_dims(place, 1)
    return sum(
        ops.where(gather(cells, cell + shift) == place, share, 0.0)
        for cell, share in neighbours(points, (height, width))
    )


def neighbours(points, size):
    """The four cells around each point, int32 `[R, P]`, as places in R maps one behind the other; its share in each.

    Args:
        points: float32 `[R, 2, P]`, (x, y).
        size: (h, w) of the maps.
    """
    height, width = size
    x, y = (points[:, axis] * ops.cast(side, "float32") - 0.5 for axis, side in enumerate((width, height)))
    return corners(y, x, size, beyond=1)


def _neighbours(maps, points):
    return neighbours(points, ops.shape(maps)[1:3])
