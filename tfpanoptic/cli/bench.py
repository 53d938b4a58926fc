"""`tfpanoptic bench`: what a model costs in each format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow


def bench(
    source: Annotated[
        Path,
        typer.Argument(metavar="RUN|PRESET|EXPORT", help="A run folder, a name that `models` lists, or an export."),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings to change: model.postprocess.key=value, test_time.flip=true."),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option(help="Repeatable: keras, or what `export` writes; by default keras and saved_model."),
    ] = None,
    quantize: Annotated[
        list[str] | None, typer.Option(help="Repeatable: none, float16, dynamic or int8, of the formats that can.")
    ] = None,
    size: Annotated[
        list[str] | None, typer.Option(metavar="HxW", help="Repeatable: size of the photos; by default 512x512.")
    ] = None,
    fixed: Annotated[bool, typer.Option("--fixed", help="Fix the input of exports that can be to each size.")] = False,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Repeatable: photos of a call; by default 1.")] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Repeatable: threads; by default one a core.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Calls that are timed.")] = 20,
    images: Annotated[
        Path | None, typer.Option(help="Photos to take, of a folder; by default some that come with the package.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file, too.")] = None,
) -> None:
    """Measure latency, throughput, memory and size, each combination in a process of its own."""
    import json

    from tfpanoptic.atomic import replace_file, require_file_place, require_older, require_unread
    from tfpanoptic.evaluation.options import NUMBERS_MARK
    from tfpanoptic.run_folder import CONTENTS
    from tfpanoptic.settings.sides import read_sides

    sizes = tuple(read_sides("--size", text) for text in size or ())
    if json_file is not None:
        require_file_place(json_file)
        require_unread([json_file], [source, *(source / name for name in CONTENTS)], "measurement")
        require_older(json_file, NUMBERS_MARK)
    import_tensorflow("tfpanoptic bench")
    from tfpanoptic.bench.bench import bench, require_measured
    from tfpanoptic.bench.options import BenchOptions
    from tfpanoptic.bench.table import print_bench
    from tfpanoptic.export.verify import hide_gpus

    hide_gpus()
    result = bench(
        BenchOptions(
            source=source,
            overrides=tuple(overrides or ()),
            formats=tuple(dict.fromkeys(format or ())),
            quantize=tuple(dict.fromkeys(quantize or ())),
            sizes=sizes,
            fixed=fixed,
            batches=tuple(batch or (1,)),
            threads=tuple(threads or ()),
            runs=runs,
            images=images,
        )
    )
    if json_file is not None:
        replace_file(json_file, json.dumps({**result, "command": sys.argv[1:]}, indent=2) + "\n")
    print_bench(result)
    require_measured(result)
