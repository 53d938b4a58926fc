"""`tfpanoptic compare`: whether a difference between two evaluations is real, and what moved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.errors import InputError


def compare(
    a: Annotated[Path, typer.Argument(help="State file of an evaluation, of `evaluate --state`.")],
    b: Annotated[Path, typer.Argument(help="State file of the one to compare it with; above 0, this one is better.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file too.")] = None,
    resamples: Annotated[int, typer.Option(help="Draws of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    top: Annotated[int, typer.Option(help="How many of the categories and images that moved most to list.")] = 10,
) -> None:
    """Say whether B is really better than A, with the categories, images and causes of error that moved most."""
    import json

    from tfpanoptic.atomic import replace_file, require_file_place, require_older, require_unread
    from tfpanoptic.evaluation.compare import compare as compare_evaluations
    from tfpanoptic.evaluation.comparison_table import print_comparison
    from tfpanoptic.evaluation.options import NUMBERS_MARK
    from tfpanoptic.evaluation.state_file import load_state
    from tfpanoptic.version import __version__

    if json_file is not None:
        require_file_place(json_file)
        require_unread([json_file], [a, b], "comparison")
        require_older(json_file, NUMBERS_MARK)
    evaluations = load_state(a), load_state(b)
    try:
        comparison = compare_evaluations(*evaluations, resamples=resamples, seed=seed, top=top)
    except InputError as error:
        raise InputError(f"A, {a}, and B, {b}: {error}") from None
    print_comparison(comparison, a, b)
    if json_file is not None:
        content = {"tfpanoptic": __version__, "a": str(a), "b": str(b), **comparison}
        replace_file(json_file, json.dumps(content, indent=2) + "\n")
