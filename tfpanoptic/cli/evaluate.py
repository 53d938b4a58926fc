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
    from tfpanoptic.evaluation.pairs.coco import FileSet
    from tfpanoptic.evaluation.state import Evaluation
    from tfpanoptic.report.scenes import Scenes

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
    states = state or []
    files = pred is not None or pred_dir is not None
    _check_options(run, files, states, (workers, allow_missing, instances, gt_instances), (also, shard, images))
    _check_outputs([json_file, report, *(states if files or run else [])], [gt, pred, instances, gt_instances, *states])
    measures = [measure.value for measure in also or []]
    if instances is not None:
        measures.append("cityscapes_ap" if instances.is_dir() else "ap")
    measures = list(dict.fromkeys(measures))
    scenes: Scenes | None = None
    if files:
        pairs = _read_files(file_format, gt, gt_dir, pred, pred_dir, allow_missing)
        pairs = _with_instances(pairs, measures, instances, gt_instances, allow_missing)
        pairs = replace(pairs, pairs=pairs.pairs[_part(shard, len(pairs.pairs))])
        _require_column(by, [pair.columns for pair in pairs.pairs])
        evaluation, scenes = _evaluate_files(pairs, measures, workers, states, images)
    elif run is not None:
        evaluation, scenes = _evaluate_run(run, (images, gt, gt_dir), measures, shard, states, by)
    elif states and gt is None and gt_dir is None:
        evaluation = _read_states(states)
    else:
        raise InputError(f"nothing to evaluate: {FORMS}")
    _tell(evaluation, by, json_file, report, str(run or pred or pred_dir or states[0]), scenes)


def _check_options(run: Path | None, files: bool, states: list[Path], of_files: tuple, of_images: tuple) -> None:
    """Raises:
    InputError: options that do not go together. `of_files` are those for files alone, `of_images` those that choose
        images or measures, which saved counters no longer have.
    """
    if run is not None and files:
        raise InputError("a run folder makes its own predictions; leave it out with --pred and --pred-dir")
    if not files and any(of_files):
        raise InputError(
            "--workers, --allow-missing, --instances and --gt-instances are for files, with --pred and --pred-dir"
        )
    if (run is not None or files) and len(states) > 1:
        raise InputError("several --state files are for reading saved counters alone; give one")
    if states and run is None and not files and any(of_images):
        raise InputError("--state alone reads saved counters; leave --also, --shard and --images out")


def _check_outputs(outputs: list[Path | None], inputs: list[Path | None]) -> None:
    """Raises:
    InputError: a file cannot be written there, or an output is an input or another output.
    """
    from tfpanoptic.atomic import require_file_place

    given = [path.resolve() for path in outputs if path is not None]
    for path in outputs:
        if path is None:
            continue
        require_file_place(path)
        if given.count(path.resolve()) > 1:
            raise InputError(f"{path}: given for two outputs")
    for path in outputs[:2]:
        if path is not None and path.resolve() in [other.resolve() for other in inputs if other is not None]:
            raise InputError(f"{path}: is read by this evaluation; expected another file to write")


def _require_column(by: str | None, tables: list) -> None:
    from tfpanoptic.evaluation.state import require_column

    if by is not None:
        require_column(by, tables)


def _read_files(
    file_format: Format,
    gt: Path | None,
    gt_dir: Path | None,
    pred: Path | None,
    pred_dir: Path | None,
    allow_missing: bool,
) -> FileSet:
    from tfpanoptic.evaluation.pairs.cityscapes import read_cityscapes_files
    from tfpanoptic.evaluation.pairs.coco import read_coco_files

    if gt_dir is None or pred_dir is None:
        raise InputError(f"files need --gt-dir and --pred-dir: {FORMS}")
    if file_format is Format.CITYSCAPES:
        return read_cityscapes_files(gt, gt_dir, pred, pred_dir, allow_missing)
    if gt is None or pred is None:
        raise InputError(f"files in COCO format need --gt and --pred, their panoptic JSONs: {FORMS}")
    return read_coco_files(gt, gt_dir, pred, pred_dir, allow_missing)


def _with_instances(
    files: FileSet, measures: list[str], instances: Path | None, gt_instances: Path | None, allow_missing: bool
) -> FileSet:
    from tfpanoptic.evaluation.pairs.instances import (
        with_cityscapes_instances,
        with_coco_instances,
        with_panoptic_things,
    )

    if instances is None and gt_instances is not None:
        raise InputError("--gt-instances is the truth of --instances; give both")
    if instances is None:
        return with_panoptic_things(files) if "cityscapes_ap" in measures else files
    if not instances.is_dir():
        return with_coco_instances(files, instances, gt_instances)
    if gt_instances is not None:
        raise InputError(f"{instances}: results of Cityscapes are compared with --gt-dir; leave --gt-instances out")
    return with_cityscapes_instances(files, instances, allow_missing)


