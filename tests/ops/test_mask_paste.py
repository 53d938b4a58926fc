import numpy as np
import pytest

from tfpanoptic.ops.mask_paste import paste_masks

# An image larger than all of these.
WHOLE = np.array([[99, 99]], "int32")


def slow_paste(mask, box, size):
    """models.md, section 7.1: bilinear at pixel centres, 0 outside of the mask's grid."""
    side = len(mask)
    result = np.zeros(size)
    padded = np.pad(mask, 1)
    for row in range(size[0]):
        for column in range(size[1]):
            y = (row + 0.5 - box[0]) / (box[2] - box[0]) * side - 0.5
            x = (column + 0.5 - box[1]) / (box[3] - box[1]) * side - 0.5
            if not (-1 < y < side and -1 < x < side):
                continue
            top, left = int(np.floor(y)), int(np.floor(x))
            cells = padded[top + 1 : top + 3, left + 1 : left + 3]
            down, across = y - top, x - left
            result[row, column] = np.array([1 - down, down]) @ cells @ np.array([1 - across, across])
    return result


@pytest.mark.parametrize("box", [(3, 4, 25, 30), (-6.3, 10.2, 14.9, 55), (7.2, 7.4, 8.1, 9.9), (0, 0, 40, 50)])
def test_pasting_is_bilinear_between_pixel_centres(box):
    mask = np.random.default_rng(0).uniform(size=(1, 28, 28)).astype("float32")
    found = paste_masks(mask, np.array([box], "float32"), (40, 50), WHOLE)
    np.testing.assert_allclose(found[0], slow_paste(mask[0], box, (40, 50)), atol=1e-4)


def test_a_mask_of_its_own_size_is_copied():
    mask = np.random.default_rng(1).uniform(size=(1, 4, 4)).astype("float32")
    found = np.asarray(paste_masks(mask, np.array([(1, 2, 5, 6)], "float32"), (7, 8), WHOLE))[0]
    np.testing.assert_allclose(found[1:5, 2:6], mask[0], atol=1e-6)
    assert found.sum() == pytest.approx(mask.sum(), rel=1e-5)


def test_a_box_without_area_gives_an_empty_mask():
    found = np.asarray(paste_masks(np.ones((1, 28, 28), "float32"), np.zeros((1, 4), "float32"), (8, 8), WHOLE))
    assert np.isfinite(found).all() and not (found >= 0.5).any()


def test_nothing_is_pasted_outside_of_the_image():
    mask, box, valid = np.ones((1, 4, 4), "float32"), np.array([(0, 0, 8, 8)], "float32"), np.array([[5, 3]], "int32")
    found = np.asarray(paste_masks(mask, box, (8, 8), valid))
    assert found[0, :5, :3].all() and not found[0, 5:].any() and not found[0, :, 3:].any()
