"""Arrays of a checkpoint -> the weights of a model, one to one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from tfpanoptic.errors import InputError, SettingError


class Head(NamedTuple):
    """A last layer whose outputs are a data set's categories.

    Attributes:
        start: of its arrays' names in the checkpoint.
        title: in field words.
        unit: what is counted in messages.
        outputs_each: outputs of each.
        outputs_beside: outputs that belong to none.
    """

    start: str
    title: str
    unit: str = "classes"
    outputs_each: int = 1
    outputs_beside: int = 0


def require_architecture(model, names: tuple[str, ...], project: str) -> None:
    """Checks that a `PanopticSegmenter` is of an architecture; of a network without a configuration nothing is known.

    Raises:
        SettingError: it is of another one.
    """
    found = model.experiment.model.name if hasattr(model, "experiment") else names[0]
    if found not in names:
        raise SettingError(
            "model.name", f"expected {' or '.join(map(repr, names))} for weights of {project}, found {found!r}"
        )


def differing_settings(model, expected: Mapping[str, Any], parts: Sequence[str] | None = None) -> list[str]:
    """The settings with which a segmenter computes something else with the weights, a phrase each.

    Args:
        model: a `PanopticSegmenter`; of a network without a configuration nothing is known.
        expected: dotted path below `model` -> value; a setting that the model does not have is passed over.
        parts: the sections of the configuration to look at; all by default.
    """
    differing = []
    for path, value in expected.items() if hasattr(model, "experiment") else ():
        if parts is not None and path.split(".")[0] not in parts:
            continue
        found = model.experiment.model
        for key in path.split("."):
            found = getattr(found, key, value)
        if found != value:
            differing.append(f"model.{path}: expected {value!r} for these weights, found {found!r}")
    return differing


def differing_pixels(name: str, found, expected: Sequence[float], order: str = "") -> list[str]:
    """A phrase where a network is for images that are normalised with other numbers of their channels.

    Args:
        name: of the numbers in the checkpoint.
        found: what it has there; None where it has none.
        expected: what our network does.
        order: of the channels, for the message.
    """
    values = np.asarray(expected if found is None else found, np.float64).ravel()
    if values.shape == (3,) and np.allclose(values, expected, atol=1e-3):
        return []
    shown, wanted = (", ".join(f"{value:g}" for value in numbers[:3]) for numbers in (values, expected))
    return [
        f"{name} is ({shown}), expected ({wanted}){order and f' for {order}'}: "
        "a network for images that are normalised in another way"
    ]


def set_weights(
    variables: Iterable,
    arrays: Mapping[str, np.ndarray],
    name_of: Callable[[str], str],
    project: str,
    heads: Sequence[Head],
    reset_heads: bool = False,
    differing: Sequence[str] = (),
) -> tuple[str, ...]:
    """Fills weights: every array is used once, every weight is set once.

    Names come first in the message: where most of the checkpoint's have no place, it is of another network, and how
    this one is configured does not matter.

    Args:
        variables: the weights, Keras variables.
        arrays: name -> array, in Keras' layout.
        name_of: path of a weight of ours -> its name among the arrays.
        project: the network that the arrays should be of, for messages.
        heads: the layers that only fit a model of the same categories.
        reset_heads: leave these layers as they are and pass over their arrays, whatever their shapes.
        differing: what else the arrays and the weights do not agree in, a phrase each.

    Returns:
        Paths of the weights that were left as they are.

    Raises:
        InputError: arrays without a weight, weights without an array, shapes that differ, numbers that are not finite,
            or anything in `differing`; nothing is set then.
    """
    weights = {name_of(weight.path): weight for weight in variables}
    left: list[str] = []
    if reset_heads:
        starts = tuple(head.start for head in heads)
        left = [weights.pop(name).path for name in list(weights) if name.startswith(starts)]
        arrays = {name: array for name, array in arrays.items() if not name.startswith(starts)}
    shapes = {name: (np.shape(arrays[name]), tuple(weight.shape)) for name, weight in weights.items() if name in arrays}
    misfits = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    of_other_categories = [_take_head(misfits, head) for head in heads]
    problems = [
        _other_names(arrays.keys(), weights.keys()),
        *(differing if 2 * len(shapes) > len(arrays) else ()),
        listed("other shape for", (f"{n} (found {f}, expected {e})" for n, (f, e) in misfits.items())),
        _heads_of_other_categories(filter(None, of_other_categories)),
        listed("numbers that are not finite in", (name for name in shapes if not np.isfinite(arrays[name]).all())),
    ]
    if any(problems):
        raise InputError(f"expected weights of {project} that fit the model: " + "; ".join(filter(None, problems)))
    for name, weight in weights.items():
        weight.assign(arrays[name])
    return tuple(left)


def listed(problem: str, names: Iterable[str]) -> str:
    """One phrase with the first few names, empty without names."""
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return f"{problem} {', '.join(ordered[:3])}{more}" if ordered else ""


def _other_names(found: Set[str], expected: Set[str]) -> str:
    """How many names fit and the first that do not, empty where all do."""
    if found == expected:
        return ""
    fit = len(found & expected)
    counts = f"{fit} of the checkpoint's {len(found)} names fit, the model has {len(expected)}"
    parts = [counts, listed("no place for", found - expected), listed("no value for", expected - found)]
    return "; ".join(filter(None, parts))


def _take_head(misfits: dict[str, tuple], head: Head) -> str:
    """The head with both numbers of outputs, taken out of the misfits; empty if they differ in anything else."""
    own = {name: pair for name, pair in misfits.items() if name.startswith(head.start)}
    if not own or any(not found or found[:-1] != expected[:-1] for found, expected in own.values()):
        return ""
    for name in own:
        del misfits[name]
    found, expected = next(iter(own.values()))
    counts = [(shape[-1] - head.outputs_beside) // head.outputs_each for shape in (found, expected)]
    return f"{head.title} ({counts[0]} {head.unit}, the model has {counts[1]})"


def _heads_of_other_categories(heads: Iterable[str]) -> str:
    """One phrase with all these heads, empty without any."""
    named = ", ".join(heads)
    advice = "--reset-heads leaves the heads of categories as initialised"
    return f"heads for other categories: {named}; {advice}" if named else ""
