"""What the numbers of the report mean, in short."""

from __future__ import annotations

from collections.abc import Collection

from tfpanoptic.report.text import escaped

# Measure that must be there ("" for always), term, explanation.
_TERMS = (
    (
        "",
        "PQ",
        "of a category: the sum of the IoU of its matches, by TP + FP/2 + FN/2. It is SQ, the mean IoU of the matches, "
        "times RQ, the F1 of the segments. Numbers for all are means over the categories with segments. A predicted "
        "and a true segment of one category match if their IoU is above 0.5.",
    ),
    (
        "",
        "Ignored",
        "void pixels of the truth leave the unions; predicted segments that lie by more than half on void or on a "
        "crowd of their category are no errors; crowds are never missed.",
    ),
    (
        "causes",
        "Lost points",
        "what a category lacks to a PQ of 100 is the sum over its matches of 1 − IoU, plus a half for each wrong and "
        "each missed segment, by TP + FP/2 + FN/2; so points add up over causes, categories and images.",
    ),
    (
        "causes",
        "If fixed",
        "objects of the wrong category match as they lie; other missed segments match as well as the category's "
        "matches do; wrong segments are gone. Fixes of two causes do not simply add up.",
    ),
    (
        "",
        "95 % interval",
        "the middle of what the evaluation gives for random draws of the images, with repetition: what another choice "
        "of such images would have changed, not another training run.",
    ),
    (
        "boundary",
        "Boundary PQ",
        "as PQ, but the IoU of a pair is the smaller one of that of the masks and that of their outlines.",
    ),
    ("miou", "mIoU", "mean IoU of the categories of the pixels, whatever their segments; void of the truth left out."),
    (
        "covering",
        "PC",
        "parsing covering: the best IoU that a true segment reaches with one of its category, weighted by area.",
    ),
    ("ap", "Mask AP", "of COCO, for the things as segments that do not overlap, ranked by their scores."),
    ("cityscapes_ap", "Cityscapes AP", "of the things, by the rules of that benchmark."),
)


def terms_section(measures: Collection[str]) -> str:
    """The terms that the page uses."""
    told = [(term, meaning) for measure, term, meaning in _TERMS if not measure or measure in measures]
    return f'<dl class="terms">{"".join(f"<dt>{escaped(t)}</dt><dd>{escaped(m)}</dd>" for t, m in told)}</dl>'
