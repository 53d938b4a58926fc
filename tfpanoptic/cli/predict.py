"""`tfpanoptic predict`: panoptic segmentation of photos."""

from __future__ import annotations

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
) -> None:
    """Segment photos: overlays to look at, and COCO panoptic PNG and JSON."""
    import_tensorflow("tfpanoptic predict")
    from tfpanoptic.atomic import require_free
    from tfpanoptic.predict.files import find_images, write_predictions
    from tfpanoptic.result import CONTENTS
    from tfpanoptic.segmenter import PanopticSegmenter
    from tfpanoptic.settings.overrides import split_overrides

    paths, overrides = split_overrides(arguments)
    images = find_images(paths)
    require_free(out, CONTENTS, overwrite)
    segmenter = PanopticSegmenter.from_preset(run, overrides)
    write_predictions(segmenter, images, out, overwrite=overwrite)
    print(f"{len(images)} images: {out}/panoptic.json, {out}/panoptic/, {out}/overlay/")
