"""`tfpanoptic evaluate`: PQ of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.errors import InputError


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained model.")],
    images: Annotated[Path | None, typer.Option(help="Folder of images; with --gt and --gt-dir.")] = None,
    gt: Annotated[Path | None, typer.Option(help="Truth: COCO panoptic JSON.")] = None,
    gt_dir: Annotated[Path | None, typer.Option(help="Folder of the truth's PNGs.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file too.")] = None,
) -> None:
    """Measure PQ, SQ and RQ of a run on its validation images, or on any COCO panoptic set."""
    import json

    from tfpanoptic.atomic import replace_file, require_file_place
    from tfpanoptic.evaluation.table import print_summary
    from tfpanoptic.prediction import evaluate_and_tell, evaluate_on
    from tfpanoptic.segmenter import PanopticSegmenter

    given = [option is not None for option in (images, gt, gt_dir)]
    if any(given) and not all(given):
        raise InputError("--images, --gt and --gt-dir belong together; give all three, or none for the run's own data")
    if json_file is not None:
        require_file_place(json_file)
    segmenter = PanopticSegmenter.from_preset(run)
    if images is None or gt is None or gt_dir is None:
        summary = evaluate_and_tell(segmenter, segmenter.experiment.load_data("val"))
    else:
        summary = evaluate_on(segmenter, images, gt, gt_dir)
    print_summary(summary)
    if json_file is not None:
        replace_file(json_file, json.dumps({"pq": summary}, indent=2) + "\n")
