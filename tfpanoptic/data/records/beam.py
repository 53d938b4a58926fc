"""A dataset written as records by an Apache Beam pipeline over the numbers of the shards, for data of many machines.

A worker reads the dataset's annotation once and writes whole shards by `shard.write_shard`; the machine that starts the
pipeline writes the manifest. So the files are those of `write.write_records`, and a pipeline that was stopped is
continued by either of them. Source and folder are paths that all machines have, such as a network disk.

Source: https://beam.apache.org/documentation/programming-guide/ (`DoFn.setup`, runners and their options).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.records.manifest import Manifest
from tfpanoptic.data.records.shard import write_shard
from tfpanoptic.data.records.write import alone_in, finish, prepare, shard_count
from tfpanoptic.errors import InputError, WorkFailed, first_line

# An error of ours in the traceback that a runner makes of it.
_OURS = re.compile(r"\b(InputError|SettingError|WorkFailed): (.+?)(?: \[while running.*)?$", re.MULTILINE)


class WriteShards(beam.DoFn):
    """The number of a shard -> the same, once it is written.

    Args:
        load: the dataset; called once a worker, so it is a function that can be pickled.
        folder: where to.
        shards: how many there are.
    """

    def __init__(self, load: Callable[[], Dataset], folder: str, shards: int):
        self.load, self.folder, self.shards = load, folder, shards

    def setup(self) -> None:
        """Reads the annotation."""
        self.dataset = self.load()

    def process(self, number: int) -> Iterator[int]:
        """Writes one shard."""
        write_shard(self.dataset, Path(self.folder), number, self.shards)
        yield number


def write_with_beam(
    load: Callable[[], Dataset], folder: Path, shards: int | None, options: Sequence[str] = (), overwrite: bool = False
) -> Manifest:
    """Writes a dataset as records, or what is left of it, in a Beam pipeline.

    Args:
        load: the dataset, by a function that can be pickled.
        folder, shards, overwrite: as in `write_records`.
        options: of Beam and its runner, such as `--runner=DirectRunner`.

    Raises:
        InputError: as `write_records`, or an option is wrong.
        WorkFailed: as `write_records`, or the pipeline failed.
    """
    dataset = load()
    shards = shard_count(dataset, shards)
    with alone_in(folder):
        left = prepare(dataset, folder, shards, overwrite)
        print(f"{folder}: {len(left)} of {shards} shards are left to write", file=sys.stderr)
        if left:
            _run(load, str(folder.resolve()), shards, left, options)
        return finish(dataset, folder, shards)


def _run(load: Callable[[], Dataset], folder: str, shards: int, left: list[int], options: Sequence[str]) -> None:
    try:
        pipeline = beam.Pipeline(options=PipelineOptions(list(options)))
    except (SystemExit, ValueError) as error:
        raise InputError(f"{' '.join(options)}: {first_line(error)}; expected options of Apache Beam") from None
    numbers = pipeline | "shards" >> beam.Create(left) | "spread" >> beam.Reshuffle()
    numbers | "write" >> beam.ParDo(WriteShards(load, folder, shards))
    log = logging.getLogger("apache_beam.runners.common")
    log.addFilter(_is_foreign)
    try:
        result = pipeline.run()
        state = result.wait_until_finish()
    except Exception as error:
        ours = _OURS.search(f"{type(error).__name__}: {error}")
        if ours is None:
            raise WorkFailed(f"the pipeline failed: {first_line(error)}") from None
        kind = WorkFailed if ours[1] == "WorkFailed" else InputError
        raise kind(ours[2]) from None
    finally:
        log.removeFilter(_is_foreign)
    if state != beam.runners.runner.PipelineState.DONE:
        raise WorkFailed(f"the pipeline ended as {state}")


def _is_foreign(message: logging.LogRecord) -> bool:
    """Whether a line of Beam's log is not the traceback of an error of ours, which is told in one line."""
    return not (message.exc_info and isinstance(message.exc_info[1], InputError | WorkFailed))
