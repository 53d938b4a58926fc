"""Small files in the COCO panoptic format, written without our writer."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

# Ids of one image, 4 x 6: two things, stuff and void. 70000 = 112 + 256 * 17 + 65536 * 1.
IDS = np.array([[70000] * 6, [5] * 6, [5] * 4 + [6] * 2, [0] * 4 + [6] * 2])


def write_photos(folder: Path, names) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.new("RGB", (6, 4), (number, 90, 200)).save(folder / name)


def write_truth(annotations: Path, panoptic: Path, photos, categories, category_ids, **more) -> None:
    """A JSON and its PNGs.

    Args:
        annotations: the JSON.
        panoptic: folder of the PNGs.
        photos: names of the photos; image ids are their stems.
        categories: of the JSON.
        category_ids: of the segments 70000, 5 and 6.
        more: keys of each segment.
    """
    panoptic.mkdir(parents=True, exist_ok=True)
    annotations.parent.mkdir(parents=True, exist_ok=True)
    rgb = np.stack([IDS % 256, IDS // 256 % 256, IDS // 65536], axis=-1).astype(np.uint8)
    segments = [
        {"id": number, "category_id": category, "area": int((number == IDS).sum()), "iscrowd": 0, **more}
        for number, category in zip((70000, 5, 6), category_ids, strict=True)
    ]
    stems = [Path(name).stem for name in photos]
    for stem in stems:
        Image.fromarray(rgb).save(panoptic / f"{stem}.png")
    content = {
        "images": [
            {"id": stem, "file_name": name, "height": 4, "width": 6} for stem, name in zip(stems, photos, strict=True)
        ],
        "annotations": [{"image_id": s, "file_name": f"{s}.png", "segments_info": segments} for s in stems],
        "categories": categories,
    }
    annotations.write_text(json.dumps(content))
