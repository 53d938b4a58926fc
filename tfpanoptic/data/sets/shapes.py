"""Shapes: generated scenes with exact truth, in any size and number.

Things (disc, square, triangle, ring) overlap each other on stuff (stripes, checks, grain); now and then there are
a crowd of small ones in one segment and a blot of void. Scene i of a split is a function of (seed, split, i).
All of it is our own choice: it exercises every rule of the formats, and a network can learn it in minutes.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.coco_panoptic import CocoFiles, files_in, read_coco_panoptic, write_coco_panoptic
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.layout import SPLITS, require_split
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import SegmentMap, extents, relabel, segment_rows
from tfpanoptic.settings.cache_folder import cache_folder
from tfpanoptic.settings.dataset import DatasetConfig
from tfpanoptic.settings.paths import FilePath

THINGS = ("disc", "square", "triangle", "ring")
STUFF = ("stripes", "checks", "grain")
COLORS = (
    (222, 84, 66),
    (70, 120, 214),
    (240, 186, 56),
    (160, 80, 190),
    (92, 158, 104),
    (128, 136, 150),
    (176, 140, 108),
)
CATEGORIES = CategoryTable(
    tuple(
        Category(number, name, name in THINGS, color, number)
        for number, (name, color) in enumerate(zip(THINGS + STUFF, COLORS, strict=True), start=1)
    )
)
# Part of the cache folder's name: raise it whenever a scene changes.
VERSION = 1
# Things of fewer visible pixels become void: nobody could tell what they are.
SMALLEST_AREA = 12
CROWD_PROBABILITY = 0.3
VOID_PROBABILITY = 0.5


class ShapesConfig(DatasetConfig):
    """Generated scenes."""

    name: Literal["shapes"] = "shapes"
    height: int = Field(128, ge=16)
    width: int = Field(128, ge=16)
    train_images: int = Field(200, ge=1)
    val_images: int = Field(40, ge=1)
    seed: int = Field(0, ge=0)
    # Where the files go; by default below the user's cache folder.
    folder: FilePath | None = None


def load_shapes(config: ShapesConfig, split: str) -> Dataset:
    """The scenes of a split; its files, in COCO panoptic format, are written where they are not there yet.

    Raises:
        InputError: `split` is neither "train" nor "val", or the folder cannot be written.
    """
    require_split("shapes", split)
    dataset = read_coco_panoptic(*shapes_files(config, split), name="shapes")
    return replace(dataset, split=split)


def shapes_files(config: ShapesConfig, split: str) -> CocoFiles:
    """Where a split lies; its files are written where they are not there yet.

    Raises:
        InputError: the folder cannot be written.
    """
    folder = _folder(config) / split
    if not (folder / "panoptic.json").is_file():
        _write_split(folder, config, split)
    return files_in(folder)


def shapes_categories(config: ShapesConfig) -> CategoryTable:
    """The table of every configuration: four things, three stuff."""
    del config
    return CATEGORIES


def _folder(config: ShapesConfig) -> Path:
    """A folder of its own for every configuration."""
    settings = config.model_dump_json(exclude={"folder", *DatasetConfig.model_fields.keys() - {"name"}})
    key = hashlib.sha256(f"{VERSION} {settings}".encode()).hexdigest()[:12]
    return Path(config.folder or cache_folder()) / f"shapes-{config.height}x{config.width}-{key}"


def _write_split(folder: Path, config: ShapesConfig, split: str) -> None:
    """Writes the files under a temporary name and renames; another process may have been faster."""
    count = config.train_images if split == "train" else config.val_images
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{split}.", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    try:
        scenes = (
            (f"{index:05d}", *draw_scene(config.height, config.width, (config.seed, SPLITS.index(split), index)))
            for index in range(count)
        )
        write_coco_panoptic(temporary, CATEGORIES, scenes)
        temporary.rename(folder)
    except OSError as error:
        if not (folder / "panoptic.json").is_file():
            raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def draw_scene(height: int, width: int, seed: tuple[int, ...]) -> tuple[np.ndarray, SegmentMap]:
    """One scene: image uint8 `[height, width, 3]` and its truth, a function of the arguments alone."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    image = np.zeros((height, width, 3), np.float32)
    ids = np.zeros((height, width), np.int32)
    categories, crowds = [], []

    def paint(mask: np.ndarray, name: str, texture: np.ndarray, crowd: bool = False) -> None:
        number = THINGS.index(name) if name in THINGS else len(THINGS) + STUFF.index(name)
        tint = np.array(COLORS[number], np.float32) * random.uniform(0.8, 1.15) + random.normal(0, 8, 3)
        image[mask] = (tint * texture[..., None])[mask]
        categories.append(number + 1)
        crowds.append(crowd)
        ids[mask] = len(categories)

    _paint_stuff(paint, height, width, random)
    if random.random() < CROWD_PROBABILITY:
        name = str(random.choice(THINGS))
        paint(_cluster(height, width, name, random), name, _shade(height, width, random), crowd=True)
    for _ in range(random.integers(2, 8)):
        name = str(random.choice(THINGS))
        center = random.uniform(0, (height, width))
        radius = random.uniform(0.06, 0.2) * min(height, width)
        paint(_shape(height, width, name, center, radius, random), name, _shade(height, width, random))
    if random.random() < VOID_PROBABILITY:
        blot = _shape(height, width, "disc", random.uniform(0, (height, width)), 0.08 * min(height, width), random)
        image[blot], ids[blot] = random.uniform(0, 255, (int(blot.sum()), 3)), 0
    image += random.normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), _visible(ids, categories, crowds)


