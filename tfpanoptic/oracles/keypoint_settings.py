"""Settings of DeeperLab that can keep perfect outputs from giving the truth back, each moved out of the way."""

from __future__ import annotations

from typing import Any

from tfpanoptic.architecture import Relaxation
from tfpanoptic.errors import SettingError
from tfpanoptic.oracles.center_settings import IMAGE, backbone_strides
from tfpanoptic.oracles.relaxed import relaxed


def fine_stride(config: Any) -> int:
    """Pixels a cell of the heads.

    Raises:
        SettingError: the decoder's endpoint is none of the backbone's.
    """
    endpoint, strides = config.decoder.endpoint, backbone_strides(config)
    if endpoint == IMAGE:
        return 1
    if endpoint not in strides:
        raise SettingError("model.decoder.endpoint", f"expected one of {', '.join(strides)}, found {endpoint!r}")
    return strides[endpoint]


def block_side(config: Any) -> int:
    """Cells of the decoder's endpoint along a side of a cell of the backbone's last map.

    Raises:
        SettingError: the decoder's endpoint is none of the backbone's.
    """
    return backbone_strides(config)["res5"] // fine_stride(config)


def relaxations(config: Any, most_instances: int) -> tuple[Relaxation, ...]:
    """The settings that can cost panoptic quality, each relaxed alone; see `architecture.Oracle`."""
    return (*_finer_heads(config), *_post_processing(config, most_instances), *_other_targets(config, most_instances))


def _finer_heads(config: Any) -> tuple[Relaxation, ...]:
    """Heads one step finer, and without a stride."""
    stride = fine_stride(config)
    if stride == 1:
        return ()
    advice = "take a finer endpoint of the backbone"
    finer = {endpoint: other for endpoint, other in backbone_strides(config).items() if other < stride}
    found = []
    if finer:
        endpoint = max(finer, key=finer.__getitem__)
        found.append(relaxed(config, "decoder.endpoint", endpoint, advice))
    limit = "this is what any stride costs; larger inputs come nearer to it"
    exact = relaxed(config, "decoder.endpoint", IMAGE, limit)
    return (*found, exact._replace(relaxed="stride 1, which no network has", possible=False))


def _post_processing(config: Any, most_instances: int) -> tuple[Relaxation, ...]:
    settings = config.postprocess
    found: list[tuple[str, Any, str]] = []
    if settings.long_refinements > 0:
        found.append(("long_refinements", 0, "lower it: corners that lie in a neighbour are led to the neighbour's"))
    if settings.keypoint_threshold > 0:
        found.append(("keypoint_threshold", 0.0, "lower it: keypoints get fewer votes"))
    if settings.keypoint_window > 1:
        found.append(("keypoint_window", 1, "lower it: of two keypoints in one window only one is kept"))
    if settings.keypoint_distance > 0:
        half = settings.keypoint_distance / 2
        found.append(("keypoint_distance", half, "lower it: neighbours are taken for one instance"))
    if settings.instance_score > 0:
        found.append(("instance_score", 0.0, "lower it: instances score less"))
    if settings.box_overlap < 1:
        found.append(("box_overlap", 1.0, "raise it: instances whose boxes better ones cover are thrown away"))
    if settings.max_instances < most_instances:
        found.append(("max_instances", most_instances, f"raise it to at least {most_instances}"))
    if settings.stuff_area > 1:
        found.append(("stuff_area", 0, "lower it: stuff segments with fewer pixels are thrown away"))
    return tuple(relaxed(config, f"postprocess.{name}", value, advice) for name, value, advice in found)


def _other_targets(config: Any, most_instances: int) -> tuple[Relaxation, ...]:
    radius = config.targets.radius
    found = [relaxed(config, "targets.radius", radius * 2, "raise it: so few cells vote for a keypoint")]
    if radius > 1:
        advice = "lower it: the disks of neighbours cut each other"
        found.append(relaxed(config, "targets.radius", radius // 2, advice))
    if config.targets.max_instances < most_instances:
        advice = f"raise it to at least {most_instances}"
        found.append(relaxed(config, "targets.max_instances", most_instances, advice))
    return tuple(found)
