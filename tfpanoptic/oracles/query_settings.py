"""Settings of mask classification that can keep perfect queries from giving the truth back, each relaxed alone."""

from __future__ import annotations

from typing import Any

from tfpanoptic.architecture import Relaxation
from tfpanoptic.oracles.relaxed import relaxed

# Pixels a cell of the mask logits: patches of 16 pixels, enlarged twice.
STRIDE = 4
# No field of the configuration, as no network has another stride: a relaxed configuration carries it here.
_STRIDE_FIELD = "mask_stride"


def mask_stride(config: Any) -> int:
    """Pixels a cell of the mask logits, of a configuration or of a relaxed one."""
    return getattr(config, _STRIDE_FIELD, STRIDE)


def taught_segments(config: Any) -> int:
    """The most segments of one image that a network can predict."""
    return min(config.queries, config.targets.max_segments)


def relaxations(config: Any, most_instances: int) -> tuple[Relaxation, ...]:
    """The settings that can cost panoptic quality, each relaxed alone; see `architecture.Oracle`.

    Args:
        config: with `queries`, `targets.max_segments` and `postprocess`.
        most_instances: of an image of the data.
    """
    return (*_more_segments(config, most_instances), _finer_masks(config), *_thresholds(config))


def _more_segments(config: Any, most_instances: int) -> tuple[Relaxation, ...]:
    """As many queries and targets as an image can need, if it has at most as many segments of stuff as of things."""
    needed = 2 * most_instances
    few = [name for name in ("queries", "targets.max_segments") if _value(config, name) < needed]
    if not few:
        return ()
    changed = config
    for name in few:
        changed = relaxed(changed, name, needed, "").config
    found = " and ".join(str(_value(config, name)) for name in few)
    advice = "raise it: of an image with more segments the smallest are never taught"
    return (Relaxation(", ".join(f"model.{name}" for name in few), found, str(needed), changed, advice),)


def _value(config: Any, setting: str) -> Any:
    for name in setting.split("."):
        config = getattr(config, name)
    return config


def _finer_masks(config: Any) -> Relaxation:
    """Masks of twice the sides."""
    stride = mask_stride(config)
    finer = config.model_copy(update={_STRIDE_FIELD: stride // 2})
    relaxed_to = f"stride {stride // 2}, which no network has"
    limit = "this is what the grid of the masks costs; larger inputs come nearer to it"
    return Relaxation("mask_logits", f"stride {stride}", relaxed_to, finer, limit, possible=False)


def _thresholds(config: Any) -> tuple[Relaxation, ...]:
    settings = config.postprocess
    found: list[tuple[str, float, str]] = []
    if settings.score > 0:
        found.append(("score", 0.0, "lower it: queries are less sure of their category"))
    if settings.mask_threshold > 0:
        half = settings.mask_threshold / 2
        found.append(("mask_threshold", half, "lower it: pixels at the border of a mask become void"))
    if settings.overlap > 0:
        found.append(("overlap", 0.0, "lower it: queries that lose pixels to others are thrown away"))
    return tuple(relaxed(config, f"postprocess.{name}", value, advice) for name, value, advice in found)
