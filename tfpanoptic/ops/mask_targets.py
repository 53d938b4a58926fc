"""What a mask head learns: the mask of an instance inside a box, on the head's own grid.

Source: He et al. 2017 (Mask R-CNN), section 3; Detectron2 `BitMasks.crop_and_resize`: RoIAlign of the mask, aligned,
as many samples as the cell has pixels, at least one half is inside.
"""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.roi_windows import by_tiles, chunk_of, chunks_of, over_tiles, tile_of, windows_of_boxes

# Side of a tile in pixels, and boxes that are worked on together. Own choice: 0.5 MB of pixels.
SIDE = 64
TOGETHER = 32


def mask_targets(instance_map, boxes, number, size: int):
    """Masks of instances inside boxes, float32 `[B, N, size, size]`, 0 or 1.

    Args:
        instance_map: int32 `[B, H, W]`, the number of the instance at each pixel.
        boxes: float32 `[B, N, 4]` in pixels.
        number: int32 `[B, N]`, the instance that each box is for.
        size: side of the result.
    """
    grid = ops.shape(instance_map)
    windows, order = by_tiles(windows_of_boxes([grid], (1,), boxes, size, 0, True, SIDE))
    wanted = ops.take(ops.reshape(number, (-1,)), order, axis=0)
    pixels = ops.reshape(instance_map, (-1,))
    count, together, chunks = chunks_of(windows, TOGETHER)
    wanted = ops.pad(wanted, ((0, chunks * together - count),))

    def crop_chunk(index):
        chunk = chunk_of(windows, index, together)
        ours = ops.take(wanted, index * together + ops.arange(together, dtype="int32"), axis=0)

        def add_tile(number, total):
            tile = tile_of(chunk, number, size, SIDE, 0)
            inside = ops.take(pixels, tile.cells, axis=0) == ops.expand_dims(ours, 1)
            mask = ops.reshape(ops.cast(inside, "float32"), (together, SIDE, SIDE))
            return total + ops.matmul(ops.matmul(tile.down, mask), ops.transpose(tile.across, (0, 2, 1)))

        return over_tiles(chunk, add_tile, ops.zeros((together, size, size), "float32"))

    shares = ops.reshape(ops.map(crop_chunk, ops.arange(chunks, dtype="int32")), (chunks * together, size, size))
    shares = ops.take(shares[:count], ops.argsort(order), axis=0)
    return ops.reshape(ops.cast(shares >= 0.5, "float32"), (*ops.shape(boxes)[:2], size, size))
