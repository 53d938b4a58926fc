"""What can go wrong, told in one line: bad input, and work that failed."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """What a person gave cannot be used: a file, a value, an argument.

    The message is one line that names the file, the value found and what was expected. The command
    line prints it without a traceback and ends with exit code 2.
    """


class SettingError(InputError):
    """A setting that cannot be used, found where nobody knows which file holds it: by a network, a reader or the loop.

    Attributes:
        path: the setting, dotted, such as `model.backbone.name`; the text is `path: message`.
    """

    def __init__(self, path: str, message: str):
        super().__init__(path, message)
        self.path = path

    def __str__(self) -> str:
        return ": ".join(self.args)


@contextmanager
def settings_of(file: str | Path) -> Iterator[None]:
    """Names the configuration's file in a `SettingError` of its block, which becomes a plain `InputError`."""
    try:
        yield
    except SettingError as error:
        raise InputError(f"{file}: {error}") from None


class WorkFailed(RuntimeError):
    """The input was right and the work failed: a loss that is not finite, an export that differs.

    The message is one line. The command line prints it without a traceback and ends with exit code 1.
    """


# Codes of what is no fault of the path that was given: no space, over the quota, a broken disk.
_DISK_FAILED = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def unwritten(path: object, error: OSError) -> Exception:
    """The error to raise where a file could not be written: the disk failed, or the place is wrong."""
    message = f"{path}: cannot be written ({error.strerror or error})"
    return WorkFailed(message) if error.errno in _DISK_FAILED else InputError(message)


def system_reason(error: OSError) -> str:
    """What the system says of an error, with the file if it names one."""
    place = f"{error.filename}: " if error.filename is not None else ""
    return f"{place}{error.strerror or error}"


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line; its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


# Takes the problems that a reader meets: a code for their kind, and a message that does not name the file.
Sink = Callable[[str, str], None]


def raise_first(origin: object) -> Sink:
    """The sink of a reader that stops at its first problem, with an `InputError` that names `origin`, the file."""

    def sink(code: str, message: str) -> None:
        raise InputError(f"{origin}: {message}")

    return sink


class Problems:
    """Input errors that are collected, to be told together: the first ones, and how many there are.

    Args:
        where: what they were found in, for the message.
    """

    def __init__(self, where: str, told: int = 8):
        self.where, self.told = where, told
        self.messages: list[str] = []
        self._said: set[str] = set()

    def add(self, message: str) -> None:
        """Takes one more; what was said already is not said again."""
        if message not in self._said:
            self._said.add(message)
            self.messages.append(message)

    def of(self, origin: object) -> Sink:
        """The sink of a reader of `origin`, a file, which goes on to the end."""
        return lambda code, message: self.add(f"{origin}: {message}")

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Takes the `InputError` that its block raises."""
        try:
            yield
        except InputError as error:
            self.add(str(error))

    def check(self) -> None:
        """Ends the work if there are problems.

        Raises:
            InputError: there are any; a single one is told as it is.
        """
        if len(self.messages) == 1:
            raise InputError(self.messages[0])
        if self.messages:
            more = len(self.messages) - self.told
            lines = [*self.messages[: self.told], *([f"and {more} more"] if more > 0 else [])]
            raise InputError("\n  ".join([f"{len(self.messages)} problems {self.where}:", *lines]))
