"""Work on many items in threads, with the results in the order of the items."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Generator[Result, None, None]:
    """What `work` makes of each item; where one fails, or the caller stops, those that wait are not begun.

    Decoding, compressing and copying, which are what this is for, do not hold Python's lock.

    Args:
        work: of one item.
        items: what to work on.
        workers: threads; one a core without a number, and none beside the caller's for 1.
    """
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
