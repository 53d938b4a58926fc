"""Settings of Panoptic-DeepLab that can keep perfect outputs from giving the truth back, each moved out of the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfpanoptic.architecture import Relaxation
from tfpanoptic.backbones import BACKBONES
from tfpanoptic.errors import SettingError
from tfpanoptic.oracles.relaxed import relaxed

# In place of an endpoint: heads on the image's own grid, which no backbone has.
IMAGE = "image"
BRANCHES = ("semantic", "instance")
# Side of the smallest window that is larger than one pixel and has a middle.
SMALLEST_WINDOW = 3


def head_stride(branch: str, config: Any) -> int:
    """Pixels a cell of the heads of a branch, `semantic` or `instance`.

    Raises:
        SettingError: a skip whose name is not one of a backbone's endpoints.
    """
    skips = getattr(config, branch).skips
    endpoint = skips[-1].endpoint if skips else "res5"
    if endpoint == IMAGE:
        return 1
    strides = backbone_strides(config)
    if endpoint not in strides:
        raise SettingError(f"model.{branch}.skips", f"expected endpoints {', '.join(strides)}, found {endpoint!r}")
    return strides[endpoint]


def backbone_strides(config: Any) -> dict[str, int]:
    """Stride of each endpoint of the backbone, from fine to coarse."""
    return BACKBONES[config.backbone.name].strides(config.backbone)


def relaxations(config: Any, most_instances: int) -> tuple[Relaxation, ...]:
    """The settings that can cost panoptic quality, each relaxed alone; see `architecture.Oracle`."""
    return (
        *_finer_heads(config),
        *_post_processing(config, most_instances),
        *_other_peaks(config),
    )


def _finer_heads(config: Any) -> tuple[Relaxation, ...]:
    """The coarser heads one step finer, and all heads without a stride."""
    strides = {branch: head_stride(branch, config) for branch in BRANCHES}
    coarsest = max(strides.values())
    if coarsest == 1:
        return ()
    now = f"stride {' and '.join(map(str, sorted(set(strides.values()))))}"
    exact = _end_at(config, BRANCHES, IMAGE)
    limit = "this is what any stride costs; larger inputs come nearer to it"
    bound = Relaxation(_paths(BRANCHES), now, "stride 1, which no network has", exact, limit, possible=False)
    finer = {endpoint: stride for endpoint, stride in backbone_strides(config).items() if stride < coarsest}
    if not finer:
        return (bound,)
    coarse = [branch for branch in BRANCHES if strides[branch] == coarsest]
    endpoint = max(finer, key=finer.__getitem__)
    advice = f"end it with {{endpoint: {endpoint}, channels: ...}} for finer heads"
    refined = _end_at(config, coarse, endpoint)
    return (Relaxation(_paths(coarse), now, f"stride {finer[endpoint]}", refined, advice), bound)


def _paths(branches: Sequence[str]) -> str:
    return ", ".join(f"model.{branch}.skips" for branch in branches)


def _end_at(config: Any, branches: Sequence[str], endpoint: str) -> Any:
    """The configuration with `endpoint` as the last skip of the branches; perfect heads do not look at its width."""
    settings = config.model_dump()
    for branch in branches:
        part = settings[branch]
        part["skips"] = (*part["skips"], {"endpoint": endpoint, "channels": 1})
    return type(config).model_validate(settings)


def _post_processing(config: Any, most_instances: int) -> tuple[Relaxation, ...]:
    settings = config.postprocess
    found: list[tuple[str, Any, str]] = []
    if settings.nms_kernel > SMALLEST_WINDOW:
        found.append(("nms_kernel", SMALLEST_WINDOW, "lower it: of two centres in one window only the higher is kept"))
    if settings.center_threshold > 0:
        found.append(("center_threshold", 0.0, "lower it, or raise model.targets.sigma: peaks of centres are below it"))
    if settings.max_centers < most_instances:
        found.append(("max_centers", most_instances, f"raise it to at least {most_instances}"))
    if settings.stuff_area > 1:
        found.append(("stuff_area", 0, "lower it: stuff segments with fewer pixels are thrown away"))
    return tuple(relaxed(config, f"postprocess.{name}", value, advice) for name, value, advice in found)


def _other_peaks(config: Any) -> tuple[Relaxation, ...]:
    sigma = config.targets.sigma
    return (
        relaxed(config, "targets.sigma", sigma / 2, "lower it: the centres of neighbours melt into one peak"),
        relaxed(config, "targets.sigma", sigma * 2, "raise it: so narrow a peak gets lost between cells"),
    )
