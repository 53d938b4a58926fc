"""A tuning as lines to read, PQ in percent."""

from __future__ import annotations

from typing import Any

from tfpanoptic.export.quantities import counted, percent
from tfpanoptic.predict.fates import fates_line
from tfpanoptic.settings.tuned import SECTION
from tfpanoptic.tune.run import gains, moved

# With fewer images held back the gain is little more than a guess.
FEW = 50


def print_tuning(result: dict[str, Any], dry_run: bool) -> None:
    """Prints what `tune.run.tune_run` returned.

    Args:
        result: of it.
        dry_run: whether nothing was to be written.
    """
    tuned_on, held_back = result["tuned_on"]["images"], result["held_back"]["images"]
    print(f"PQ at each value, on the {tuned_on} images tuned on, the other settings at their best:")
    for setting, points in result["sweep"].items():
        print(f"  {setting.removeprefix(SECTION):<20}{_change(result['settings'][setting])}")
        print("    " + "  ".join(f"{point['value']}: {percent(point['pq'])}" for point in points))
    print()
    for name, key in (("tuned on", "tuned_on"), ("held back", "held_back"), ("all", "all")):
        print(f"{name:<10}{_gain(result[key])}")
    for name, fates in (result["fates"] or {}).items():
        print(f"{name:<10}{fates_line(fates, result['images'])}")
    seconds, combinations = result["seconds"], counted(result["trials"], "combination")
    print(
        f"{combinations} of values in {seconds['trials']:.0f} s; the network, once for each image, "
        f"{seconds['network']:.0f} s"
    )
    if held_back < FEW:
        print(f"few images: {held_back} held back say little; better {FEW} or more")
    for line in _outcome(result, dry_run):
        print(line)
    if result["earlier"] is not None:
        print(f"{result['earlier']}: of an earlier tuning, still holds")


def _outcome(result: dict[str, Any], dry_run: bool) -> list[str]:
    """What was written, or why nothing was."""
    if not moved(result):
        return ["no value is better than those of the run's configuration; nothing is written"]
    if result["written"] is None and not gains(result):
        return ["nothing is gained on the images held back, so nothing is written (--force writes it all the same)"]
    if dry_run:
        changes = " ".join(f"{setting}={ends['to']}" for setting, ends in moved(result).items())
        return [f"dry run, nothing is written; to try it: {changes}"]
    low = (result["held_back"]["interval"] or [0.0])[0]
    chance = ["the gain on the images held back may be chance: its interval holds 0"] if low <= 0 else []
    return [
        *chance,
        f"{result['written']}: written; evaluate, predict, export and from_preset take these settings "
        f"(tfpanoptic tune {result['run']} --reset goes back)",
        "PQ of these images is flattered now, for half of them chose the settings: the gain to tell is that on the "
        "images held back",
    ]


def _change(ends: dict[str, Any]) -> str:
    return f"{ends['from']} stays" if ends["from"] == ends["to"] else f"{ends['from']} -> {ends['to']}"


def _gain(part: dict[str, Any]) -> str:
    """Images, PQ before and after, and the gain with its interval."""
    line = f"{part['images']:>6} images   PQ {percent(part['before'])} -> {percent(part['after'])}"
    if part["gain"] is None:
        return line
    line += f"   {100 * part['gain']:+.1f}"
    if part["interval"] is None or part["interval"] == [0.0, 0.0]:
        return line
    low, high = (100 * end for end in part["interval"])
    return f"{line}   (95 % interval {low:+.1f} to {high:+.1f})"
