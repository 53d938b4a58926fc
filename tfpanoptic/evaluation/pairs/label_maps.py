"""Truth and prediction as label maps, whose forms `data.label_maps` describes.

Images of the two sides belong together by their names without the endings. In a truth the pixels of a thing with
instance number 0 are a crowd, in a prediction they are one segment.

Source: for what a thing without a number is, `data.cityscapes_ids`.
"""

from __future__ import annotations

from pathlib import Path

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.conversions.category_file import read_category_file
from tfpanoptic.data.label_maps import LabelMapFile, label_map_files
from tfpanoptic.errors import Problems
from tfpanoptic.evaluation.pairs.categories import evaluated_categories
from tfpanoptic.evaluation.pairs.coco import FilePair, FileSet, beyond_truth, check_pairs, fingerprint


def read_label_maps(
    categories: str | Path,
    gt_dir: str | Path,
    pred_dir: str | Path,
    components: bool = False,
    allow_missing: bool = False,
    subset: bool = False,
) -> FileSet:
    """The pairs of two folders of label maps, in the order of their names; no pixel is read yet.

    Args:
        categories: a file as `read_category_file` takes it.
        gt_dir: folder of the truth, in a form of the module's description.
        pred_dir: folder of the prediction; the form may be the other one.
        components: take connected components of things for instances, on both sides.
        allow_missing: take images without a prediction as such in which nothing was found.
        subset: pass over predictions of images that the truth does not have.

    Raises:
        InputError: no such file or folder, no image in it, or, told together: images that lack their partner, or two
            of one name.
    """
    table, notes = evaluated_categories(read_category_file(Path(categories)), str(categories))
    problems = Problems("in the files")
    truth = _label_maps(Path(gt_dir), table, components, True, problems)
    predicted = _label_maps(Path(pred_dir), table, components, False, problems)
    notes += beyond_truth(sorted(set(predicted) - set(truth)), str(pred_dir), problems, subset)
    pairs = []
    for name in sorted(truth):
        sides = (truth[name], predicted.get(name))
        more = tuple(side.instance_path for side in sides if side is not None and side.instance_path is not None)
        pairs.append(FilePair(truth[name].path.name, name, None, None, *sides, more_files=more))
    notes += check_pairs(pairs, str(pred_dir), problems, allow_missing)
    files = [*(side.path for side in (*truth.values(), *predicted.values())), *(p for x in pairs for p in x.more_files)]
    source = fingerprint([categories], [f"components {components}", *sorted(map(str, files))])
    return FileSet(
        table, tuple(pairs), source, tuple(notes), len(pairs), sum(pair.prediction is not None for pair in pairs)
    )


def _label_maps(
    folder: Path, categories: CategoryTable, components: bool, truth: bool, problems: Problems
) -> dict[str, LabelMapFile]:
    """The label maps of a folder by name without ending; what is wrong with some goes to `problems`."""
    if not (folder / "semantic").is_dir():
        images = label_map_files(folder, problems)
        return {
            name: LabelMapFile(path, None, categories, components, 0 if truth else None)
            for name, path in images.items()
        }
    semantic = label_map_files(folder / "semantic", problems)
    instance = {} if components else label_map_files(folder / "instance", problems)
    for name, path in semantic.items():
        if not components and name not in instance:
            problems.add(f"{path}: no image of this name in {folder / 'instance'}")
    return {
        name: LabelMapFile(path, instance.get(name), categories, components, 0 if truth else None)
        for name, path in semantic.items()
    }
