"""`tfpanoptic models`: what can be built."""

from __future__ import annotations


def models() -> None:
    """List the architectures, backbones and datasets that an experiment can name."""
    from rich.console import Console
    from rich.table import Table

    from tfpanoptic.backbones import BACKBONES
    from tfpanoptic.data import DATASETS
    from tfpanoptic.models import ARCHITECTURES

    table = Table("kind", "names", box=None)
    for kind, registry in (("architectures", ARCHITECTURES), ("backbones", BACKBONES), ("datasets", DATASETS)):
        table.add_row(kind, ", ".join(registry))
    Console().print(table)