def _visible(ids: np.ndarray, categories: list[int], crowds: list[bool]) -> SegmentMap:
    """The truth without segments that are covered up."""
    numbers = np.arange(1, len(categories) + 1)
    areas = extents(ids).of(numbers).areas
    keep = areas >= SMALLEST_AREA
    rows = segment_rows(numbers, categories, crowds, areas)[keep]
    return SegmentMap(relabel(ids, rows["id"], rows["id"]), rows)


def _paint_stuff(paint: Callable, height: int, width: int, random: np.random.Generator) -> None:
    """Every pixel belongs to the nearest of three to five points, each of which has a kind of stuff."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    sites = random.uniform(0, (height, width), (random.integers(3, 6), 2))
    kinds = random.integers(0, len(STUFF), len(sites))
    nearest = np.argmin([(y - site[0]) ** 2 + (x - site[1]) ** 2 for site in sites], axis=0)
    phase, period = random.uniform(0, 8), random.uniform(6, 10)
    textures = {
        "stripes": 1 + 0.25 * np.sign(np.sin(2 * np.pi * (x + y + phase) / period)),
        "checks": 1 + 0.25 * np.sign(np.sin(np.pi * (x + phase) / period) * np.sin(np.pi * (y + phase) / period)),
        "grain": 1 + 0.3 * random.uniform(-1, 1, (height, width)),
    }
    for kind, name in enumerate(STUFF):
        mask = kinds[nearest] == kind
        if mask.any():
            paint(mask, name, textures[name])


def _shape(
    height: int, width: int, name: str, center: np.ndarray, radius: float, random: np.random.Generator
) -> np.ndarray:
    """Mask bool `[height, width]` of a shape turned by a random angle; `radius` reaches about its edge."""
    y, x = np.mgrid[:height, :width] + 0.5
    angle = random.uniform(0, 2 * np.pi)
    along = (x - center[1]) * np.cos(angle) + (y - center[0]) * np.sin(angle)
    across = (y - center[0]) * np.cos(angle) - (x - center[1]) * np.sin(angle)
    distance = np.hypot(along, across)
    if name == "disc":
        return distance <= radius
    if name == "ring":
        return (distance <= radius) & (distance >= 0.5 * radius)
    if name == "square":
        return np.maximum(np.abs(along), np.abs(across)) <= 0.85 * radius
    return (along >= -0.5 * radius) & (along + np.sqrt(3) * np.abs(across) <= radius)  # equilateral triangle


def _cluster(height: int, width: int, name: str, random: np.random.Generator) -> np.ndarray:
    """Mask of a dozen small shapes close together."""
    side = min(height, width)
    middle = random.uniform(0.2, 0.8, 2) * (height, width)
    mask = np.zeros((height, width), bool)
    for _ in range(12):
        mask |= _shape(height, width, name, middle + random.normal(0, 0.09, 2) * side, 0.045 * side, random)
    return mask


def _shade(height: int, width: int, random: np.random.Generator) -> np.ndarray:
    """A soft gradient of brightness in a random direction, float `[height, width]` about 1."""
    y, x = np.mgrid[:height, :width]
    angle = random.uniform(0, 2 * np.pi)
    return 1 + 0.15 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 4 / min(height, width))
