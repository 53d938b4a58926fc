"""Parts of a set for training, for the choice of the best weights, and for the numbers that are reported.

A set without a validation part gets one by `data.val_share`, and `data.select_share` sets images aside that choose the
best weights; both come out of the training images. The parts are drawn by a hash of each image's name (or of its
group's), so that an image stays in its part when others are added.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.settings.dataset import HAS_VALIDATION, DatasetConfig

SPLITS = ("train", "select", "val")


def split_of(config: DatasetConfig, split: str, read: Callable[[str], Dataset]) -> Dataset:
    """A split of a set: a part of its own, or a share of its training part.

    Args:
        config: the set's configuration.
        split: "train", "val", or "select" where some images are set aside to choose the best weights.
        read: gives the set's own part "train" or "val".

    Raises:
        InputError: another split, or as `read`.
        SettingError: there is no such part, or too few images for it.
    """
    if split not in SPLITS:
        raise InputError(f"{config.name} has the splits train and val, not {split!r}")
    if split == "select" and not config.select_part:
        raise SettingError("data.select_share", "no images are set aside to choose the best weights; expected a share")
    if config.val_share is not None and config.has_val:
        raise SettingError("data.val_share", HAS_VALIDATION)
    if split == "val" and config.val_share is None:
        return read("val")
    dataset = read("train")
    if split == "train" and not config.val_share and not config.select_part:
        return dataset
    numbers = draw_parts(dataset.records, config)[split]
    return replace(dataset, split=split, records=tuple(dataset.records[number] for number in numbers))


def draw_parts(records: tuple[ImageRecord, ...], config: DatasetConfig) -> dict[str, list[int]]:
    """Split -> numbers of its images, ascending; a part that the hash leaves empty gets the nearest group.

    Raises:
        SettingError: fewer groups than parts, or `share_group` is found in no name.
    """
    names = _groups([record.file_name for record in records], config.share_group)
    groups = sorted({(_place(name, config.share_seed), name) for name in names})
    places = np.array([place for place, _ in groups])
    shares = {"val": config.val_share or 0.0, "select": config.select_part}
    wanted = [split for split, share in shares.items() if share]
    if len(groups) <= len(wanted):
        what = "images" if config.share_group is None else f"groups by data.share_group {config.share_group!r}"
        raise SettingError(
            "data.val_share" if config.val_share else "data.select_share",
            f"{len(groups)} {what} are too few to set some aside; none is left to train on",
        )
    ends, begin, limit = {}, 0, 0.0
    for number, split in enumerate(wanted, start=1):
        limit += shares[split]
        # However the hash falls, each part has a group, that to train on, too.
        begin = min(max(int((places < limit).sum()), begin + 1), len(groups) - len(wanted) + number - 1)
        ends[split] = begin
    rank = {name: number for number, (_, name) in enumerate(groups)}
    parts: dict[str, list[int]] = {split: [] for split in SPLITS}
    for number, name in enumerate(names):
        split = next((split for split, end in ends.items() if rank[name] < end), "train")
        parts[split].append(number)
    return parts


def _groups(names: list[str], pattern: str | None) -> list[str]:
    """The group of each name: what the pattern finds in it, its first parentheses if it has some; else the name."""
    if pattern is None:
        return names
    found = [re.search(pattern, name) for name in names]
    if not any(found):
        raise SettingError("data.share_group", f"{pattern!r} is found in no name, such as {names[0]}")
    return [
        (match[1] if match.re.groups and match[1] is not None else match[0]) if match else name
        for match, name in zip(found, names, strict=True)
    ]


def _place(name: str, seed: int) -> float:
    """A number in 0..1 that stands for the name."""
    digest = hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
