"""What can go wrong, told in one line: bad input, and work that failed."""


class InputError(ValueError):
    """What a person gave cannot be used: a file, a value, an argument.

    The message is one line that names the file, the value found and what was expected. The command
    line prints it without a traceback and ends with exit code 2.
    """


class WorkFailed(RuntimeError):
    """The input was right and the work failed: a loss that is not finite, an export that differs.

    The message is one line. The command line prints it without a traceback and ends with exit code 1.
    """
