"""Numbers of a report as a person reads them."""

from __future__ import annotations


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction in percent."""
    return "-" if fraction is None else f"{round(100 * fraction, digits) + 0.0:.{digits}f}"  # + 0.0: never "-0.00"


def milliseconds(seconds: float) -> str:
    """Seconds in milliseconds, to three digits; many of them as seconds."""
    value = 1000 * seconds
    if value >= 10_000:
        return f"{seconds:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def megabytes(count: int | None) -> str:
    """Bytes in MB."""
    return "-" if count is None else f"{count / 1e6:.1f} MB" if count < 1e8 else f"{count / 1e6:.0f} MB"


def counted(number: int, what: str, plural: str | None = None) -> str:
    """A number of things; `plural` where it is not `what` with an s."""
    return f"{number} {what if number == 1 else plural or f'{what}s'}"
