"""Bad input, told in one line."""


class InputError(ValueError):
    """What a person gave cannot be used: a file, a value, an argument.

    The message is one line that names the file, the value found and what was expected. The
    command line prints it without a traceback and ends with exit code 2.
    """
