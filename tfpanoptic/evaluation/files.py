"""Pairs of files as the options of an evaluation name them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.options import FORMS, EvaluateOptions, Format, shard_slice
from tfpanoptic.evaluation.pairs.cityscapes import read_cityscapes_files
from tfpanoptic.evaluation.pairs.coco import FileSet, read_coco_files
from tfpanoptic.evaluation.pairs.instances import with_cityscapes_instances, with_coco_instances, with_panoptic_things
from tfpanoptic.evaluation.pairs.label_maps import read_label_maps
from tfpanoptic.evaluation.state import require_column


def read_files(options: EvaluateOptions) -> FileSet:
    """The pairs of an evaluation of files, with their instance results; no pixel is read yet.

    Args:
        options: after `options.check_options`.

    Raises:
        InputError: folders or JSONs are not given, files are missing or wrong, or no image has the column of `by`.
    """
    files = _with_instances(_read_format(options), options)
    if options.by is not None:
        require_column(options.by, [pair.columns for pair in files.pairs])
    if files.without_score and {"ap", "cityscapes_ap"} & set(options.measures):
        note = f"AP: {files.without_score} predicted segments or images have no score, taken as 1"
        files = replace(files, notes=(*files.notes, note))
    return files


def part_of_files(files: FileSet, options: EvaluateOptions) -> FileSet:
    """The pairs of the shard; all of them without one.

    Raises:
        InputError: no image is in the shard.
    """
    return replace(files, pairs=files.pairs[shard_slice(options.shard, len(files.pairs))])


def _read_format(options: EvaluateOptions) -> FileSet:
    if options.gt_dir is None or options.pred_dir is None:
        raise InputError(f"files need --gt-dir and --pred-dir: {FORMS}")
    if options.file_format is Format.LABEL_MAPS:
        return _read_label_maps(options, options.gt_dir, options.pred_dir)
    how = {
        "allow_missing": options.allow_missing,
        "subset": options.subset,
        "pixel_areas": options.rules.pixel_areas,
    }
    if options.file_format is Format.CITYSCAPES:
        return read_cityscapes_files(options.gt, options.gt_dir, options.pred, options.pred_dir, **how)
    if options.gt is None or options.pred is None:
        raise InputError(f"files in COCO format need --gt and --pred, their panoptic JSONs: {FORMS}")
    return read_coco_files(options.gt, options.gt_dir, options.pred, options.pred_dir, **how)


def _read_label_maps(options: EvaluateOptions, gt_dir: Path, pred_dir: Path) -> FileSet:
    if options.categories is None:
        raise InputError("label maps need --categories, a JSON with a list of id, name and isthing")
    if options.gt is not None or options.pred is not None:
        raise InputError("label maps have no JSON of segments; leave --gt and --pred out")
    return read_label_maps(
        options.categories, gt_dir, pred_dir, options.components, options.allow_missing, options.subset
    )


def _with_instances(files: FileSet, options: EvaluateOptions) -> FileSet:
    if options.instances is None:
        return with_panoptic_things(files) if "cityscapes_ap" in options.measures else files
    if options.instances.is_dir():
        return with_cityscapes_instances(files, options.instances, options.allow_missing)
    return with_coco_instances(files, options.instances, options.gt_instances, options.subset)
