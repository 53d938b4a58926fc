"""What is wrong with panoptic data, all of it, and what is in them; before any training.

The readers of `data/` stop at the first problem; this goes on past every one. It needs no TensorFlow, but for data in
records, and holds the annotations and one image a worker at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tfpanoptic.categories import Category
from tfpanoptic.data.spread import spread
from tfpanoptic.doctor.contents import Contents, contents_of_dataset, contents_of_files
from tfpanoptic.doctor.copies import find_copies
from tfpanoptic.doctor.findings import LEVELS, Findings
from tfpanoptic.doctor.photo_file import check_photo
from tfpanoptic.doctor.sources import Source
from tfpanoptic.doctor.splits import compare_splits, seen_categories
from tfpanoptic.doctor.supervision import census, check_supervision
from tfpanoptic.doctor.truth_file import Case, check_truth
from tfpanoptic.errors import InputError
from tfpanoptic.progress import progress
from tfpanoptic.settings.sizes import DeepGrey
from tfpanoptic.threads import in_order

# Images that the census names as those with the largest share of void.
WORST = 5
# The comparison of the splits stands among the findings under this name.
BOTH = "train, val"


class ImageCheck(NamedTuple):
    """What the files of one image show: (code, example) of its findings, its void pixels if they are known."""

    found: list[tuple[str, str]]
    void: int | None


def check(
    sources: Mapping[str, Source],
    checked: Sequence[str] | None = None,
    limit: int | None = None,
    workers: int | None = None,
    deep_grey: DeepGrey = "high_byte",
) -> dict[str, Any]:
    """Findings about the splits of a dataset, alone and against each other, and their census.

    Args:
        sources: the splits by name.
        checked: those to check; the others are compared with them by their annotations. By default all.
        limit: look at the pixels of only so many images a split, evenly spread; everything else is checked of all.
        workers: threads that read files; by default one a core. The findings are the same for any number.
        deep_grey: `input.deep_grey` of the configuration.

    Returns:
        A dict that JSON can hold:
            `findings`: list of `{"split", "level", "code", "what", "count", "examples", "images", "advice"}`, errors
                first; `images` are the file names of the examples, where they are about images
            `splits`: name -> census, None where the annotations cannot be used, else `{"images", "images_read",
                "segments", "crowds", "void_share" of the pixels read, "most_void", "categories"}`. A category is
                `{"id", "name", "isthing", "images", "segments", "crowds", "pixel_share", "median_area"}`; areas are
                those of the annotations, shares are of the pixels of all images, the median is of segments that are no
                crowds.
    """
    checked = list(sources) if checked is None else list(checked)
    findings = {name: Findings() for name in sources}
    contents = {name: read_contents(source, findings[name]) for name, source in sources.items()}
    both = Findings()
    train, val = contents.get("train"), contents.get("val")
    if train is not None and val is not None:
        compare_splits(train, val, both)
    splits = {}
    for name in checked:
        own = contents[name]
        others = [other for key, other in contents.items() if key != name and other is not None]
        splits[name] = _check_split(name, own, others, findings[name], limit, workers, deep_grey) if own else None
        _check_reader(sources[name], findings[name])
    listed = [{"split": name, **found} for name in checked for found in findings[name].to_list()]
    listed += [{"split": BOTH, **found} for found in both.to_list()]
    return {"findings": sorted(listed, key=lambda found: LEVELS.index(found["level"])), "splits": splits}


def read_contents(source: Source, findings: Findings) -> Contents | None:
    """What is in a split by its annotations, and findings about them; None where they cannot be used."""
    if source.coco is not None:
        return contents_of_files(source.coco, findings)
    return contents_of_dataset(source.load, findings)


def _check_reader(source: Source, findings: Findings) -> None:
    """A finding for what a configuration asks of data that are sound as they are."""
    if source.configured and not any(found["level"] == "error" for found in findings.to_list()):
        try:
            source.load()
        except InputError as error:
            findings.add("data-unreadable", str(error))


def error_line(findings: Sequence[dict[str, Any]], where: str) -> str | None:
    """One line that sums up the errors among findings; None without any."""
    errors = [finding for finding in findings if finding["level"] == "error"]
    if not errors:
        return None
    told = "; ".join(f"{finding['what']} ({finding['count']})" for finding in errors[:3])
    more = f"; and {len(errors) - 3} other kinds" if len(errors) > 3 else ""
    return f"{where}: errors in the data: {told}{more}"


def _check_split(
    name: str,
    contents: Contents,
    others: list[Contents],
    findings: Findings,
    limit: int | None,
    workers: int | None,
    deep_grey: DeepGrey,
) -> dict[str, Any]:
    """Findings about one split, beside those that reading its annotations made, and its census."""
    if contents.folder is not None:
        listed = {case.record.file_name for case in contents.cases}
        foreign = {record.file_name for other in others if _one_folder(contents, other) for record in other.records}
        contents.folder.unlisted(listed, foreign, findings)
    find_copies(list(dict.fromkeys(contents.photos())), [], findings)
    check_supervision(contents, findings)
    seen = seen_categories(contents).union(*(seen_categories(other) for other in others))
    for category in contents.categories:
        if category.name not in seen:
            findings.add("category-unseen", category.name)
    read = spread(contents.cases, limit)
    void: list[tuple[str, int, int]] = []
    with progress(f"check {name}", len(read)) as track:
        for case, result in zip(read, check_images(read, contents.categories, workers, deep_grey)):
            for code, example in result.found:
                findings.add(code, example, case.record.file_name)
            if result.void is not None:
                void.append((case.record.file_name, result.void, case.record.height * case.record.width))
            track.advance()
    return {**census(contents), **_void(void, len(read))}


def check_images(
    cases: Sequence[Case], categories: tuple[Category, ...], workers: int | None, deep_grey: DeepGrey
) -> Iterator[ImageCheck]:
    """What the files of each image show, in their order."""

    def look(case: Case) -> ImageCheck:
        found: list[tuple[str, str]] = []

        def sink(code: str, example: str) -> None:
            found.append((code, example))

        photo = check_photo(case, deep_grey, sink) if case.has_photo else None
        return ImageCheck(found, check_truth(case, categories, photo, sink) if case.has_truth else None)

    return in_order(look, cases, workers)


def _one_folder(contents: Contents, other: Contents) -> bool:
    return contents.folder is not None and other.folder is not None and contents.folder.path == other.folder.path


def _void(void: list[tuple[str, int, int]], images_read: int) -> dict[str, Any]:
    """The census' entries about void, of (file name, void pixels, pixels) of the images whose truth could be read."""
    total = sum(pixels for _, _, pixels in void)
    shares = sorted(((part / pixels, name) for name, part, pixels in void if part), reverse=True)
    return {
        "images_read": images_read,
        "void_share": sum(part for _, part, _ in void) / total if total else None,
        "most_void": [{"file_name": name, "void_share": share} for share, name in shares[:WORST]],
    }
