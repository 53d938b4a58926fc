"""A small Cityscapes in the folders of the download, and the files that createPanopticImgs.py makes of it.

The latter follows the script of cityscapesScripts line by line, on its own table of labels.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

# id, trainId, name, hasInstances, ignoreInEval of `labels.py`, those that the scenes use.
LABELS = {
    0: (255, "unlabeled", False, True),
    1: (255, "ego vehicle", False, True),
    7: (0, "road", False, False),
    23: (10, "sky", False, False),
    24: (11, "person", True, False),
    26: (13, "car", True, False),
    29: (255, "caravan", True, True),
}
# One of two photos: (value, rows, columns). A group of cars, two cars, a person, a caravan, the ego vehicle, void.
SCENE = (
    (7, slice(0, 8), slice(0, 16)),
    (23, slice(0, 2), slice(0, 16)),
    (26, slice(2, 4), slice(0, 4)),
    (26000, slice(2, 4), slice(4, 7)),
    (26001, slice(2, 4), slice(7, 9)),
    (24003, slice(2, 5), slice(10, 11)),
    (29000, slice(4, 6), slice(0, 3)),
    (1, slice(7, 8), slice(0, 16)),
    (0, slice(6, 7), slice(0, 2)),
)
# (segment id, name of the category, iscrowd, area) by hand. Sky 2 rows of 16; road 8 x 16 - sky 32 - group 8 - cars 6
# and 4 - person 3 - caravan 6 - ego 16 - void 2 = 51.
SEGMENTS = [
    (7, "road", False, 51),
    (23, "sky", False, 32),
    (26, "car", True, 8),
    (24003, "person", False, 3),
    (26000, "car", False, 6),
    (26001, "car", False, 4),
]
KEYS = {"train": ("aachen_000000_000019", "bochum_000001_000019"), "val": ("lindau_000000_000019",)}


def values_of(key: str) -> np.ndarray:
    """The scene, or road alone for the second city."""
    values = np.full((8, 16), 7, np.uint16)
    for value, rows, columns in SCENE if not key.startswith("bochum") else ():
        values[rows, columns] = value
    return values


def make_cityscapes(root: Path, splits=("train", "val")) -> Path:
    """Photos and instanceIds."""
    for split in splits:
        for number, key in enumerate(KEYS[split]):
            city = key.split("_")[0]
            photos, truth = root / "leftImg8bit" / split / city, root / "gtFine" / split / city
            photos.mkdir(parents=True)
            truth.mkdir(parents=True)
            Image.new("RGB", (16, 8), (number, 50, 90)).save(photos / f"{key}_leftImg8bit.png")
            Image.fromarray(values_of(key)).save(truth / f"{key}_gtFine_instanceIds.png")
            (truth / f"{key}_gtFine_polygons.json").write_text("{}")
    return root


def make_panoptic(root: Path, split: str, use_train_id: bool = False) -> None:
    """What createPanopticImgs.py does."""
    output = f"cityscapes_panoptic_{split}" + ("_trainId" if use_train_id else "")
    (root / "gtFine" / output).mkdir()
    images, annotations = [], []
    for file in sorted((root / "gtFine" / split).glob("*/*_instanceIds.png")):
        original = np.array(Image.open(file))
        image_id = file.name.replace("_gtFine_instanceIds.png", "")
        input_name = file.name.replace("_instanceIds.png", "_leftImg8bit.png")
        output_name = file.name.replace("_instanceIds.png", "_panoptic.png")
        height, width = original.shape
        images.append({"id": image_id, "width": width, "height": height, "file_name": input_name})
        pan_format = np.zeros((height, width, 3), np.uint8)
        segments = []
        for segment_id in np.unique(original).tolist():
            semantic_id, is_crowd = (segment_id, 1) if segment_id < 1000 else (segment_id // 1000, 0)
            train_id, _, has_instances, ignored = LABELS[semantic_id]
            if ignored:
                continue
            mask = original == segment_id
            pan_format[mask] = [segment_id % 256, segment_id // 256, segment_id // 256 // 256]
            segments.append(
                {
                    "id": segment_id,
                    "category_id": train_id if use_train_id else semantic_id,
                    "area": int(mask.sum()),
                    "bbox": [0, 0, 1, 1],
                    "iscrowd": is_crowd if has_instances else 0,
                }
            )
        annotations.append({"image_id": image_id, "file_name": output_name, "segments_info": segments})
        Image.fromarray(pan_format).save(root / "gtFine" / output / output_name)
    categories = [
        {"id": train_id if use_train_id else label, "name": name, "isthing": int(has_instances), "color": [1, 2, 3]}
        for label, (train_id, name, has_instances, ignored) in LABELS.items()
        if not ignored
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "gtFine" / f"{output}.json").write_text(json.dumps(content))
