"""What `tfpanoptic evaluate` is asked for, and which options go together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from tfpanoptic.atomic import require_file_place, require_older, require_unread
from tfpanoptic.data.folder_listing import is_image_file
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.rules import OFFICIAL, Rules

# By these, within their first bytes, older numbers (of `compare` and `doctor`, too) and older reports are known.
NUMBERS_MARK = '"tfpanoptic"'
REPORT_MARK = '<meta name="generator" content="tfpanoptic">'
FORMS = (
    "expected --gt JSON --gt-dir DIR --pred JSON --pred-dir DIR for files, the run folder of a trained model, "
    "or one --state FILE or several for saved counters"
)


class Format(StrEnum):
    """How truth and prediction lie in files."""

    COCO = "coco"
    CITYSCAPES = "cityscapes"
    LABEL_MAPS = "label-maps"


class Also(StrEnum):
    """Measures that take time of their own."""

    BOUNDARY = "boundary"
    AP = "ap"
    CITYSCAPES_AP = "cityscapes_ap"


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """The options as they were given; empty where they were not.

    Attributes:
        run: run folder of a trained model; the prediction is its own.
        overrides: settings of its model to change, `model.postprocess.key=value` or `test_time.key=value`.
        gt, gt_dir: truth of files, or, with `images`, of a run.
        pred, pred_dir: prediction as files.
        images: folder of the photos.
        file_format: of truth and prediction.
        categories: JSON with a list of categories, for label maps.
        components: whether connected components of label maps are their instances.
        also: measures beside the fast ones.
        instances, gt_instances: instance results beside the files, and their truth.
        by: column of the images' table that slices PQ.
        workers: processes for files, 0 for a sensible number.
        allow_missing: count the segments of images without a prediction as missed.
        subset: pass over predictions of images that the truth does not annotate, and over its images without truth.
        rules: what to count otherwise than the official evaluation does.
        shard: I/N, the part of the images.
        states: files of counters, written for files and runs, otherwise read.
        json_file, report: what to write.
    """

    run: Path | None = None
    overrides: tuple[str, ...] = ()
    gt: Path | None = None
    gt_dir: Path | None = None
    pred: Path | None = None
    pred_dir: Path | None = None
    images: Path | None = None
    file_format: Format = Format.COCO
    categories: Path | None = None
    components: bool = False
    also: tuple[Also, ...] = ()
    instances: Path | None = None
    gt_instances: Path | None = None
    by: str | None = None
    workers: int = 0
    allow_missing: bool = False
    subset: bool = False
    rules: Rules = OFFICIAL
    shard: str | None = None
    states: tuple[Path, ...] = ()
    json_file: Path | None = None
    report: Path | None = None

    @property
    def of_files(self) -> bool:
        """Whether the prediction lies in files."""
        return self.pred is not None or self.pred_dir is not None

    @property
    def state(self) -> Path | None:
        """The state file of an evaluation of files or of a run."""
        return self.states[0] if self.states else None

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that take time of their own; those of instance results are among them."""
        measures = [measure.value for measure in self.also]
        if self.instances is not None:
            measures.append("cityscapes_ap" if self.instances.is_dir() else "ap")
        return tuple(dict.fromkeys(measures))

    @property
    def evaluates(self) -> bool:
        """Whether images are evaluated; else saved counters are read."""
        return self.of_files or self.run is not None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that are written."""
        reports = [path for path in (self.json_file, self.report) if path is not None]
        return (*reports, *(self.states if self.evaluates else ()))

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files and folders that the options name to be read."""
        values = [getattr(self, each.name) for each in fields(self) if each.name not in ("json_file", "report")]
        return (*(value for value in values if isinstance(value, Path)), *(() if self.evaluates else self.states))

    @property
    def title(self) -> str:
        """What is evaluated, for a report."""
        return " ".join([str(self.run or self.pred or self.pred_dir or self.states[0]), *self.overrides])


