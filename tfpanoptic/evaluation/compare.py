"""Whether one evaluation is really better than another of the same images, and what moved.

A and B are drawn together: each draw takes the same images for both (see `bootstrap`), so what makes an image hard for
both cancels, and the difference is known far better than either PQ. All signs are such that above 0 B is better.

Source: Efron & Tibshirani 1993, chapters 13 (percentile interval) and 15.4 (its achieved significance level: the
share of the draws on the other side of 0); the + 1 that keeps p above 0 is that of Davison & Hinkley 1997, 4.2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation import bootstrap
from tfpanoptic.evaluation.bootstrap import GROUPS, QUALITIES
from tfpanoptic.evaluation.measures import attribution, panoptic_quality
from tfpanoptic.evaluation.state import Evaluation

# Two sums of the same numbers in another order differ by less; such a difference is none.
ROUNDING = 1e-12
TOP = 10


def compare(a: Evaluation, b: Evaluation, resamples: int = bootstrap.RESAMPLES, seed: int = 0, top: int = TOP) -> dict:
    """PQ of two evaluations of the same truth, on the images that both have, with the difference B - A.

    Args:
        a, b: with the counters of "pq"; those of "causes" are used if both have them. Categories are matched by name.
        resamples: draws of the paired bootstrap.
        seed: of the draws.
        top: how many of the categories and images that moved most are listed.

    Returns:
        - `verdict`: a sentence.
        - `images`: `{"both", "only_a", "only_b", "missing_a", "missing_b"}`, numbers; missing are those of both that
          one has no prediction for.
        - `notes`: lines about the truth that a person should know.
        - `resamples`, `seed`, `level`.
        - `all`, `things`, `stuff` and `per_category` by name: `{"pq": {"a", "b", "difference", "interval": [low,
          high], "p"}, "sq", "rq", "images"}`, fractions; `images` is how many have such segments, in A or in B,
          where they are fewer. p = 2 min(P(difference <= 0), P(difference >= 0)) over the draws, at most 1. Interval
          and p are None for fewer than two images, all but `images` where there is no segment.
        - `categories_moved`: the `top` by PQ, `{"name", "images"}` and what `pq` has.
        - `only_wrong_in`: `{"a": [names], "b": ...}`, categories that have segments in one alone: wrong ones.
        - `images_moved`: the `top`, `{"name", "lost_a", "lost_b", "gained"}`, see `bootstrap.lost_by_image`; the
          `gained` of all images add up to the difference in PQ.
        - `causes_moved`: None without "causes", else all, in the order of how much: `{"name", "lost_a", "lost_b",
          "gained"}`, see `attribution`; their `gained` add up to the difference in PQ.

    Raises:
        InputError: other categories, another truth, no image in both, no counters of "pq", or `resamples`, `seed`
            or `top` out of range.
    """
    if top < 0:
        raise InputError(f"top: expected 0 or more, found {top}")
    if a.rules != b.rules:
        sides = (f"{side}: {'; '.join(each.rules) or 'the official rules'}" for side, each in (("A", a), ("B", b)))
        raise InputError(f"counted by other rules, {', '.join(sides)}; expected the same on both sides")
    order = _matching_categories(a.categories, b.categories)
    a, b, images = _on_common_images(a, b)
    tables = bootstrap.image_counters(a, "A"), bootstrap.image_counters(b, "B")[:, order]
    notes = _require_same_truth(a, b, tables)
    differences = _differences(a, b, tables, resamples, seed)
    per_category = differences["per_category"]
    with_causes = "causes" in a.measures and "causes" in b.measures
    return {
        "verdict": verdict(differences["all"]["pq"]),
        "images": images,
        "notes": notes,
        "resamples": resamples,
        "seed": seed,
        "level": bootstrap.LEVEL,
        **differences,
        "categories_moved": _moved(per_category)[:top],
        "only_wrong_in": {"a": _only_in("a", "b", per_category), "b": _only_in("b", "a", per_category)},
        "images_moved": [
            entry for entry in _gains(bootstrap.lost_by_image(a), bootstrap.lost_by_image(b)) if entry["gained"]
        ][:top],
        "causes_moved": _gains(_lost_by_cause(a), _lost_by_cause(b)) if with_causes else None,
    }


def verdict(pq: dict[str, Any]) -> str:
    """The sentence that says what `pq`, the entry of PQ in `compare`, shows; in points, hundredths of PQ."""
    if pq["difference"] is None:
        return "nothing can be compared: A or B has no segment in any image, and no PQ"
    difference = 100 * pq["difference"]
    if pq["interval"] is None:
        return f"no difference can be shown: B - A is {difference:+.2f} points of PQ, and one image gives no interval"
    low, high = (100 * end for end in pq["interval"])
    level = f"{100 * bootstrap.LEVEL:.0f} % interval"
    if low > 0:
        return f"B is better by {difference:.2f} points of PQ, {level} {low:.2f} to {high:.2f}"
    if high < 0:
        return f"A is better by {-difference:.2f} points of PQ, {level} {-high:.2f} to {-low:.2f}"
    return (
        f"no difference can be shown: B - A is {difference:+.2f} points of PQ, {level} {low:+.2f} to {high:+.2f}, "
        "which holds 0"
    )


def _matching_categories(a: CategoryTable, b: CategoryTable) -> list[int]:
    """Index in B of each category of A.

    Raises:
        InputError: one has a category that the other lacks, or a thing that is stuff in the other.
    """
    of_a, of_b = a.by_name(), b.by_name()
    for one, found, other, wanted in (("A", of_a, "B", of_b), ("B", of_b, "A", of_a)):
        lacking = [name for name in found if name not in wanted]
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise InputError(
                f"category {lacking[0]!r}{more}: only {one} has it; expected the same categories in {other}"
            )
    for name, category in of_a.items():
        if category.isthing != of_b[name].isthing:
            kinds = [("stuff", "a thing")[each[name].isthing] for each in (of_a, of_b)]
            raise InputError(f"category {name!r} is {kinds[0]} in A and {kinds[1]} in B; expected the same in both")
    return [of_b[category.name].id - 1 for category in a]


def _on_common_images(a: Evaluation, b: Evaluation) -> tuple[Evaluation, Evaluation, dict[str, int]]:
    """A and B of the images that both have, and the entry `images` of `compare`.

    Raises:
        InputError: there is no such image.
    """
    names = sorted(set(a.images) & set(b.images))
    if not names:
        found = [next(iter(sorted(images)), "none at all") for images in (a.images, b.images)]
        raise InputError(f"no image is in both: the first of A is {found[0]}, the first of B is {found[1]}")
    told = {
        "both": len(names),
        "only_a": len(a) - len(names),
        "only_b": len(b) - len(names),
        "missing_a": sum(a.images[name].missing for name in names),
        "missing_b": sum(b.images[name].missing for name in names),
    }
    a, b = (replace(each, images={name: each.images[name] for name in names}) for each in (a, b))
    return a, b, told


def _require_same_truth(a: Evaluation, b: Evaluation, tables: tuple[np.ndarray, np.ndarray]) -> list[str]:
    """Notes about the truth of two evaluations of the same images, which is one and the same.

    Raises:
        InputError: another truth, as far as the fingerprints, or, in files of older versions, the numbers of true
            segments say.
    """
    prints = {name: (a.images[name].truth, b.images[name].truth) for name in sorted(a.images)}
    known = {name: pair for name, pair in prints.items() if all(any(each) for each in pair)}
    for part, what in (("segments", "the true segments"), ("areas", "the areas in the annotation of the truth")):
        other = [name for name, (of_a, of_b) in known.items() if getattr(of_a, part) != getattr(of_b, part)]
        if other:
            wrong = [f"{each.images[other[0]].wrong_areas} wrong in {side}" for side, each in (("A", a), ("B", b))]
            areas = f" ({' and '.join(wrong)})" if part == "areas" else ""
            raise InputError(
                f"{what} of {len(other)} of {len(prints)} images are not the same, first {other[0]}{areas}; "
                "expected two evaluations against the same truth"
            )
    for number, name in enumerate(prints):
        if name not in known:
            _require_as_many_segments(name, tables[0][number], tables[1][number], a, b)
    notes = []
    if len(known) < len(prints):
        notes.append(
            f"the truth of {len(prints) - len(known)} images was compared by its numbers of segments alone: a state "
            "file of an older version holds no more of it"
        )
    wrong_areas = sum(image.wrong_areas for image in a.images.values())
    if wrong_areas:
        notes.append(
            f"{wrong_areas} segments of the truth have an area in the annotation that is not the number of their "
            "pixels; the official rules take the annotation's"
        )
    return notes


def _require_as_many_segments(name: str, of_a: np.ndarray, of_b: np.ndarray, a: Evaluation, b: Evaluation) -> None:
    """Checks the number of true segments of an image: each is either matched or missed, whatever the prediction.

    Only one whose area in the annotation is too small can be matched twice.

    Args:
        name: of the image.
        of_a, of_b: its counters in each evaluation, float64 `[C, 4]`.
        a, b: the evaluations, with A's categories in the counters of both.
    """
    true_a, true_b = (counters[:, 1] + counters[:, 3] for counters in (of_a, of_b))
    (category,) = np.nonzero(true_a != true_b)
    if len(category):
        first = category[0]
        wrong = max(a.images[name].wrong_areas, b.images[name].wrong_areas)
        areas = "; true segments whose area in the annotation is wrong can match twice: correct the areas"
        raise InputError(
            f"image {name} has {true_a[first]:.0f} true segments of {a.categories[int(first) + 1].name!r} in A and "
            f"{true_b[first]:.0f} in B; expected two evaluations against the same truth{areas if wrong else ''}"
        )


def _differences(
    a: Evaluation, b: Evaluation, tables: tuple[np.ndarray, np.ndarray], resamples: int, seed: int
) -> dict[str, Any]:
    """The entries of the groups and of each category, see `compare`."""
    categories = a.categories
    drawn_a, drawn_b = bootstrap.resampled_qualities(tables, categories, resamples, seed)
    images = np.minimum(*(bootstrap.images_with_segments(table, categories) for table in tables))
    difference = drawn_b - drawn_a  # [R, 3 + C, 3]
    difference[np.abs(difference) < ROUNDING] = 0
    low, high = bootstrap.intervals(difference, images)
    p = _p_values(difference)
    summaries = [panoptic_quality.summarize_rows(each.rows("pq"), each.categories) for each in (a, b)]
    in_order = [
        [*(s[group] for group in GROUPS), *(s["per_category"][category.name] for category in categories)]
        for s in summaries
    ]
    entries = []
    for number, (of_a, of_b) in enumerate(zip(*in_order, strict=True)):
        entry: dict[str, Any] = {"images": int(images[number])}
        for quality, name in enumerate(QUALITIES):
            at = number, quality
            interval = bootstrap.interval_or_none(low[at], high[at])
            entry[name] = {
                "a": of_a[name],
                "b": of_b[name],
                "difference": _difference(of_a[name], of_b[name]),
                "interval": interval,
                "p": None if interval is None else float(p[at]),
            }
        entries.append(entry)
    return bootstrap.by_entry(entries, categories)


def _p_values(difference: np.ndarray) -> np.ndarray:
    """Two-sided p of differences `[R, E, 3]`, over the draws that have one; float64 `[E, 3]`."""
    draws = np.sum(~np.isnan(difference), axis=0)
    rarer = np.minimum(np.sum(difference <= 0, axis=0), np.sum(difference >= 0, axis=0))
    return np.minimum(1.0, 2 * (rarer + 1) / (draws + 1))


def _difference(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    return 0.0 if abs(b - a) < ROUNDING else b - a


def _moved(per_category: dict[str, dict]) -> list[dict[str, Any]]:
    """The categories whose PQ is not the same, the largest change first."""
    entries = [{"name": name, "images": entry["images"], **entry["pq"]} for name, entry in per_category.items()]
    return _largest([entry for entry in entries if entry["difference"]], "difference")


def _only_in(one: str, other: str, per_category: dict[str, dict]) -> list[str]:
    """Categories with a PQ in one evaluation alone: the truth is the same, so all their segments are wrong."""
    pq = {name: entry["pq"] for name, entry in per_category.items()}
    return [name for name, entry in pq.items() if entry[one] is not None and entry[other] is None]


def _lost_by_cause(evaluation: Evaluation) -> dict[str, float]:
    found = attribution.summarize_rows(evaluation.rows("causes"), evaluation.categories)["all"]["causes"]
    return {cause: found[cause]["lost"] if found else 0.0 for cause in attribution.CAUSES}


def _gains(lost_a: dict[str, float], lost_b: dict[str, float]) -> list[dict[str, Any]]:
    """What is lost in A and not in B, by name, the largest change first."""
    entries = [
        {"name": name, "lost_a": lost, "lost_b": lost_b[name], "gained": _difference(lost_b[name], lost)}
        for name, lost in lost_a.items()
    ]
    return _largest(entries, "gained")


def _largest(entries: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """In the order of the absolute value of `key`; names decide between equals."""
    return sorted(entries, key=lambda entry: (-abs(entry[key]), entry["name"]))
