"""One pass over pairs of files, by one process or several, into the counters of an evaluation."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.segment_png import palette_hint
from tfpanoptic.errors import InputError, Problems, WorkFailed
from tfpanoptic.evaluation.measures import FAST, check_measures, measure_pairs
from tfpanoptic.evaluation.measures.matching import SideError, pair_segments, sum_by_row
from tfpanoptic.evaluation.pairs.coco import FilePair, FileSet
from tfpanoptic.evaluation.rules import OFFICIAL, Rules
from tfpanoptic.evaluation.state import Evaluation, ImageCounts
from tfpanoptic.evaluation.state_file import StateFile
from tfpanoptic.evaluation.truth import truth_print
from tfpanoptic.progress import progress
from tfpanoptic.segment_map import SegmentMap


class Identified(Protocol):
    """An image with the dataset's own id."""

    @property
    def image_id(self) -> int | str:
        """The id."""


T = TypeVar("T", bound=Identified)
# So many bad files are looked at before the work stops.
MOST_PROBLEMS = 100
# Pairs that a worker gets at a time: few enough for an even end, many enough to hide the way there.
CHUNK = 8
# A process takes about as long to start as it takes to evaluate so many pairs.
LEAST_PAIRS_A_WORKER = 50


def evaluate_files(
    files: FileSet,
    measures: Sequence[str] = FAST,
    workers: int = 1,
    state: str | Path | None = None,
    rules: Rules = OFFICIAL,
) -> Evaluation:
    """The evaluation of pairs of files; progress is shown on standard error.

    Args:
        files: of `read_coco_files` or `read_cityscapes_files`.
        measures: names in `MEASURES`.
        workers: processes; they are started anew and import the program, so with more than one a script needs
            its `if __name__ == "__main__"`.
        state: a file that gets each image's counters as it is done. One that exists is continued.
        rules: what to count otherwise than the official evaluation does.

    Raises:
        InputError: an unknown measure; a state of another evaluation; or, told together, files that cannot
            be read or contradict their annotations.
        WorkFailed: a worker died.
    """
    table = rules.table(files.categories)
    start = Evaluation(table, tuple(measures), files.source, total=files.total, rules=rules.lines(files.categories))

    def counts(pairs: list[FilePair]) -> Iterator[ImageCounts | str]:
        return _counts(pairs, files.categories, start.measures, workers, rules)

    pairs = {pair.name: pair for pair in files.pairs}
    stamps = {name: pair.stamp() if state is not None else "" for name, pair in pairs.items()}
    return collect(start, pairs, stamps, counts, state)


