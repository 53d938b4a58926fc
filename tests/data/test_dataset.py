import re

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.dataset import BY_PILLOW, check_records, read_orientation, read_record_image, read_segment_map
from tfpanoptic.errors import InputError


def test_the_segment_map_holds_the_ids_of_the_png(coco):
    truth = read_segment_map(coco.read().records[0])
    expected = [[70000] * 6, [5] * 6, [5, 5, 5, 5, 6, 6], [0, 0, 0, 0, 6, 6]]
    np.testing.assert_array_equal(truth.ids, expected)
    assert truth.ids.dtype == np.int32


def test_a_segment_of_the_png_that_the_json_lacks_is_an_error(coco):
    del coco.content["annotations"][0]["segments_info"][1]
    record = coco.read().records[0]
    with pytest.raises(InputError, match=r"0\.png: holds segment 5, which the annotation of 0\.png does not list"):
        read_segment_map(record)


def test_a_segment_of_the_json_that_the_png_lacks_is_an_error(coco):
    coco.content["annotations"][0]["segments_info"].append({"id": 9, "category_id": 3, "area": 1})
    record = coco.read().records[0]
    with pytest.raises(InputError, match=r"0\.png: lacks segment 9"):
        read_segment_map(record)


def test_a_png_of_another_size_than_the_json_says_is_an_error(coco):
    coco.content["images"][0]["height"] = 5
    record = coco.read().records[0]
    with pytest.raises(InputError, match=r"the file is 4 x 6 \(height x width\), the annotation of 0\.png says 5 x 6"):
        read_segment_map(record)


def test_a_grey_png_of_ids_is_refused(coco):
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(coco.panoptic / "0.png")
    record = coco.read().records[0]
    with pytest.raises(InputError, match="expected an RGB PNG of segment ids, 8 bits a channel, found Pillow mode L"):
        read_segment_map(record)


def test_an_image_of_another_size_than_the_json_says_is_an_error(coco):
    Image.fromarray(np.zeros((6, 4, 3), np.uint8)).save(coco.images / "0.png")
    record = coco.read().records[0]
    with pytest.raises(InputError, match="6 x 4"):
        read_record_image(record)


def test_headers_alone_tell_that_a_size_is_wrong(coco):
    Image.fromarray(np.zeros((6, 4, 3), np.uint8)).save(coco.images / "0.png")
    record = coco.read().records[0]
    with pytest.raises(InputError, match=re.escape(str(coco.images / "0.png"))):
        read_orientation(record)


def test_an_image_that_pillow_has_to_decode_has_no_orientation_for_tensorflow(coco):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(coco.images / "0.png", format="TIFF")
    assert read_orientation(coco.read().records[0]) == BY_PILLOW


def test_check_records_names_the_damaged_file(several):
    damaged = several.panoptic / "3.png"
    damaged.write_bytes(damaged.read_bytes()[:70])
    dataset = several.read()
    with pytest.raises(InputError, match=re.escape(str(damaged))):
        check_records(dataset)
