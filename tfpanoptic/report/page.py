"""The report of an evaluation: one HTML file with its tables, plots and worst images.

It asks for nothing from anywhere: style, script and pictures are in it, and a policy in its head forbids the rest. The
same evaluation gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from tfpanoptic.atomic import replace_file, require_file_place
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.options import REPORT_MARK
from tfpanoptic.evaluation.state import Evaluation
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.report.causes import definitions
from tfpanoptic.report.confusion import confusion_section
from tfpanoptic.report.headline import headline
from tfpanoptic.report.images import distribution_section, worst_section
from tfpanoptic.report.lost import lost_section
from tfpanoptic.report.scenes import Scenes
from tfpanoptic.report.tables import category_table, size_section, slice_tables
from tfpanoptic.report.terms import terms_section
from tfpanoptic.report.text import escaped

HERE = Path(__file__).parent
WORST = 12


def write_report(
    path: str | Path, evaluation: Evaluation, title: str, scenes: Scenes | None, worst: int = WORST
) -> None:
    """Writes the report.

    Args:
        path: the HTML file; an older one is replaced.
        evaluation: of at least one image, with the counters of "pq"; other measures are told where they are.
        title: what was evaluated.
        scenes: photo, truth and prediction of an image by its name; None for a report without pictures.
        worst: how many images to show.

    Raises:
        InputError: no image, no counters of "pq", `worst` is below 0, an image's files cannot be read or do not
            fit together, or the file cannot be written.
    """
    require_file_place(path)
    if "pq" not in evaluation.measures:
        raise InputError(f"a report needs the counters of 'pq'; found only {', '.join(evaluation.measures)}")
    if worst < 0:
        raise InputError(f"worst: expected 0 or more images, found {worst}")
    replace_file(path, report_page(evaluation, title, scenes, worst))


def report_page(evaluation: Evaluation, title: str, scenes: Scenes | None, worst: int = WORST) -> str:
    """The report as HTML; see `write_report`."""
    summary, categories, measures = summarize(evaluation), evaluation.categories, evaluation.measures
    confusion = confusion_section(evaluation.rows("miou"), categories) if "miou" in measures else ""
    sections = [
        ("lost", "Where the points are lost", lost_section(summary) if "causes" in measures else ""),
        ("by-category", "Categories", category_table(summary, categories)),
        ("by-size", "Sizes", size_section(summary) if "size" in measures else ""),
        ("confusion", "Confused categories", confusion),
        ("images", "Lost points by image", distribution_section(evaluation)),
        ("slices", "Subsets of the images", slice_tables(evaluation)),
        ("worst", "Worst images", worst_section(evaluation, scenes, worst)),
        ("terms", "What the numbers mean", terms_section(measures)),
    ]
    told = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{key}">{escaped(heading)}</a>' for key, heading, _ in told)
    body = "".join(
        f'<section id="{key}"><h2>{escaped(heading)}</h2>\n{markup}</section>\n' for key, heading, markup in told
    )
    return _page(title, f"{headline(summary, categories, title)}<nav>{links}</nav>\n<main>{body}</main>\n")


def _page(title: str, body: str) -> str:
    style, script = ((HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_checksum(style)}'; script-src '{_checksum(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"{REPORT_MARK}\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f"{definitions()}{body}<script>{script}</script>\n</body>\n</html>\n"
    )


def _checksum(content: str) -> str:
    """The content as a policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
