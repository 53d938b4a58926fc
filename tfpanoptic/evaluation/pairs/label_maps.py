"""Truth and prediction as label maps: images of category ids and of instance numbers, without any JSON of segments.

A side is a folder in one of two forms; images of the two sides belong together by their names without the endings:

- two images a photo: `semantic/NAME` holds category ids, `instance/NAME` instance numbers;
- one image a photo, `NAME`: of two channels (Pillow mode LA) category id and instance number; of three or four, the
  category id is red and the instance number green + 256 blue; one of a single channel holds category ids alone.

Category ids are those of the list of categories. 0, 255 and, in 16 bits, 65535 are void where no category has that id;
another value of no category is an error. Pixels of one thing category and one instance number are a segment; in a truth
those of a thing with instance number 0 are a crowd, in a prediction they are one segment. Stuff is one, whatever
its instance numbers are. With connected components, instance numbers are not read: each part of a thing category whose
pixels touch, at a side or a corner, is a segment. The indices of palette images are their values, not their colours.

Source: the two-channel format of the COCO panoptic API (`converters/2channels2panoptic_coco_format.py`: red is the
category, green the instance); for what a thing without a number is, `data.cityscapes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.coco_json import parse_json
from tfpanoptic.data.connected_components import connected_components
from tfpanoptic.errors import InputError, Problems
from tfpanoptic.evaluation.pairs.categories import evaluated_categories
from tfpanoptic.evaluation.pairs.coco import FilePair, FileSet, beyond_truth, check_pairs, fingerprint
from tfpanoptic.photo.image_file import load_pixels, open_image
from tfpanoptic.segment_map import SegmentMap, extents, relabel, segment_rows

SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
# Pillow modes of one channel of whole numbers, and of several channels of 8 bits.
ONE_CHANNEL = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")
CHANNELS = ("LA", "RGB", "RGBA")
VOID_VALUES = (0, 255, 65535)
# More than any instance number of the formats above, which have 24 bits at most or, in mode I, 31.
INSTANCES = 1 << 32


@dataclass(frozen=True, eq=False)
class LabelMapFile:
    """The label maps of one side of an image, not yet read.

    Attributes:
        path: of the category ids.
        instance_path: of the instance numbers; None where they are in the same image, or not read.
        categories: their source ids are the category ids.
        components: whether instances are connected components.
        truth: whether a thing without a number is a crowd.
    """

    path: Path
    instance_path: Path | None
    categories: CategoryTable
    components: bool
    truth: bool

    def read(self) -> SegmentMap:
        """The segment map; areas are pixels.

        Raises:
            InputError: an image cannot be read, has another form or size than it should, or a value of no category.
        """
        channels = _channels(self.path)
        category = self._category(channels[0])
        if self.components:
            instance = connected_components(category) + 1
        elif self.instance_path is not None:
            instance = _numbers(self.instance_path)
            if instance.shape != category.shape:
                sizes = [" x ".join(map(str, side.shape)) for side in (instance, category)]
                raise InputError(f"{self.instance_path}: {sizes[0]} (height x width), {self.path} is {sizes[1]}")
        elif len(channels) == 2:
            instance = channels[1]
        else:
            raise InputError(
                f"{self.path}: has one channel, category ids; expected two channels, or folders semantic and instance; "
                "--components takes connected components for instances"
            )
        return self._segments(category, instance)

    def _category(self, values: np.ndarray) -> np.ndarray:
        """Our category id of each pixel, int32 `[H, W]`, 0 where void."""
        ids = {c.source_id: c.id for c in self.categories}
        strange = [value for value in np.unique(values).tolist() if value not in ids and value not in VOID_VALUES]
        if strange:
            raise InputError(
                f"{self.path}: value {strange[0]} is of no category; expected one of {sorted(ids)[:20]}, or 0, 255 "
                "or 65535 for void"
            )
        return relabel(values, list(ids), list(ids.values()))

    def _segments(self, category: np.ndarray, instance: np.ndarray) -> SegmentMap:
        isthing = self.categories.isthing
        key = category.astype(np.int64) * INSTANCES + np.where(isthing[category], instance, 0)
        keys, areas, _ = extents(key)
        keys, areas = keys[keys >= INSTANCES], areas[keys >= INSTANCES]
        categories, numbers = keys // INSTANCES, keys % INSTANCES
        crowds = isthing[categories] & (numbers == 0) & self.truth
        ids = np.arange(1, len(keys) + 1)
        return SegmentMap(relabel(key, keys, ids), segment_rows(ids, categories, crowds, areas))


def read_label_maps(
    categories: str | Path,
    gt_dir: str | Path,
    pred_dir: str | Path,
    components: bool = False,
    allow_missing: bool = False,
    subset: bool = False,
) -> FileSet:
    """The pairs of two folders of label maps, in the order of their names; no pixel is read yet.

    Args:
        categories: a JSON with a list of `{"id", "name", "isthing"}`, alone or under `categories`.
        gt_dir: folder of the truth, in a form of the module's description.
        pred_dir: folder of the prediction; the form may be the other one.
        components: take connected components of things for instances, on both sides.
        allow_missing: take images without a prediction as such in which nothing was found.
        subset: pass over predictions of images that the truth does not have.

    Raises:
        InputError: no such file or folder, no image in it, or, told together: images that lack their partner, or two
            of one name.
    """
    content = parse_json(Path(categories))
    entries = content.get("categories") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise InputError(f"{categories}: expected a list of categories, or a JSON with one under categories")
    table, notes = evaluated_categories(entries, str(categories))
    problems = Problems("in the files")
    truth = _label_maps(Path(gt_dir), table, components, True, problems)
    predicted = _label_maps(Path(pred_dir), table, components, False, problems)
    notes += beyond_truth(sorted(set(predicted) - set(truth)), str(pred_dir), problems, subset)
    pairs = []
    for name in sorted(truth):
        sides = (truth[name], predicted.get(name))
        more = tuple(side.instance_path for side in sides if side is not None and side.instance_path is not None)
        pairs.append(FilePair(truth[name].path.name, name, None, None, *sides, more_files=more))
    notes += check_pairs(pairs, str(pred_dir), problems, allow_missing)
    files = [*(side.path for side in (*truth.values(), *predicted.values())), *(p for x in pairs for p in x.more_files)]
    source = fingerprint([categories], [f"components {components}", *sorted(map(str, files))])
    return FileSet(
        table, tuple(pairs), source, tuple(notes), len(pairs), sum(pair.prediction is not None for pair in pairs)
    )


def _label_maps(
    folder: Path, categories: CategoryTable, components: bool, truth: bool, problems: Problems
) -> dict[str, LabelMapFile]:
    """The label maps of a folder by name without ending; what is wrong with some goes to `problems`."""
    if not (folder / "semantic").is_dir():
        images = _images(folder, problems)
        return {name: LabelMapFile(path, None, categories, components, truth) for name, path in images.items()}
    semantic = _images(folder / "semantic", problems)
    instance = {} if components else _images(folder / "instance", problems)
    for name, path in semantic.items():
        if not components and name not in instance:
            problems.add(f"{path}: no image of this name in {folder / 'instance'}")
    return {
        name: LabelMapFile(path, instance.get(name), categories, components, truth) for name, path in semantic.items()
    }


def _images(folder: Path, problems: Problems) -> dict[str, Path]:
    """The images of a folder by name without ending; two of one name go to `problems`.

    Raises:
        InputError: the folder cannot be read, or has none.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise InputError(f"{folder}: cannot list this folder ({error.strerror}); expected label maps") from None
    if not paths:
        raise InputError(f"{folder}: no label map in this folder; expected images {', '.join(SUFFIXES)}")
    images: dict[str, Path] = {}
    for path in paths:
        if path.stem in images:
            problems.add(f"{path}: a second image of this name, after {images[path.stem].name}")
        images.setdefault(path.stem, path)
    return images