def sensible_workers(pairs: int) -> int:
    """How many processes are worth their start for so many pairs of files, one a core at most; 0 and 1 are none."""
    return min(os.cpu_count() or 1, pairs // LEAST_PAIRS_A_WORKER)


def collect(
    start: Evaluation,
    images: Mapping[str, T],
    stamps: Mapping[str, str],
    counts: Callable[[list[T]], Iterable[ImageCounts | str]],
    state: str | Path | None = None,
) -> Evaluation:
    """The evaluation of images, those that its state file holds left out; progress is shown on standard error.

    Args:
        start: categories, measures and source.
        images: what `counts` takes, by the image's name.
        stamps: of each image's files; those of which the state has another one are counted again.
        counts: from the images that are left to their counters, one after the other, or a line that says why
            an image has none.
        state: as in `evaluate_files`.

    Raises:
        InputError: as `evaluate_files`.
    """
    check_measures(start.measures)
    problems = Problems("in the files")
    with StateFile(state, start) if state is not None else nullcontext() as file:
        saved = file.evaluation.images if file else {}
        same = [name for name in images if name in saved and saved[name].stamp == stamps[name]]
        # A file of an older version does not hold the ids.
        done = {name: replace(saved[name], image_id=images[name].image_id) for name in same}
        changed = sum(name in saved for name in images) - len(done)
        if changed:
            print(f"{state}: files of {changed} images were changed since; they are counted again", file=sys.stderr)
        left = [image for name, image in images.items() if name not in done]
        with progress("evaluate", len(images), len(done)) as track:
            for found in counts(left):
                track.advance()
                if isinstance(found, str):
                    problems.add(found)
                    if len(problems.messages) >= MOST_PROBLEMS:
                        break
                    continue
                found = replace(found, stamp=stamps[found.name])
                done[found.name] = found
                if file:
                    file.append(found)
    problems.check()
    return replace(start, images={name: done[name] for name in images})


def count_maps(
    name: str,
    truth: SegmentMap,
    prediction: SegmentMap,
    categories: CategoryTable,
    measures: Iterable[str],
    columns: Mapping[str, Any],
    rules: Rules = OFFICIAL,
) -> ImageCounts:
    """The counters of one image.

    Args:
        name: of the image.
        truth, prediction: of one size.
        categories: of both; the rows are in those of `rules.table`.
        measures: names in `MEASURES`.
        columns: what the dataset's table of images says of it.
        rules: what to count otherwise than the official evaluation does.

    Raises:
        SideError: see `matching.pair_segments`; or an area of the truth's table is below half of its pixels and makes
            an IoU above 1. A smaller difference, as areas of polygons have it, is counted as the official tool does.
    """
    truth, prediction = rules.apply(truth, prediction, categories)
    categories = rules.table(categories)
    pairs = pair_segments(truth, prediction, len(categories))
    rows = measure_pairs(pairs, categories, measures)
    true_pixels = sum_by_row(pairs.true_row, pairs.area, len(truth.segments))
    matched = pairs.matches.true_row
    too_small = np.flatnonzero((pairs.matches.iou > 1) & (2 * truth.segments["area"] < true_pixels)[matched])
    if too_small.size:
        row = matched[too_small[0]]
        raise SideError(
            "truth",
            f"gives segment {truth.segments['id'][row]} an area of {truth.segments['area'][row]:.12g}, but it has "
            f"{true_pixels[row]} pixels, which makes an IoU above 1; expected areas in pixels (--pixel-areas counts "
            "them)",
        )
    wrong_areas = int(np.sum(true_pixels != truth.segments["area"]))
    return ImageCounts(name, rows, columns, wrong_areas=wrong_areas, truth=truth_print(truth, categories))


def count_image(
    pair: FilePair, categories: CategoryTable, measures: tuple[str, ...], rules: Rules = OFFICIAL
) -> ImageCounts:
    """The counters of one pair of files.

    Raises:
        InputError: a file cannot be read, or contradicts its annotation.
    """
    truth, prediction = pair.read()
    separate = {pair.instances.measure} & set(measures) if pair.instances is not None else set()
    try:
        from_pairs = [measure for measure in measures if measure not in separate]
        counts = count_maps(pair.name, truth, prediction, categories, from_pairs, pair.columns, rules)
    except SideError as error:
        place = pair.truth.path if error.side == "truth" or pair.prediction is None else pair.prediction.path
        raise InputError(f"{place}: {error}{palette_hint(place)}") from None
    own_rows = {measure: pair.instances.count_rows(truth, prediction, categories) for measure in separate}
    return replace(
        counts,
        rows={**counts.rows, **own_rows},
        missing=pair.prediction is None,
        image_id=pair.image_id,
        file_name=pair.file_name,
    )


def _count_or_say(
    pair: FilePair, categories: CategoryTable, measures: tuple[str, ...], rules: Rules
) -> ImageCounts | str:
    """The counters, or the line that says why there are none: an exception would end the pass."""
    try:
        return count_image(pair, categories, measures, rules)
    except InputError as error:
        return str(error)


def _counts(
    pairs: list[FilePair], categories: CategoryTable, measures: tuple[str, ...], workers: int, rules: Rules
) -> Iterator[ImageCounts | str]:
    """The counters of each pair, in order."""
    count = partial(_count_or_say, categories=categories, measures=measures, rules=rules)
    workers = min(workers, max(1, len(pairs) // CHUNK))
    if workers <= 1:
        yield from map(count, pairs)
        return
    # New processes rather than forked ones: a fork of a process with threads, as TensorFlow has, may hang.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _end_with_parent)
    try:
        with _ignored_interrupts():
            counted = pool.map(count, pairs, chunksize=CHUNK)  # this starts the workers
        yield from counted
    except BrokenProcessPool:
        raise WorkFailed(
            "a worker died: for lack of memory, where fewer workers help, or because a script that starts them lacks "
            "`if __name__ == '__main__':`"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _ignored_interrupts() -> Iterator[None]:
    """Ctrl-C does nothing, in the processes that are started meanwhile for good: the parent alone ends the work.

    A worker that is interrupted while it hands over a result would leave its lock to nobody.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with_parent() -> None:
    """Ends this worker when its parent is gone, killed, which nothing else would tell it."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
