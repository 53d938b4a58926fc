"""Images a second of the training pipeline as a share of those of decoding alone, and where the rest goes.

`python benchmarks/pipeline.py` makes photos with truth, or takes a set in COCO panoptic format (`--data DIR`), and
prepares crops of 641 x 641 by the recipe of Panoptic-DeepLab on COCO. The reference is TensorFlow decoding the same
JPEGs and PNGs with the same threads. Each stage adds one step to the one before; all take their turn in every round, so
that a busy machine slows them alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from PIL import Image

from tfpanoptic.data import pipeline
from tfpanoptic.data.augment import augment
from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.data.examples import file_source
from tfpanoptic.data.sets.shapes import ShapesConfig, load_shapes
from tfpanoptic.experiment import Experiment
from tfpanoptic.settings.sizes import resized_size

CONFIGS = Path(__file__).parents[1] / "configs"
CROP = 641
BATCH = 8
# Quality of the photos that are made; COCO's are of about this.
QUALITY = 90


class Taken(NamedTuple):
    """Seconds that something took, and those of all threads on a processor: other work on the machine adds to these
    little.
    """

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with images/, panoptic/ and panoptic.json")
    parser.add_argument("--size", default="480x640", help="height x width of the photos that are made")
    parser.add_argument("--config", default="panoptic_deeplab/resnet50_os32_coco.yaml")
    parser.add_argument("--images", type=int, default=64, help="images of a measurement")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    print(f"tensorflow {tf.__version__}, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data is None:
            dataset = _made(Path(folder), arguments.images, arguments.size)
        else:
            dataset = _given(arguments.data)
        stages = _stages(dataset, arguments.config, arguments.threads)
        seconds: dict[str, list[Taken]] = {name: [] for name in stages}
        for run in range(arguments.runs + 1):  # the first one warms up
            for name, stage in stages.items():
                taken = _seconds(stage, arguments.images)
                if run:
                    seconds[name].append(taken)
    _report(seconds)


def _given(folder: Path) -> Dataset:
    return read_coco_panoptic(folder / "images", folder / "panoptic.json", folder / "panoptic")


def _made(folder: Path, images: int, size: str) -> Dataset:
    """Scenes of shapes as JPEGs."""
    height, width = map(int, size.split("x"))
    config = ShapesConfig(height=height, width=width, train_images=images, val_images=1, folder=str(folder))
    load_shapes(config, "train")
    scenes = next(folder.rglob("train"))
    for path in list((scenes / "images").glob("*.png")):
        with Image.open(path) as image:
            image.convert("RGB").save(path.with_suffix(".jpg"), quality=QUALITY)
    content = (scenes / "panoptic.json").read_text(encoding="utf-8")
    start, end = content.split('"annotations"', 1)  # the photos' names come first
    (scenes / "panoptic.json").write_text(f'{start.replace(".png", ".jpg")}"annotations"{end}', encoding="utf-8")
    return _given(scenes)


def _stages(dataset: Dataset, config: str, threads: int) -> dict[str, Callable[[], tf.data.Dataset]]:
    """Name of each stage -> a dataset of one example after the other, the last one of batches."""
    from tfpanoptic.models import ARCHITECTURES

    experiment = Experiment.from_yaml(CONFIGS / config)
    architecture = ARCHITECTURES[experiment.model.name]
    policy = experiment.augment.model_copy(update={"crop": (CROP, CROP)})
    grid, numbers = experiment.grid, tf.data.Dataset.range(len(dataset)).repeat()
    photos = tf.constant([str(record.image_path) for record in dataset.records])
    truths = tf.constant([str(record.panoptic_path) for record in dataset.records])
    source = file_source(dataset)

    def decode(number):
        photo = tf.io.decode_jpeg(tf.io.read_file(photos[number]), channels=3, dct_method="INTEGER_ACCURATE")
        return photo, tf.io.decode_png(tf.io.read_file(truths[number]), channels=3)

    def views(augmentation):
        def view(number):
            image, ids = source.read(number)
            size = resized_size(*tf.unstack(tf.shape(ids)), experiment.input)
            return augment(image, ids, tf.stack([0, number]), augmentation, size, grid.align_corners)

        return lambda: numbers.map(view, threads).prefetch(2)

    def targets(example):
        return architecture.targets(example, experiment.model, dataset.categories)

    def batches(make_targets, workers: int = threads):
        def make():
            return pipeline.training_batches(
                dataset,
                experiment.input,
                grid,
                policy,
                make_targets,
                BATCH,
                0,
                parallel_calls=workers,
                memory_limit=0,
            )

        return make

    return {
        "decoding alone": lambda: numbers.map(decode, threads).prefetch(2),
        "reader: + map of ids": lambda: numbers.map(source.read, threads).prefetch(2),
        "+ scale, crop, flip": views(policy.model_copy(update={"color_policy": None})),
        "+ colour policy": views(policy),
        "+ labels, batches": batches(lambda example: {}),
        "+ targets: the whole pipeline": batches(targets),
    }


def _seconds(stage: Callable[[], tf.data.Dataset], images: int) -> Taken:
    """Of one image, in the midst of a running pipeline."""
    data = stage()
    batched = isinstance(data.element_spec, dict)
    count = images // BATCH if batched else images
    iterator = iter(data)
    for _ in range(count // 4 + 3):  # what was prepared ahead
        next(iterator)
    start = Taken(time.perf_counter(), time.process_time())
    for _ in range(count):
        next(iterator)
    end = Taken(time.perf_counter(), time.process_time())
    return Taken(*((b - a) / (count * BATCH if batched else count) for a, b in zip(start, end, strict=True)))


def _report(seconds: dict[str, list[Taken]]) -> None:
    reference = seconds["decoding alone"]
    before = 0.0
    print(f"{'':34} {'images/s':>8}  % of decoding  processor, ms an image  % of decoding")
    for name, values in seconds.items():
        wall, processor = (
            100 * statistics.median(a[i] / b[i] for a, b in zip(reference, values, strict=True)) for i in (0, 1)
        )
        taken = 1000 * statistics.median(value.processor for value in values)
        rate = 1 / statistics.median(value.wall for value in values)
        print(f"{name:34} {rate:8.1f} {wall:14.0f} {taken:14.2f} {taken - before:+7.2f} {processor:14.0f}")
        before = taken


if __name__ == "__main__":
    main()
