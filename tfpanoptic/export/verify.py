"""Is an export the model? Real photos through both, compared: agreement, PQ, latency, size and memory."""

from __future__ import annotations

import datetime
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.dataset import Dataset, ImageRecord, image_content, read_record_image, read_segment_map
from tfpanoptic.environment import cpu_model, describe_environment
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.evaluation.dataset import without_unlabelled
from tfpanoptic.evaluation.measures.matching import BACKGROUND, pair_segments
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts, count, count_matches, summarize
from tfpanoptic.export.process import available_cores, run_worker
from tfpanoptic.export.verification import Latency, Limits, Verification
from tfpanoptic.export.worker import Job, kept
from tfpanoptic.photo.image_file import open_image
from tfpanoptic.photo.pixels import read_image
from tfpanoptic.progress import progress
from tfpanoptic.segment_map import SegmentMap, relabel
from tfpanoptic.settings.sizes import DeepGrey, network_size, require_bounded, resized_size

WARM_UP = 2


def verify(
    segmenter,
    path: str | Path,
    format: str = "saved_model",
    images: Dataset | Sequence[str | Path] | None = None,
    limit: int | None = None,
    max_drop: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Verification:
    """Runs an export in a process of its own, and compares with the model.

    Args:
        segmenter: the model.
        path: what it was exported to.
        format: of `export.FORMATS`.
        images: with truth (of the model's categories, which others may follow), or files of photos without; by default
            the run's validation images.
        limit: only so many, the first ones.
        max_drop: the PQ that the export may lose, a fraction; None: what its numbers may cost, see `Limits.of`.
        options: what `export` was given beside the format.

    Raises:
        InputError: an image cannot be read or is too large, there is none, or `max_drop` is given without truth.
        WorkFailed: the process of the export failed.
    """
    images = segmenter.experiment.load_data("val") if images is None else images
    require_comparable(segmenter, images, limit, max_drop)
    dataset = images if isinstance(images, Dataset) else None
    photos = _photos(images, limit)
    options = {name: value for name, value in (options or {}).items() if value is not None}
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(
            format=format,
            path=str(path),
            images=[str(_file(photo, number, Path(scratch))) for number, photo in enumerate(photos)],
            calls=len(photos),
            threads=_threads(),
            warm_up=WARM_UP,
            deep_grey=segmenter.experiment.input.deep_grey,
            keep=True,
        )
        # The present process may have taken all memory of a GPU.
        answer = run_worker(job, Path(scratch), environment={"CUDA_VISIBLE_DEVICES": "-1"})
        if CategoryTable.from_json(answer["categories"]).categories != segmenter.categories.categories:
            raise WorkFailed(f"{path}: has other categories than the model")
        comparison, sizes, seconds, first = _compare(segmenter, photos, dataset, Path(scratch), options.get("size"))
    alike = sizes.count("alike")
    return Verification(
        artefact=str(path),
        format=format,
        options={name: _plain(value) for name, value in options.items()},
        images=len(photos),
        size=options.get("size"),
        shrunk=sizes.count("shrunk"),
        padded=sizes.count("padded"),
        **comparison.summary(segmenter.categories, dataset),
        model_latency=Latency.of(seconds, first),
        latency=Latency.of(answer["seconds"], answer["first_seconds"]),
        open_seconds=answer["open_seconds"],
        threads=job.threads,
        model_bytes=sum(weight.value.dtype.size * int(np.prod(weight.shape)) for weight in segmenter.weights),
        bytes=size_of(path),
        memory_opened=answer["memory_opened"],
        memory_peak=answer["memory_peak"],
        limits=Limits.of(str(options.get("quantize", "none")), max_drop, dataset is not None, alike, len(photos)),
        runtime=answer["runtime"],
        packages=describe_environment(devices=False)["packages"],
        machine={**machine(), "model_device": _device()},
        date=datetime.date.today().isoformat(),
    )


def require_comparable(
    segmenter, images: Dataset | Sequence[str | Path], limit: int | None = None, max_drop: float | None = None
) -> None:
    """Checks what an export is to be compared on, before there is one: that each image can be read.

    Args: as in `verify`.

    Raises:
        InputError: there is no image, one cannot be read or is too large, or `max_drop` is given without truth.
    """
    photos = _photos(images, limit)
    if not photos:
        raise InputError("no image to compare on")
    if max_drop is not None and not isinstance(images, Dataset):
        raise InputError("--max-drop is a loss of PQ; expected images with truth, found photos alone")
    for photo in photos:
        record = isinstance(photo, ImageRecord)
        name = photo.image_name if record else str(photo)
        with open_image(image_content(photo) if record else Path(photo), name) as image:
            require_bounded(name, image.size[::-1], segmenter.experiment.input)
        _pixels(photo, segmenter.experiment.input.deep_grey)


def _photos(images: Dataset | Sequence[str | Path], limit: int | None) -> list[Any]:
    """The first records or files."""
    return list(images.records if isinstance(images, Dataset) else images)[:limit]


class Comparison:
    """Counters of a comparison, image by image.

    Args:
        categories: number of the model's.
        all_categories: number of the truth's, which begin with the model's.
    """

    def __init__(self, categories: int, all_categories: int):
        self.categories, self.all_categories = categories, all_categories
        self.model, self.export = (PanopticCounts.zeros(all_categories) for _ in range(2))
        self.agreement, self.agreement_alike = (PanopticCounts.zeros(categories) for _ in range(2))
        self._score_differences: list[np.ndarray] = []

    def add(self, model: SegmentMap, export: SegmentMap, alike: bool = True) -> None:
        """Counts what the two say of one image; `alike`: both networks see it in the same size.

        Where the model finds nothing, what the export finds is wrong; void of a truth would let it pass.
        """
        truth = replace(model, ids=relabel(model.ids, [0], [BACKGROUND], keep=True))
        pairs = pair_segments(truth, export, self.categories)
        counts = count_matches(pairs, pairs.matches, self.categories)
        self.agreement += counts
        if alike:
            self.agreement_alike += counts
            matches = pairs.matches
            scores = [s.segments["score"] for s in (model, export)]
            self._score_differences.append(np.abs(scores[0][matches.true_row] - scores[1][matches.predicted_row]))

    def add_truth(self, truth: SegmentMap, model: SegmentMap, export: SegmentMap) -> None:
        """Counts both against the truth of one image."""
        self.model += count(truth, model, self.all_categories)
        self.export += count(truth, export, self.all_categories)

    def summary(self, categories: CategoryTable, dataset: Dataset | None) -> dict[str, Any]:
        """The fields of a `Verification` that it knows."""
        differences = np.concatenate([*self._score_differences, np.zeros(0)])
        truth = dataset.categories if dataset is not None else None
        return {
            "model_pq": summarize(self.model, truth) if truth is not None else None,
            "pq": summarize(self.export, truth) if truth is not None else None,
            "agreement": summarize(self.agreement, categories),
            "agreement_alike": summarize(self.agreement_alike, categories),
            "score_difference": float(differences.mean()) if len(differences) else 0.0,
        }


def _compare(
    segmenter, photos: Sequence[ImageRecord | str | Path], dataset: Dataset | None, folder: Path, size: Any
) -> tuple[Comparison, list[str], list[float], float]:
    """The model on the same images, one at a time, compared with what a worker has written."""
    truth_categories = dataset.categories if dataset is not None else segmenter.categories
    comparison = Comparison(len(segmenter.categories), len(truth_categories))
    deep_grey, sizes, seconds = segmenter.experiment.input.deep_grey, [], []
    with progress("compare", len(photos)) as track:
        first_image = _pixels(photos[0], deep_grey)
        first, *_ = [_seconds(segmenter, first_image)[1] for _ in range(WARM_UP)]
        for number, photo in enumerate(photos):
            record = photo if isinstance(photo, ImageRecord) else None
            image = _pixels(photo, deep_grey)
            model, taken = _seconds(segmenter, image)
            seconds.append(taken)
            export = kept(folder / f"{number}.npz")
            sizes.append(_seen(image.shape[:2], size, segmenter.experiment))
            comparison.add(model, export, sizes[-1] == "alike")
            if record is not None and dataset is not None:
                maps = (without_unlabelled(each, dataset) for each in (model, export))
                comparison.add_truth(read_segment_map(record), *maps)
            track.advance()
    return comparison, sizes, seconds, first


def _seconds(segmenter, image: np.ndarray) -> tuple[SegmentMap, float]:
    """The model's result, and how long it took from pixels to result."""
    started = time.perf_counter()
    result = segmenter.segment(image)
    return result.segment_map, time.perf_counter() - started


def _seen(image: tuple[int, int], size: tuple[int, int] | None, experiment) -> str:
    """How the network of an export of fixed size sees an image: "alike", "shrunk", or with more padding, "padded"."""
    if size is None or network_size(*image, experiment.input, experiment.grid) == tuple(size):
        return "alike"
    height, width = resized_size(*image, experiment.input)
    return "padded" if height <= size[0] and width <= size[1] else "shrunk"


def size_of(path: str | Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    path = Path(path)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _pixels(photo: ImageRecord | str | Path, deep_grey: DeepGrey) -> np.ndarray:
    return read_record_image(photo, deep_grey) if isinstance(photo, ImageRecord) else read_image(photo, deep_grey)


def _file(photo: ImageRecord | str | Path, number: int, scratch: Path) -> Path:
    """The file of a photo; one in a shard is written into the scratch folder."""
    content = image_content(photo) if isinstance(photo, ImageRecord) else Path(photo)
    if isinstance(content, Path):
        return content
    path = scratch / f"photo{number}"
    path.write_bytes(content.getvalue())
    return path


def _plain(value: Any) -> Any:
    """An option as a report has it; of a list of photos, their number."""
    if isinstance(value, (list, tuple)) and not all(isinstance(entry, int) for entry in value):
        return f"{len(value)} images"
    return list(value) if isinstance(value, tuple) else value


def _threads() -> int:
    """Threads that TensorFlow computes an operation with in this process."""
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads() or available_cores()


def hide_gpus() -> None:
    """Leaves GPUs to other processes: TensorFlow takes all of their memory. To be called before it computes anything.

    An export is written and its model measured as well on the processor.
    """
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def _device() -> str:
    """What the model was run on here."""
    import tensorflow as tf

    return "GPU" if tf.config.get_visible_devices("GPU") else "CPU"


def machine() -> dict[str, Any]:
    """Processor, cores and system, without names of users or machines."""
    environment = describe_environment(devices=False)
    return {
        "cpu": cpu_model(),
        "cores": available_cores(),
        "system": environment["system"],
        "python": platform.python_version(),
    }
