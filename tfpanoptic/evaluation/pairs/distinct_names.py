"""Names that tell things apart where a file calls several alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def distinct_names(names: Sequence[str], marks: Sequence[str]) -> list[str]:
    """The names, each one of its kind: repeated ones get their mark beside them, again if the file has that name, too.

    Args:
        names: `[N]`; one that is not repeated stays as it is.
        marks: `[N]`, what is put behind a repeated one, such as "(id 5)".
    """
    counts, taken, distinct = Counter(names), set(names), []
    for name, mark in zip(names, marks, strict=True):
        if counts[name] > 1:
            name = f"{name} {mark}"
            while name in taken:
                name = f"{name} {mark}"
            taken.add(name)
        distinct.append(name)
    return distinct