def _channels(path: Path) -> tuple[np.ndarray, ...]:
    """Category ids, and instance numbers if the image has them, int64 `[H, W]` each."""
    values = _pixels(path)
    if values.ndim == 2:
        return (values,)
    return values[..., 0], values[..., 1] + (256 * values[..., 2] if values.shape[-1] > 2 else 0)


def _numbers(path: Path) -> np.ndarray:
    """Instance numbers, int64 `[H, W]`; of colours the id of a COCO panoptic PNG, red + 256 green + 65536 blue."""
    values = _pixels(path)
    if values.ndim == 2:
        return values
    if values.shape[-1] == 2:
        raise InputError(f"{path}: expected instance numbers in one channel or three, found two channels")
    return values[..., :3] @ np.array([1, 256, 65536])


def _pixels(path: Path) -> np.ndarray:
    """What the image holds, int64, `[H, W]` or `[H, W, channels]`."""
    with open_image(path) as image:
        if image.mode not in (*ONE_CHANNEL, *CHANNELS):
            raise InputError(f"{path}: expected a label map of whole numbers, found Pillow mode {image.mode}")
        load_pixels(image, str(path))
        values = np.asarray(image).astype(np.int64)
    if values.min(initial=0) < 0:
        raise InputError(f"{path}: has the value {values.min()}; expected none below 0")
    return values
