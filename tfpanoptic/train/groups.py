"""What the configuration says about each variable: factor of the rate, decay, start, or that it is frozen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tfpanoptic.errors import SettingError
from tfpanoptic.settings.training import GroupConfig, LayerDecayConfig, TrainingConfig

# As `exclude_from_weight_decay` of Keras searches it: in the last part of the path.
_NO_DECAY = GroupConfig(match="(bias|gamma|beta)[^/]*$", weight_decay=False)


class Rule(NamedTuple):
    """How a variable is updated; hashable, since many variables have the same."""

    learning_rate_factor: float
    weight_decay: float
    start_step: int
    warmup_steps: int


def variable_rules(config: TrainingConfig, paths: Sequence[str]) -> list[Rule | None]:
    """The rule of each variable, None for a frozen one.

    The groups apply in their order, after a first one of our own: no weight decay for bias, gamma and beta.
    A later one overrides the keys that it sets. The factor by depth multiplies that of the groups.

    Args:
        config: of the run.
        paths: those of the variables, such as `stage3_block2_conv1/kernel`.

    Raises:
        SettingError: a pattern finds no variable, a layer's number is not below `layers`, or all are frozen.
    """
    settings = config.optimizer
    for i, group in enumerate(settings.groups):
        _require_match(f"groups.{i}.match", group.match, paths)
    depths = _layer_factors(settings.layer_decay, paths)
    rules = [_rule(config, path, factor) for path, factor in zip(paths, depths)]
    for path, rule in zip(paths, rules):
        if rule is not None:
            _require_fitting_warmup(config, path, rule)
    if not any(rules):
        raise SettingError("training.optimizer.groups", "all variables are frozen, nothing is left to train")
    return rules


def _require_fitting_warmup(config: TrainingConfig, path: str, rule: Rule) -> None:
    """Checks where the warm-up of a variable ends, which groups may set together."""
    end = rule.start_step + rule.warmup_steps
    if end and end >= config.steps:
        message = f"the warm-up of {path} ends at step {end}, must be below training.steps {config.steps}"
        raise SettingError("training.optimizer.groups", message)
    drops = config.schedule.drop_steps
    if config.optimizer.rescale_momentum and drops[0] < end:
        message = f"the first drop, at {drops[0]}, is in the warm-up of {path}, which ends at {end}"
        raise SettingError("training.optimizer.rescale_momentum", message)


def _rule(config: TrainingConfig, path: str, depth_factor: float) -> Rule | None:
    settings = config.optimizer
    keys: dict = {}
    for group in (_NO_DECAY, *settings.groups):
        if re.search(group.match, path):
            keys |= group.model_dump(exclude={"match"}, exclude_none=True)
    if keys.get("frozen"):
        return None
    decay = keys.get("weight_decay", True)
    if isinstance(decay, bool):
        decay = settings.weight_decay if decay else 0.0
    return Rule(
        keys.get("learning_rate_factor", 1.0) * depth_factor,
        decay,
        keys.get("start_step", 0),
        keys.get("warmup_steps", config.schedule.warmup_steps),
    )


def _layer_factors(config: LayerDecayConfig | None, paths: Sequence[str]) -> list[float]:
    """Each variable's factor by depth.

    Source: BEiT and EoMT; the factor of layer i of L is `factor ** (L - 1 - i)`.
    """
    if config is None:
        return [1.0] * len(paths)
    _require_match("layer_decay.match", config.match, paths)
    if config.first is not None:
        _require_match("layer_decay.first", config.first, paths)
    return [config.factor ** (config.layers - 1 - _layer(config, path)) for path in paths]


def _layer(config: LayerDecayConfig, path: str) -> int:
    """The layer that a variable counts as; what no pattern finds counts as the last one."""
    match = re.search(config.match, path)
    if match is not None:
        number = match.group(1)
        if not (number and number.isdecimal() and int(number) < config.layers):
            raise SettingError(
                "training.optimizer.layer_decay.match",
                f"expected a layer from 0 to {config.layers - 1} in {path}, found {number!r} by {config.match!r}",
            )
        return int(number)
    return 0 if config.first is not None and re.search(config.first, path) else config.layers - 1


def _require_match(key: str, pattern: str, paths: Sequence[str]) -> None:
    if not any(re.search(pattern, path) for path in paths):
        some = ", ".join(paths[:: max(1, len(paths) // 4)][:4])
        message = f"{pattern!r} matches no variable; some of their paths are {some}"
        raise SettingError(f"training.optimizer.{key}", message)
