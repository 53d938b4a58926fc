"""One pass over pairs of files, by one process or several, into the counters of an evaluation."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.segment_png import palette_hint
from tfpanoptic.errors import InputError, Problems, WorkFailed
from tfpanoptic.evaluation.files import FilePair, FileSet
from tfpanoptic.evaluation.measures import FAST, check_measures, measure_image
from tfpanoptic.evaluation.state import Evaluation, ImageCounts, StateFile
from tfpanoptic.progress import progress

T = TypeVar("T")
# So many bad files are looked at before the work stops.
MOST_PROBLEMS = 100
# Pairs that a worker gets at a time: few enough for an even end, many enough to hide the way there.
CHUNK = 8


def evaluate_files(
    files: FileSet,
    measures: Sequence[str] = FAST,
    workers: int = 1,
    state: str | Path | None = None,
) -> Evaluation:
    """The evaluation of pairs of files; progress is shown on standard error.

    Args:
        files: of `read_coco_files` or `read_cityscapes_files`.
        measures: names in `MEASURES`.
        workers: processes; they are started anew and import the program, so with more than one a script needs
            its `if __name__ == "__main__"`.
        state: a file that gets each image's counters as it is done. One that exists is continued.

    Raises:
        InputError: an unknown measure; a state of another evaluation; or, told together, files that cannot
            be read or contradict their annotations.
        WorkFailed: a worker died.
    """
    start = Evaluation(files.categories, tuple(measures), files.source)

    def counts(pairs: list[FilePair]) -> Iterator[ImageCounts | str]:
        return _counts(pairs, files.categories, start.measures, workers)

    return collect(start, {pair.name: pair for pair in files.pairs}, counts, state)


def collect(
    start: Evaluation,
    images: Mapping[str, T],
    counts: Callable[[list[T]], Iterable[ImageCounts | str]],
    state: str | Path | None = None,
) -> Evaluation:
    """The evaluation of images, those that its state file holds left out; progress is shown on standard error.

    Args:
        start: categories, measures and source.
        images: what `counts` takes, by the image's name.
        counts: from the images that are left to their counters, one after the other, or a line that says why
            an image has none.
        state: as in `evaluate_files`.

    Raises:
        InputError: as `evaluate_files`.
    """
    check_measures(start.measures)
    problems = Problems("in the files")
    with StateFile(state, start) if state is not None else nullcontext() as file:
        done = dict(file.evaluation.images) if file else {}
        left = [image for name, image in images.items() if name not in done]
        with progress("evaluate", len(images), len(images) - len(left)) as track:
            for found in counts(left):
                track.advance()
                if isinstance(found, str):
                    problems.add(found)
                    if len(problems.messages) >= MOST_PROBLEMS:
                        break
                    continue
                done[found.name] = found
                if file:
                    file.append(found)
    problems.check()
    return replace(start, images={name: done[name] for name in images})


def count_image(pair: FilePair, categories: CategoryTable, measures: tuple[str, ...]) -> ImageCounts:
    """The counters of one pair of files.

    Raises:
        InputError: a file cannot be read, or contradicts its annotation.
    """
    truth, prediction = pair.read()
    try:
        separate = pair.instances.measure if pair.instances is not None else None
        rows = measure_image(truth, prediction, categories, tuple(name for name in measures if name != separate))
    except InputError as error:
        place = pair.truth.path if str(error).startswith("truth") or pair.prediction is None else pair.prediction.path
        raise InputError(f"{place}: {error}{palette_hint(place)}") from None
    if pair.instances is not None and separate in measures:
        rows[pair.instances.measure] = pair.instances.count_rows(truth, categories)
    return ImageCounts(pair.name, rows, pair.columns, pair.prediction is None)


def _count_or_say(pair: FilePair, categories: CategoryTable, measures: tuple[str, ...]) -> ImageCounts | str:
    """The counters, or the line that says why there are none: an exception would end the pass."""
    try:
        return count_image(pair, categories, measures)
    except InputError as error:
        return str(error)


def _counts(
    pairs: list[FilePair], categories: CategoryTable, measures: tuple[str, ...], workers: int
) -> Iterator[ImageCounts | str]:
    """The counters of each pair, in order."""
    count = partial(_count_or_say, categories=categories, measures=measures)
    workers = min(workers, max(1, len(pairs) // CHUNK))
    if workers <= 1:
        yield from map(count, pairs)
        return
    # New processes rather than forked ones: a fork of a process with threads, as TensorFlow has, may hang.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(count, pairs, chunksize=CHUNK)
    except BrokenProcessPool:
        raise WorkFailed("a worker died, perhaps for lack of memory; try again with fewer --workers") from None
    finally:
        pool.shutdown(cancel_futures=True)
