"""`tfpanoptic demo`: the whole way on real photos, in minutes, on any computer."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import import_tensorflow

QUICK = ("training.steps=4", "training.evaluate_images=2", "training.schedule.warmup_steps=1", "training.batch_size=2")
PHOTOS = 8
LITERT = "litert_int8.tflite"
WITHOUT_LITERT = "left out, as ai-edge-quantizer is not installed: pip install tfpanoptic[litert]"
# What a demo leaves; only a folder with nothing else is ever replaced.
CONTENTS = (
    LITERT,
    f"{LITERT}.verify.json",
    f"{LITERT}.verify.md",
    "photos",
    "predictions",
    "report.html",
    "run",
    "saved_model",
    "saved_model.verify.json",
    "saved_model.verify.md",
)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the run, photos, predictions and exports.")] = Path("demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Four steps only, to see that everything works.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an older demo in the folder.")] = False,
) -> None:
    """Train on real microscopy photos, measure PQ, predict, export, and check the exports: about 8 minutes."""
    import_tensorflow("tfpanoptic demo")
    from tfpanoptic.atomic import require_free
    from tfpanoptic.experiment import DEMO_CONFIG, Experiment

    require_free(out, CONTENTS, overwrite)
    if out.exists():
        shutil.rmtree(out)
    experiment = Experiment.from_yaml(DEMO_CONFIG, QUICK if quick else ())
    photos = _copy_photos(experiment, out / "photos")
    print(f"training Panoptic-DeepLab on {len(experiment.load_data('train').records)} photos of nuclei", flush=True)
    _train_and_use(experiment, out, photos, quick)
    print(
        f"\nlook at       {out}/predictions/overlay/, and {out}/report.html in a browser\n"
        f"run folder    {out}/run\n"
        f"SavedModel    {out}/saved_model\n"
        f"LiteRT        {f'{out}/{LITERT}' if _can_quantize() else WITHOUT_LITERT}\n"
        f"try           {command()} predict {out}/run YOUR_PHOTO.png --out predicted"
    )


def command() -> str:
    """How a person starts this program again: by its name where the shell finds it, else by its path."""
    return "tfpanoptic" if shutil.which("tfpanoptic") else sys.argv[0]


def _copy_photos(experiment, folder: Path) -> list[Path]:
    """A few validation photos as plain files, for `predict`."""
    from tfpanoptic.data.spread import spread

    folder.mkdir(parents=True)
    records = experiment.load_data("val").records
    return [Path(shutil.copy(record.image_path, folder / record.file_name)) for record in spread(records, PHOTOS)]


def _train_and_use(experiment, out: Path, photos: list[Path], quick: bool) -> None:
    from tfpanoptic.evaluation.summary import summarize
    from tfpanoptic.evaluation.table import print_evaluation
    from tfpanoptic.predict.evaluate import evaluate_images, scenes_of
    from tfpanoptic.predict.files import find_images, write_predictions
    from tfpanoptic.predict.verification import verify_export
    from tfpanoptic.report.page import write_report
    from tfpanoptic.segmenter import PanopticSegmenter
    from tfpanoptic.train.loop import train

    train(experiment, out / "run")
    segmenter = PanopticSegmenter.from_preset(out / "run")
    dataset = experiment.load_data("val")
    dataset = replace(dataset, records=dataset.records[: 2 if quick else None])
    evaluation = evaluate_images(segmenter, dataset)
    print_evaluation(summarize(evaluation))
    write_report(out / "report.html", evaluation, "tfpanoptic demo", scenes_of(segmenter, dataset))
    write_predictions(segmenter, find_images(photos), out / "predictions")
    segmenter.export(out / "saved_model", "saved_model")
    verify_export(segmenter, out / "saved_model", "saved_model", dataset, PHOTOS).require()
    if _can_quantize():
        segmenter.export(out / LITERT, "litert", quantize="int8")
        # PQ after a few steps is an accident.
        drop = 1.0 if quick else None
        verify_export(segmenter, out / LITERT, "litert", dataset, None, drop, {"quantize": "int8"}).require()


def _can_quantize() -> bool:
    """Whether the quantizer is installed, and with it the runtime, which it asks for."""
    return importlib.util.find_spec("ai_edge_quantizer") is not None
