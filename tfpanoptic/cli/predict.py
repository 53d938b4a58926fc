"""`tfpanoptic predict`: panoptic segmentation of photos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder of a trained model, or a name that `models` lists.")],
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTOS...",
            help="Images or folders of them, and settings to change: model.postprocess.key=value, test_time.flip=true.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for panoptic.json, panoptic/ and overlay/.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it exists.")] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Take the images of sub-folders, linked ones too.")
    ] = False,
    skip_errors: Annotated[
        bool, typer.Option("--skip-errors", help="Go on past images that cannot be read; they are named at the end.")
    ] = False,
    tile: Annotated[
        int | None,
        typer.Option(help="See larger photos in tiles of so many pixels a side, at their own size; for large photos."),
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Pixels that neighbouring tiles share; a quarter of the tile by default.")
    ] = None,
) -> None:
    """Segment photos: overlays to look at, and COCO panoptic PNG and JSON."""
    import_tensorflow("tfpanoptic predict")
    from tfpanoptic.atomic import require_free, require_outside
    from tfpanoptic.errors import InputError
    from tfpanoptic.predict.files import find_images, write_predictions
    from tfpanoptic.predict.tiles import TiledSegmenter, require_tile
    from tfpanoptic.presets.cache import read_settings
    from tfpanoptic.result import CONTENTS
    from tfpanoptic.run_folder import RunFolder
    from tfpanoptic.segmenter import PanopticSegmenter
    from tfpanoptic.settings.overrides import split_overrides

    if tile is None and overlap is not None:
        raise InputError(f"--overlap {overlap}: expected --tile, too")
    paths, overrides = split_overrides(arguments)
    photos = find_images(paths, recursive)
    require_free(out, CONTENTS, overwrite)
    require_outside(out, [run, *(photo.path for photo in photos)])
    config, experiment, _ = read_settings(run, overrides)
    if tile is not None:
        require_tile(tile, overlap, experiment.grid, experiment.input)  # before anything is downloaded
    for line in RunFolder(config.parent).tuned_lines(overrides):
        print(line, file=sys.stderr)
    segmenter = PanopticSegmenter.from_preset(run, overrides)
    model = segmenter if tile is None else TiledSegmenter(segmenter, tile, overlap)
    left_out = write_predictions(model, photos, out, overwrite, skip_errors)
    if left_out:
        print(f"{len(left_out)} of {len(photos)} images were left out:", *left_out, sep="\n  ", file=sys.stderr)
    print(f"{len(photos) - len(left_out)} images: {out}/panoptic.json, {out}/panoptic/, {out}/overlay/")
