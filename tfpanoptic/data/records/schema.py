"""What a record of ours holds: the files as they are, in one `tf.train.Example` an image.

| feature | type | content |
|---|---|---|
| `image/encoded` | bytes | the photo's file, byte by byte |
| `image/filename` | bytes | its name in the dataset, UTF-8 |
| `image/id` | bytes | the dataset's id of the image, as JSON: `42` or `"aachen_000000"` |
| `image/height`, `image/width` | int64 | pixels, upright (after the EXIF orientation) |
| `panoptic/encoded` | bytes | PNG of segment ids, R + 256 G + 65536 B, 0 for void |
| `segment/id` | int64 `[N]` | the id of each segment in the PNG |
| `segment/category_id` | int64 `[N]` | the dataset's own category id, as in `panoptic.json` |
| `segment/iscrowd` | int64 `[N]` | 0 or 1 |
| `segment/area` | float `[N]` | pixels, by the annotation |

The PNG is the dataset's own file where that is in COCO panoptic format, else made of its map without loss.
Names of the image's features are those that DeepLab2 and TensorFlow's Model Garden use.
"""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.dataset import ImageRecord, image_content, read_record_image, read_segment_map, truth_contents
from tfpanoptic.data.storage import COCO_PNG, Content, Storage
from tfpanoptic.segment_map import SegmentMap, coco_boxes, extents, ids_to_rgb

# Of the features above; a reader of another version refuses the folder.
VERSION = 1
IMAGE, PANOPTIC = "image/encoded", "panoptic/encoded"
STORAGE = Storage(COCO_PNG, IMAGE, (PANOPTIC,))


def entries_of(record: ImageRecord, truth: SegmentMap, categories: CategoryTable) -> tuple[dict, dict]:
    """The entries of `images` and `annotations` in a COCO panoptic JSON for one image; areas are those of the truth."""
    rows = truth.segments
    boxes = coco_boxes(extents(truth.ids).of(rows["id"]).boxes).tolist()
    segments = [
        {
            "id": int(row["id"]),
            "category_id": categories[int(row["category"])].source_id,
            "area": int(row["area"]) if row["area"].is_integer() else float(row["area"]),
            "bbox": box,
            "iscrowd": int(row["iscrowd"]),
        }
        for row, box in zip(rows, boxes)
    ]
    size = {"height": record.height, "width": record.width}
    image = {**record.extra, "id": record.image_id, "file_name": record.file_name, **size}
    png_name = f"{record.file_name.rpartition('.')[0] or record.file_name}.png"
    return image, {"image_id": record.image_id, "file_name": png_name, "segments_info": segments}


def read_parts(record: ImageRecord) -> tuple[bytes, bytes, SegmentMap]:
    """The bytes of a photo and of the PNG of its truth, and the truth; both are decoded, so that they are known whole.

    Raises:
        InputError: a file is missing, damaged, of another size than the dataset says, or has other segments.
    """
    read_record_image(record)
    truth = read_segment_map(record)
    if record.storage.truth is COCO_PNG and record.id_map is None:
        return _bytes(image_content(record)), _bytes(truth_contents(record)[0]), truth
    png = BytesIO()
    Image.fromarray(ids_to_rgb(truth.ids)).save(png, "PNG")
    return _bytes(image_content(record)), png.getvalue(), truth


def _bytes(content: Content) -> bytes:
    return content.getvalue() if isinstance(content, BytesIO) else content.read_bytes()


def example_bytes(photo: bytes, png: bytes, image: dict, annotation: dict) -> bytes:
    """The record of an image; equal arguments give equal bytes.

    Args:
        photo, png: of `read_parts`.
        image, annotation: of `entries_of`.
    """
    import tensorflow as tf

    def texts(*values: bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    def integers(*values: int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    segments = annotation["segments_info"]
    areas = np.array([segment["area"] for segment in segments], np.float32)
    feature = {
        IMAGE: texts(photo),
        "image/filename": texts(image["file_name"].encode()),
        "image/id": texts(json.dumps(image["id"]).encode()),
        "image/height": integers(image["height"]),
        "image/width": integers(image["width"]),
        PANOPTIC: texts(png),
        "segment/id": integers(*(segment["id"] for segment in segments)),
        "segment/category_id": integers(*(segment["category_id"] for segment in segments)),
        "segment/iscrowd": integers(*(segment["iscrowd"] for segment in segments)),
        "segment/area": tf.train.Feature(float_list=tf.train.FloatList(value=areas)),
    }
    # Without `deterministic` the order of the features is any.
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)
