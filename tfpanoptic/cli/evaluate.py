"""`tfpanoptic evaluate`: the published numbers of files, of a run, or of saved counters."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.errors import InputError

if TYPE_CHECKING:
    from tfpanoptic.evaluation.files import FileSet
    from tfpanoptic.evaluation.report.scenes import Scenes
    from tfpanoptic.evaluation.state import Evaluation

FORMS = (
    "expected --gt JSON --gt-dir DIR --pred JSON --pred-dir DIR for files, the run folder of a trained model, "
    "or one --state FILE or several for saved counters"
)


# A process takes about as long to start as it takes to evaluate so many pairs.
LEAST_PAIRS_A_WORKER = 50


class Format(StrEnum):
    """How truth and prediction lie in files."""

    COCO = "coco"
    CITYSCAPES = "cityscapes"


class Also(StrEnum):
    """Measures that take time of their own."""

    BOUNDARY = "boundary"
    AP = "ap"
    CITYSCAPES_AP = "cityscapes_ap"


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Run folder of a trained model; leave it out for files.")] = None,
    gt: Annotated[Path | None, typer.Option(help="Truth: panoptic JSON.")] = None,
    gt_dir: Annotated[Path | None, typer.Option(help="Folder of the truth's PNGs.")] = None,
    pred: Annotated[Path | None, typer.Option(help="Prediction: panoptic JSON.")] = None,
    pred_dir: Annotated[Path | None, typer.Option(help="Folder of the predicted PNGs.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the photos: for a run; for files, in the report.")
    ] = None,
    file_format: Annotated[
        Format, typer.Option("--format", help="cityscapes: without --gt and --pred, PNGs of instance ids.")
    ] = Format.COCO,
    also: Annotated[list[Also] | None, typer.Option(help="Measure this, too; once or several times.")] = None,
    instances: Annotated[
        Path | None,
        typer.Option(help="AP of these instance results, not of the panoptic ones: COCO JSON, or a Cityscapes folder."),
    ] = None,
    gt_instances: Annotated[
        Path | None, typer.Option(help="Truth of --instances: COCO instances JSON; without it, the panoptic truth.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Tell PQ by the values of this column of the images' table.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes for files; 0: one a core, for many images.")] = 0,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Count the segments of images without a prediction as missed.")
    ] = False,
    shard: Annotated[str | None, typer.Option(help="Only the I-th of N parts of the images: I/N, from 1.")] = None,
    state: Annotated[
        list[Path] | None,
        typer.Option(help="Save each image's counters here, and continue from them; alone: read them."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file, too.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report to look at: one HTML file.")] = None,
) -> None:
    """Measure PQ and the other published numbers, with their uncertainty and the reasons for what is lost."""
    from tfpanoptic.atomic import require_file_place

    for path in (json_file, report):
        if path is not None:
            require_file_place(path)
    states = state or []
    measures = [measure.value for measure in also or []]
    if instances is not None:
        measures.append("cityscapes_ap" if instances.is_dir() else "ap")
    measures = list(dict.fromkeys(measures))
    files = pred is not None or pred_dir is not None
    if not files and (instances is not None or gt_instances is not None):
        raise InputError("--instances and --gt-instances stand beside --pred and --pred-dir")
    if run is not None and files:
        raise InputError("a run folder makes its own predictions; leave it out with --pred and --pred-dir")
    if (run is not None or files) and len(states) > 1:
        raise InputError("several --state files are for reading saved counters alone; give one")
    scenes: Scenes | None = None
    if files:
        pairs = _read_files(file_format, gt, gt_dir, pred, pred_dir, allow_missing)
        pairs = _with_instances(replace(pairs, pairs=pairs.pairs[_part(shard)]), instances, gt_instances)
        evaluation, scenes = _evaluate_files(pairs, measures, workers, states, images)
    elif run is not None:
        evaluation, scenes = _evaluate_run(run, (images, gt, gt_dir), measures, shard, states)
    elif states and gt is None and gt_dir is None:
        evaluation = _read_states(states)
    else:
        raise InputError(f"nothing to evaluate: {FORMS}")
    _tell(evaluation, by, json_file)
    if report is not None:
        from tfpanoptic.evaluation.report.page import write_report

        write_report(report, evaluation, str(run or pred or pred_dir or states[0]), scenes)
        print(f"report        {report}")


def _read_files(
    file_format: Format,
    gt: Path | None,
    gt_dir: Path | None,
    pred: Path | None,
    pred_dir: Path | None,
    allow_missing: bool,
) -> FileSet:
    from tfpanoptic.evaluation.cityscapes_files import read_cityscapes_files
    from tfpanoptic.evaluation.files import read_coco_files

    if gt_dir is None or pred_dir is None:
        raise InputError(f"files need --gt-dir and --pred-dir: {FORMS}")
    if file_format is Format.CITYSCAPES:
        return read_cityscapes_files(gt, gt_dir, pred, pred_dir, allow_missing)
    if gt is None or pred is None:
        raise InputError(f"files in COCO format need --gt and --pred, their panoptic JSONs: {FORMS}")
    return read_coco_files(gt, gt_dir, pred, pred_dir, allow_missing)


def _with_instances(files: FileSet, instances: Path | None, gt_instances: Path | None) -> FileSet:
    from tfpanoptic.evaluation.instance_files import with_cityscapes_instances, with_coco_instances

    if instances is None and gt_instances is not None:
        raise InputError("--gt-instances is the truth of --instances; give both")
    if instances is None:
        return files
    if not instances.is_dir():
        return with_coco_instances(files, instances, gt_instances)
    if gt_instances is not None:
        raise InputError(f"{instances}: results of Cityscapes are compared with --gt-dir; leave --gt-instances out")
    return with_cityscapes_instances(files, instances)


def _part(shard: str | None) -> slice:
    """The places of the images of a part, written I/N."""
    if shard is None:
        return slice(None)
    number, _, parts = shard.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise InputError(f"--shard {shard!r}: expected I/N with I in 1..N, such as 1/4")
    return slice(int(number) - 1, None, int(parts))


def _evaluate_files(
    files: FileSet, measures: list[str], workers: int, states: list[Path], images: Path | None
) -> tuple[Evaluation, Scenes]:
    from tfpanoptic.data.dataset import read_image
    from tfpanoptic.evaluation.evaluator import evaluate_files
    from tfpanoptic.evaluation.measures import FAST

    for note in files.notes:
        print(note, file=sys.stderr)
    if not workers:
        workers = min(os.cpu_count() or 1, len(files.pairs) // LEAST_PAIRS_A_WORKER)
    evaluation = evaluate_files(files, (*FAST, *measures), workers, states[0] if states else None)
    by_name = {pair.name: pair for pair in files.pairs}

    def scene(name: str):
        photo = images / name if images is not None else None
        return read_image(photo) if photo is not None and photo.is_file() else None, *by_name[name].read()

    return evaluation, scene


def _evaluate_run(
    run: Path,
    truth: tuple[Path | None, Path | None, Path | None],
    measures: list[str],
    shard: str | None,
    states: list[Path],
) -> tuple[Evaluation, Scenes]:
    import_tensorflow()
    from tfpanoptic.evaluation.files import fingerprint
    from tfpanoptic.evaluation.measures import FAST
    from tfpanoptic.prediction import matched_dataset, scenes_of, tell_unmatched
    from tfpanoptic.run_folder import RunFolder
    from tfpanoptic.segmenter import PanopticSegmenter

    images, gt, gt_dir = truth
    segmenter = PanopticSegmenter.from_preset(run)
    if images is not None and gt is not None and gt_dir is not None:
        dataset = matched_dataset(segmenter, images, gt, gt_dir)
    elif any(option is not None for option in truth):
        raise InputError("--images, --gt and --gt-dir belong together; give all three, or none for the run's own data")
    else:
        dataset = segmenter.experiment.load_data("val")
    tell_unmatched(dataset)
    dataset = replace(dataset, records=dataset.records[_part(shard)])
    source = fingerprint([RunFolder(run).weights()], [dataset.name, dataset.split])
    evaluation = segmenter.evaluate_images(
        dataset, (*FAST, *measures), state=states[0] if states else None, source=source
    )
    return evaluation, scenes_of(segmenter, dataset)


def _read_states(states: list[Path]) -> Evaluation:
    from tfpanoptic.evaluation.state import load_state, merge

    return merge((str(path), load_state(path)) for path in states)


def _tell(evaluation: Evaluation, by: str | None, json_file: Path | None) -> None:
    import json

    from tfpanoptic.atomic import replace_file
    from tfpanoptic.evaluation.summary import summarize
    from tfpanoptic.evaluation.table import print_evaluation

    summary = summarize(evaluation, by)
    print_evaluation(summary)
    if json_file is not None:
        replace_file(json_file, json.dumps(summary, indent=2) + "\n")
