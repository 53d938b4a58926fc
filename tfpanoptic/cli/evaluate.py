"""`tfpanoptic evaluate`: the published numbers of files, of a run, or of saved counters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow
from tfpanoptic.evaluation.options import Also, EvaluateOptions, Format, check_options, require_outputs
from tfpanoptic.evaluation.rules import Rules
from tfpanoptic.settings.overrides import is_override

if TYPE_CHECKING:
    from tfpanoptic.evaluation.pairs.coco import FileSet
    from tfpanoptic.evaluation.state import Evaluation
    from tfpanoptic.report.scenes import Scenes


def evaluate(
    run: Annotated[
        str | None,
        typer.Argument(help="Run folder of a trained model, or a name that `models` lists; leave it out for files."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings to change: model.postprocess.key=value, test_time.flip=true."),
    ] = None,
    gt: Annotated[Path | None, typer.Option(help="Truth: panoptic JSON.")] = None,
    gt_dir: Annotated[Path | None, typer.Option(help="Folder of the truth's PNGs.")] = None,
    pred: Annotated[Path | None, typer.Option(help="Prediction: panoptic JSON.")] = None,
    pred_dir: Annotated[Path | None, typer.Option(help="Folder of the predicted PNGs.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the photos: for a run; for files, in the report.")
    ] = None,
    file_format: Annotated[
        Format,
        typer.Option(
            "--format",
            help="cityscapes: without --gt and --pred, PNGs of instance ids. label-maps: without JSONs, in each folder "
            "semantic/NAME.png (category ids) and instance/NAME.png, or NAME.png of two channels (red: category id, "
            "green + 256 blue: instance); 0, 255 and 65535 are void where no category has them.",
        ),
    ] = Format.COCO,
    categories: Annotated[
        Path | None, typer.Option(help="For label maps: a JSON list of categories, or YAML as for `data convert`.")
    ] = None,
    components: Annotated[
        bool,
        typer.Option("--components", help="For label maps: instances are the connected parts of a thing category."),
    ] = False,
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
    subset: Annotated[
        bool,
        typer.Option(
            "--subset",
            help="Pass over predictions of images that the truth does not annotate, and over its images without truth.",
        ),
    ] = False,
    void_background: Annotated[
        bool,
        typer.Option(
            "--void-background",
            help="Count void of the truth as background: what is predicted there is wrong, nobody misses it.",
        ),
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Void in the truth and removed from the prediction: a category, by name or id; repeatable."),
    ] = None,
    min_area: Annotated[
        int,
        typer.Option(min=0, help="Segments of fewer pixels are void in the truth and removed from the prediction."),
    ] = 0,
    class_agnostic: Annotated[
        bool, typer.Option("--class-agnostic", help="Compare no categories: all segments are of one.")
    ] = False,
    pixel_areas: Annotated[
        bool, typer.Option("--pixel-areas", help="Count areas of the truth in its pixels, not in its JSON.")
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
    if run is not None and is_override(run):
        overrides, run = [run, *(overrides or [])], None
    options = EvaluateOptions(
        run=Path(run) if run is not None else None,
        overrides=tuple(overrides or ()),
        gt=gt,
        gt_dir=gt_dir,
        pred=pred,
        pred_dir=pred_dir,
        images=images,
        file_format=file_format,
        categories=categories,
        components=components,
        also=tuple(also or ()),
        instances=instances,
        gt_instances=gt_instances,
        by=by,
        workers=workers,
        allow_missing=allow_missing,
        subset=subset,
        rules=Rules(pixel_areas, void_background, tuple(ignore or ()), min_area, class_agnostic),
        shard=shard,
        states=tuple(state or ()),
        json_file=json_file,
        report=report,
    )
    check_options(options)
    scenes: Scenes | None = None
    if options.of_files:
        evaluation, scenes = _evaluate_files(options)
    elif run is not None:
        import_tensorflow("tfpanoptic evaluate RUN")
        from tfpanoptic.predict.evaluate import evaluate_run

        evaluation, scenes = evaluate_run(options)
    else:
        from tfpanoptic.evaluation.state_file import merged_states

        evaluation = merged_states(options.states)
    _tell(evaluation, options, scenes)


def _evaluate_files(options: EvaluateOptions) -> tuple[Evaluation, Scenes]:
    from tfpanoptic.evaluation.counting import evaluate_files, sensible_workers
    from tfpanoptic.evaluation.files import part_of_files, read_files
    from tfpanoptic.evaluation.measures import FAST
    from tfpanoptic.report.file_scenes import scenes_of_files

    files = read_files(options)
    require_outputs(options, _read_by(files, options.images))
    files = part_of_files(files, options)
    scenes = scenes_of_files(files, options.images, options.rules)
    for note in files.notes:
        print(note, file=sys.stderr)
    workers = options.workers or sensible_workers(len(files.pairs))
    return evaluate_files(files, (*FAST, *options.measures), workers, options.state, options.rules), scenes


def _read_by(files: FileSet, photos: Path | None) -> Iterator[Path]:
    """The files that an evaluation reads, those of other shards, too, for a later call reads them."""
    for pair in files.pairs:
        yield from pair.files()
    if photos is not None:
        from tfpanoptic.report.file_scenes import find_photos

        yield from find_photos(photos, files.pairs).values()


def _tell(evaluation: Evaluation, options: EvaluateOptions, scenes: Scenes | None) -> None:
    """Writes what is to be written, then prints: a closed pipe loses nothing."""
    import json

    from tfpanoptic.atomic import replace_file
    from tfpanoptic.evaluation.summary import summarize
    from tfpanoptic.evaluation.table import print_evaluation
    from tfpanoptic.report.page import write_report
    from tfpanoptic.version import __version__

    summary = summarize(evaluation, options.by)
    if options.json_file is not None:
        content = {"tfpanoptic": __version__, "command": sys.argv[1:], **summary}
        replace_file(options.json_file, json.dumps(content, indent=2) + "\n")
    if options.report is not None:
        write_report(options.report, evaluation, options.title, scenes)
    print_evaluation(summary)
    if options.report is not None:
        print(f"report        {options.report}")
