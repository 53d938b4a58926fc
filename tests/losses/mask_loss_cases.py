"""The cases of `tests/fixtures/eomt/loss` in our forms."""

import json
from pathlib import Path

import numpy as np

from tests.models.eomt_reference import FOLDER as NETWORKS_FOLDER
from tests.models.eomt_reference import described
from tests.models.eomt_reference import outputs as stored_outputs

FOLDER = Path(__file__).parents[1] / "fixtures" / "eomt" / "loss"
CASES = json.loads((FOLDER / "loss.json").read_text(encoding="utf-8"))
NETWORKS = ("tiny_dinov2", "tiny_dinov3")
PLACES = 8  # one more than any case has segments
IMPORTANCE, OVERSAMPLE, NO_OBJECT_WEIGHT = 0.75, 3.0, 0.1


def targets_of(maps, classes, places=PLACES) -> dict:
    """Targets of images with such maps of places and classes counted from 0."""
    category = [np.pad(np.asarray(of_image) + 1, (0, places - len(of_image))) for of_image in classes]
    return {"segment_map": np.stack(maps).astype(np.int32), "segment_category": np.stack(category).astype(np.int32)}


def channels_of(classes: int) -> tuple[int, ...]:
    return (*range(1, classes + 1), 0)


def case_of(name: str) -> dict:
    """Outputs, targets, channels, points, and what is expected."""
    stored, expected = np.load(FOLDER / "loss.npz"), CASES[name]
    found = {key.removeprefix(f"{name}/"): stored[key] for key in stored if key.startswith(f"{name}/")}
    images = range(len(found["mask_logits"]))
    masks = [found[f"masks/{b}"] for b in images]
    numbers = [np.arange(1, len(of_image) + 1)[:, None, None] for of_image in masks]
    maps = [(of_image * number).max(axis=0) for of_image, number in zip(masks, numbers)]
    points = np.concatenate([found["points/oversampled"], found["points/random"]], axis=1).transpose(0, 2, 1)
    of_pairs = np.zeros((len(images) * PLACES, *points.shape[1:]), np.float32)
    pairs = [b * PLACES + target for b in images for target in expected["matches"][b]["target"]]
    of_pairs[pairs] = points
    return {
        "outputs": {
            "class_logits": found["class_logits"],
            "mask_logits": found["mask_logits"].transpose(0, 2, 3, 1),
        },
        "masks": masks,
        "targets": targets_of(maps, [found[f"classes/{b}"] for b in images]),
        "channels": channels_of(found["class_logits"].shape[2] - 1),
        "for_matching": found["points/matcher"].transpose(0, 2, 1),
        "of_pairs": of_pairs,
        "points": expected["points"],
        "matches": expected["matches"],
        "terms": terms_of(expected["terms"]),
        "total": expected["total"],
        "gradients": {
            "class_logits": found["gradient/class_logits"],
            "mask_logits": found["gradient/mask_logits"].transpose(0, 2, 3, 1),
        },
    }


def network_of(name: str) -> dict:
    """The same of a network's prediction on a grid of points, and class costs."""
    stored, truth, expected = stored_outputs(name), truth_of(name), described(name)
    middles = (np.arange(56, dtype=np.float32) + 0.5) / 56
    grid = np.stack([np.tile(middles, 56), np.repeat(middles, 56)])
    return {
        "outputs": {
            "class_logits": stored["inference/class_logits"],
            "mask_logits": stored["inference/mask_logits"].transpose(0, 2, 3, 1),
        },
        "targets": targets_of_network(name),
        "channels": channels_of(expected["classes"]),
        "for_matching": np.tile(grid, (2, 1, 1)),
        "of_pairs": np.tile(grid, (2 * PLACES, 1, 1)),
        "matches": expected["loss_grid"]["matches"],
        "terms": terms_of(expected["loss_grid"]),
        "class_logits": [stored[f"masked/class_logits/{number}"] for number in range(4)],
        "class_cost": [[truth[f"class_cost/{number}/{b}"] for b in (0, 1)] for number in range(4)],
    }


def truth_of(name: str) -> dict:
    """What the predictions of a network were compared with."""
    return dict(np.load(NETWORKS_FOLDER / name / "targets.npz"))


def targets_of_network(name: str) -> dict:
    """The targets of a network's two images."""
    truth = truth_of(name)
    return targets_of(*([truth[f"{key}/{b}"] for b in (0, 1)] for key in ("segment_map", "classes")))


def terms_of(stored: dict) -> dict[str, float]:
    return {"class": stored["loss_cross_entropy"], "mask": stored["loss_mask"], "dice": stored["loss_dice"]}


def random_scene(seed: int, counts=(5, 3), queries=11, classes=6, predictions=2, places=PLACES) -> tuple[dict, dict]:
    """Outputs of a network that knows nothing and targets of images with so many segments."""
    random = np.random.default_rng(seed)
    batch, outputs = len(counts), {}
    for end in [*(f"_{number}" for number in range(predictions - 1)), ""]:
        outputs[f"class_logits{end}"] = random.normal(0, 2, (batch, queries, classes + 1)).astype(np.float32)
        outputs[f"mask_logits{end}"] = random.normal(0, 3, (batch, 8, 10, queries)).astype(np.float32)
    blocks = [random.permutation(np.arange(20) % (count + 1)).reshape(4, 5) for count in counts]
    maps = [block.repeat(8, axis=0).repeat(8, axis=1) for block in blocks]
    targets = targets_of(maps, [random.integers(0, classes, count) for count in counts], places)
    return outputs, {**targets, "point_seed": random.integers(0, 2**31, (batch, 2)).astype(np.int32)}


def bilinear(mask, points):
    """A map at points (x, y) [P, 2], one after the other, in float64: 0 outside."""
    height, width = mask.shape
    found = []
    for x, y in np.asarray(points, np.float64):
        column, row = x * width - 0.5, y * height - 0.5
        left, top = int(np.floor(column)), int(np.floor(row))
        value = 0.0
        for i in (top, top + 1):
            for j in (left, left + 1):
                if 0 <= i < height and 0 <= j < width:
                    value += float(mask[i, j]) * (1 - abs(row - i)) * (1 - abs(column - j))
        found.append(value)
    return np.array(found)