def check_options(options: EvaluateOptions) -> None:
    """Refuses options that do not go together, before anything is read.

    Raises:
        InputError: nothing to evaluate, too little of it or too much; a file cannot be written where an option says;
            or an output is an input, another output or an image that exists.
    """
    evaluates = options.evaluates
    if options.overrides and options.run is None:
        raise InputError(f"{options.overrides[0]!r} changes a setting of a trained model; give its run folder")
    of_files = (options.workers, options.allow_missing, options.subset, options.instances, options.gt_instances)
    if options.run is not None and options.of_files:
        raise InputError("a run folder makes its own predictions; leave it out with --pred and --pred-dir")
    if not options.of_files and any(of_files):
        raise InputError(
            "--workers, --allow-missing, --subset, --instances and --gt-instances are for files, with --pred and "
            "--pred-dir"
        )
    if options.file_format is not Format.LABEL_MAPS and (options.categories is not None or options.components):
        raise InputError("--categories and --components are for --format label-maps")
    _check_rules(options, evaluates)
    if evaluates and len(options.states) > 1:
        raise InputError("several --state files are for reading saved counters alone; give one")
    if not evaluates and options.states and any((options.also, options.shard, options.images)):
        raise InputError("--state alone reads saved counters; leave --also, --shard and --images out")
    if not evaluates and (not options.states or options.gt is not None or options.gt_dir is not None):
        raise InputError(f"nothing to evaluate: {FORMS}")
    if options.of_files:
        _check_instances(options)
    else:
        _check_truth_of_run(options)
    _check_outputs(options)


def _check_rules(options: EvaluateOptions, evaluates: bool) -> None:
    if options.rules == OFFICIAL:
        return
    names = "--pixel-areas, --void-background, --ignore, --min-area and --class-agnostic"
    if not evaluates:
        raise InputError(f"saved counters were counted by the rules of their evaluation; leave {names} out")
    if options.instances is not None or "cityscapes_ap" in options.measures:
        raise InputError(f"{names} are rules of panoptic results; leave --instances and cityscapes_ap out")


def _check_instances(options: EvaluateOptions) -> None:
    if options.gt_instances is not None and options.instances is None:
        raise InputError("--gt-instances is the truth of --instances; give both")
    if options.gt_instances is not None and options.instances is not None and options.instances.is_dir():
        raise InputError(
            f"{options.instances}: results of Cityscapes are compared with --gt-dir; leave --gt-instances out"
        )


def _check_truth_of_run(options: EvaluateOptions) -> None:
    truth = [option is not None for option in (options.images, options.gt, options.gt_dir)]
    if any(truth) and not all(truth):
        raise InputError("--images, --gt and --gt-dir belong together; give all three, or none for the run's own data")


def _check_outputs(options: EvaluateOptions) -> None:
    resolved = [path.resolve() for path in options.outputs]
    read = [path.resolve() for path in options.inputs]
    for path in options.outputs:
        require_file_place(path)
        if resolved.count(path.resolve()) > 1:
            raise InputError(f"{path}: given for two outputs")
        if path.resolve() in read:
            raise InputError(f"{path}: is read by this evaluation; expected another file to write")
        if is_image_file(path):  # of another shard, or that nobody reads today: numbers and reports are none
            raise InputError(f"{path}: exists and is named as an image; expected another file to write")
    if options.evaluates:  # more is asked when the files are known
        require_unread(options.outputs, options.inputs, "evaluation")
    else:
        require_outputs(options, options.inputs)


def require_outputs(options: EvaluateOptions, read: Iterable[Path]) -> None:
    """Checks that no output replaces a file that is read, or one that is no older output of its kind.

    What an empty file is nobody can tell: in a folder that is read it stays, for Cityscapes has empty results.

    Args:
        options: what is asked for.
        read: the files that are read.

    Raises:
        InputError: an output would.
    """
    require_unread(options.outputs, read, "evaluation")
    folders = [path.resolve() for path in options.inputs if path.is_dir()]
    for path in options.outputs:
        if path.is_file() and not path.stat().st_size and any(path.resolve().is_relative_to(each) for each in folders):
            raise InputError(f"{path}: exists in a folder that this evaluation reads; expected another file to write")
    for output, mark in ((options.json_file, NUMBERS_MARK), (options.report, REPORT_MARK)):
        if output is not None:
            require_older(output, mark)


def shard_slice(shard: str | None, images: int) -> slice:
    """The places of the images of a part, written I/N; of all of them for None.

    Args:
        shard: as in the option.
        images: how many there are.

    Raises:
        InputError: it is not written so, or no image is in that part.
    """
    if shard is None:
        return slice(None)
    number, _, parts = shard.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise InputError(f"--shard {shard!r}: expected I/N with I in 1..N, such as 1/4")
    if int(number) > images:
        raise InputError(f"--shard {shard!r}: no image in it, there are only {images}")
    return slice(int(number) - 1, None, int(parts))
