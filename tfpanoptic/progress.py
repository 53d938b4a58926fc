"""Progress of long work with time left: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0
# One for all: Rich stacks the bars of one console, and would write those of two over each other.
_CONSOLE = Console(stderr=True)


class Track:
    """One piece of work in progress; `advance` is called with what was done."""

    def __init__(self, what: str, total: int, done: int, bar: Progress | None):
        self.what, self.total, self.done = what, total, done
        self._start_done, self._start, self._last = done, time.monotonic(), time.monotonic()
        self._first = True
        self._bar = bar
        self._task = bar.add_task(what, total=total, completed=done, note="") if bar else None

    def advance(self, count: int = 1, note: str = "") -> None:
        """Counts `count` more as done; `note` is shown beside it."""
        first, self._first = self._first, False
        self.done += count
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self.done)
            if note:
                self._bar.update(self._task, note=note)
            return
        now = time.monotonic()
        if first and self.done < self.total:
            # The first piece holds what is done once, such as compiling: the pace is that of the others.
            self._start_done, self._start = self.done, now
            return
        if now - self._last >= _SECONDS_BETWEEN_LINES or self.done == self.total:
            self._last = now
            left = (now - self._start) / max(1, self.done - self._start_done) * (self.total - self.done)
            print(f"{self.what} {self.done}/{self.total}, {_clock(left)} left  {note}".rstrip(), file=sys.stderr)

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            self._bar.console.print(line, highlight=False)
        else:
            print(line, file=sys.stderr)


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Track]:
    """A `Track` for `total` pieces of work, of which `done` are done already. Writes to standard error."""
    if not _CONSOLE.is_terminal:
        yield Track(what, total, done, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=_CONSOLE, transient=True) as bar:
        yield Track(what, total, done, bar)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
