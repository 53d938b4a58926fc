"""What each image costs: how the lost points are spread, and the worst images."""

from __future__ import annotations

import numpy as np

from tfpanoptic.evaluation.bootstrap import lost_by_image
from tfpanoptic.evaluation.state import Evaluation
from tfpanoptic.report.plots import cumulative_curve, histogram
from tfpanoptic.report.scenes import Scenes, WorstImage, scene_list
from tfpanoptic.report.text import counted, fine_percent, percent

# Less than this is rounding.
LEAST_LOSS = 1e-9


def distribution_section(evaluation: Evaluation) -> str:
    """How the lost points are spread over the images; nothing where none is lost."""
    lost = np.array(list(lost_by_image(evaluation).values()))
    total = float(lost.sum())
    if total < LEAST_LOSS:
        return ""
    shares = np.cumsum(np.sort(lost)[::-1]) / total
    half = int(np.searchsorted(shares, 0.5 - LEAST_LOSS)) + 1
    return (
        f"<p>Half of the lost points come from {counted(half, 'image')}, {percent(half / len(lost), 0)} % of all. An "
        f"image costs {fine_percent(total / len(lost))} points on average and {fine_percent(float(lost.max()))} at "
        "most; the points of all images add up to what is lost.</p>\n"
        f'<div class="plots">{histogram(lost, "lost points of PQ by image")}{cumulative_curve(lost)}</div>'
    )


def worst_section(evaluation: Evaluation, scenes: Scenes | None, number: int) -> str:
    """The images that cost most; nothing where none is lost.

    Raises:
        InputError: `scenes` cannot read an image, or its parts do not fit together.
    """
    worst = worst_images(evaluation, number)
    if not worst:
        return ""
    how = (
        "<p>No pictures: this report was made from counters alone, without the files of the images.</p>"
        if scenes is None
        else '<p class="scripted">A click on a picture shows the next one in its place; so do the keys 1 to 4 for the '
        "image under the pointer, and 0 shows them side by side.</p>"
    )
    return f"<p>By what they cost PQ, the most first.</p>{how}{scene_list(worst, evaluation, scenes)}"


def worst_images(evaluation: Evaluation, number: int) -> list[WorstImage]:
    """Up to so many images that cost most, the worst first; those that cost nothing are left out."""
    lost = lost_by_image(evaluation)
    total = sum(lost.values())
    order = sorted((image for image in lost if lost[image] > LEAST_LOSS), key=lambda image: (-lost[image], image))
    return [WorstImage(evaluation.images[image], lost[image], lost[image] / total) for image in order[:number]]