def _part(shard: str | None, images: int) -> slice:
    """The places of the images of a part, written I/N."""
    if shard is None:
        return slice(None)
    number, _, parts = shard.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise InputError(f"--shard {shard!r}: expected I/N with I in 1..N, such as 1/4")
    if int(number) > images:
        raise InputError(f"--shard {shard!r}: no image in it, there are only {images}")
    return slice(int(number) - 1, None, int(parts))


def _evaluate_files(
    files: FileSet, measures: list[str], workers: int, states: list[Path], images: Path | None
) -> tuple[Evaluation, Scenes]:
    from tfpanoptic.data.dataset import read_image
    from tfpanoptic.evaluation.counting import evaluate_files
    from tfpanoptic.evaluation.measures import FAST

    photos = {} if images is None else _find_photos(images, [pair.name for pair in files.pairs])
    if {"ap", "cityscapes_ap"} & set(measures) and files.without_score:
        notes = (*files.notes, f"AP: {files.without_score} predicted segments or images have no score, taken as 1")
        files = replace(files, notes=notes)
    for note in files.notes:
        print(note, file=sys.stderr)
    if not workers:
        workers = min(os.cpu_count() or 1, len(files.pairs) // LEAST_PAIRS_A_WORKER)
    evaluation = evaluate_files(files, (*FAST, *measures), workers, states[0] if states else None)
    by_name = {pair.name: pair for pair in files.pairs}

    def scene(name: str):
        truth, prediction = by_name[name].read()
        photo = None
        if name in photos:
            try:
                photo = read_image(photos[name])
            except InputError as error:
                print(f"{error}; shown without its photo", file=sys.stderr)
        if photo is not None and photo.shape[:2] != truth.shape:
            print(f"{photos[name]}: of another size than the truth; shown without its photo", file=sys.stderr)
            photo = None
        return photo, truth, prediction

    return evaluation, scene


def _find_photos(folder: Path, names: list[str]) -> dict[str, Path]:
    """The photos of images: by their names in the folder, or, in the Cityscapes layout, anywhere below it.

    How many were not found is told on standard error.

    Raises:
        InputError: no such folder.
    """
    from tfpanoptic.data.cityscapes import image_key

    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the photos")
    found = {name: folder / name for name in names if (folder / name).is_file()}
    keys = {name: image_key(f"{Path(name).stem}_") for name in names if name not in found}
    if any(keys.values()):
        photos = {image_key(f"{path.stem}_"): path for path in folder.rglob("*") if path.is_file()}
        found |= {name: photos[key] for name, key in keys.items() if key is not None and key in photos}
    if len(found) < len(names):
        first = next(name for name in names if name not in found)
        print(f"{folder}: no photo of {len(names) - len(found)} of {len(names)} images, first {first}", file=sys.stderr)
    return found


def _evaluate_run(
    run: Path,
    truth: tuple[Path | None, Path | None, Path | None],
    measures: list[str],
    shard: str | None,
    states: list[Path],
    by: str | None,
) -> tuple[Evaluation, Scenes]:
    import_tensorflow()
    from tfpanoptic.evaluation.measures import FAST
    from tfpanoptic.evaluation.pairs.coco import fingerprint
    from tfpanoptic.predict.evaluate import evaluate_images, matched_dataset, scenes_of, tell_unmatched
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
    folder = RunFolder(run)
    told = [f"{record.panoptic_path} {record.segments.tolist()}" for record in dataset.records]
    source = fingerprint([folder.weights(), folder.config], told)
    total = len(dataset)
    dataset = replace(dataset, records=dataset.records[_part(shard, total)])
    _require_column(by, [record.extra for record in dataset.records])
    evaluation = evaluate_images(
        segmenter, dataset, (*FAST, *measures), state=states[0] if states else None, source=source, total=total
    )
    return evaluation, scenes_of(segmenter, dataset)


def _read_states(states: list[Path]) -> Evaluation:
    from tfpanoptic.evaluation.state import merge
    from tfpanoptic.evaluation.state_file import load_state

    parts = [(str(path), load_state(path)) for path in states]
    other = next((name for name, part in parts if part.source != parts[0][1].source), None)
    if other is not None:
        print(
            f"{other}: not of the same files or model as {states[0]}; together they are the result of neither",
            file=sys.stderr,
        )
    return merge(parts)


def _tell(
    evaluation: Evaluation,
    by: str | None,
    json_file: Path | None,
    report: Path | None,
    title: str,
    scenes: Scenes | None,
) -> None:
    """Writes what is to be written, then prints: a closed pipe loses nothing."""
    import json

    from tfpanoptic.atomic import replace_file
    from tfpanoptic.evaluation.summary import summarize
    from tfpanoptic.evaluation.table import print_evaluation
    from tfpanoptic.report.page import write_report
    from tfpanoptic.version import __version__

    summary = summarize(evaluation, by)
    if json_file is not None:
        told = {"tfpanoptic": __version__, "command": sys.argv[1:], **summary}
        replace_file(json_file, json.dumps(told, indent=2) + "\n")
    if report is not None:
        write_report(report, evaluation, title, scenes)
    print_evaluation(summary)
    if report is not None:
        print(f"report        {report}")
