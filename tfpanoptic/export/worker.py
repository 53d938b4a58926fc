"""The process that runs one artefact: its own runtime and nothing else, so that memory and times are the artefact's.

`python -m tfpanoptic.export.worker JOB` reads a job, the JSON of a `Job`, and writes `answer.json` beside it; with
`keep` also `I.npz` for each image, its segment map. It prints a line whenever a call is done.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.environment import describe_environment
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export import FORMATS
from tfpanoptic.export.memory import peak_memory
from tfpanoptic.photo.pixels import read_image
from tfpanoptic.result import PanopticResult
from tfpanoptic.segment_map import SegmentMap
from tfpanoptic.settings.input_size import DeepGrey

# Images that are kept decoded, so that a measurement of few reads each once.
_DECODED = 8
# Modules that run artefacts, with the packages that hold them.
RUNTIMES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "ai_edge_litert": ("ai-edge-litert",),
    "onnxruntime": ("onnxruntime",),
}
# A function of images, uint8 `[B, H, W, 3]`.
Segment = Callable[[np.ndarray], list[PanopticResult]]


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Attributes:
        format: of `FORMATS`, or what else the worker opens.
        path: the artefact.
        images: files; call k takes `batch` of them from number k * batch on, over and over.
        calls: how many are timed.
        batch: images of a call; of one size if they are several.
        threads: of the runtime.
        warm_up: calls before those that are timed, the first included.
        deep_grey: what becomes of grey values of more than 8 bits.
        keep: whether the segment maps are written, too.
        options: for the worker's own use.
    """

    format: str
    path: str
    images: list[str]
    calls: int
    batch: int = 1
    threads: int = 1
    warm_up: int = 2
    deep_grey: DeepGrey = "high_byte"
    keep: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self))


def run_job(job: Job, folder: Path, open_artefact: Callable[[Job], Segment]) -> dict[str, Any]:
    """Opens the artefact, calls it, and says how long each call took.

    Decoding of files is not in the times; all from pixels to results is.

    Args:
        job: what to do.
        folder: gets the segment maps.
        open_artefact: gives the artefact of a job as a function of images.

    Returns:
        - `seconds`: list of `calls`; `first_seconds`, the first call of all; `open_seconds`.
        - `memory_opened`, `memory_peak`: bytes of the process after opening and at the end, None where unknown.
        - `categories`: of the artefact, as JSON; `runtime`: version of each of `RUNTIMES` that is loaded; `device`:
          "GPU", if it computes on one, else "CPU".
    """

    @lru_cache(_DECODED)
    def pixels(path: str) -> np.ndarray:
        return read_image(path, job.deep_grey)

    def batch_of(call: int) -> np.ndarray:
        places = range(call * job.batch, (call + 1) * job.batch)
        return np.stack([pixels(job.images[place % len(job.images)]) for place in places])

    started = time.perf_counter()
    segment = open_artefact(job)
    open_seconds, memory_opened = time.perf_counter() - started, peak_memory()
    images = batch_of(0)
    results, first_seconds = _timed(segment, images)
    for _ in range(job.warm_up - 1):
        segment(images)
    seconds = []
    for call in range(job.calls):
        results, taken = _timed(segment, batch_of(call))
        seconds.append(taken)
        if job.keep:
            _keep(results[0].segment_map, folder / f"{call}.npz")
        print(call + 1, flush=True)
    return {
        "seconds": seconds,
        "first_seconds": first_seconds,
        "open_seconds": open_seconds,
        "memory_opened": memory_opened,
        "memory_peak": peak_memory(),
        "categories": results[0].categories.to_json(),
        "runtime": _runtime(),
        "device": _device(),
    }


def _runtime() -> dict[str, str]:
    installed = describe_environment(devices=False)["packages"]
    loaded = {module: packages for module, packages in RUNTIMES.items() if module in sys.modules}
    return {module: installed[name] for module, packages in loaded.items() for name in packages if name in installed}


def _device() -> str:
    tensorflow = sys.modules.get("tensorflow")
    return "GPU" if tensorflow is not None and tensorflow.config.get_visible_devices("GPU") else "CPU"


def _timed(segment: Segment, images: np.ndarray) -> tuple[list[PanopticResult], float]:
    started = time.perf_counter()
    results = segment(images)
    return results, time.perf_counter() - started


def _keep(segment_map: SegmentMap, path: Path) -> None:
    np.savez_compressed(path, ids=segment_map.ids, segments=segment_map.segments)


def kept(path: Path) -> SegmentMap:
    """A segment map that a worker has written."""
    with np.load(path) as parts:
        return SegmentMap(parts["ids"], parts["segments"])


def open_format(job: Job) -> Segment:
    """The artefact of a format of `FORMATS` as a function of images.

    Raises:
        InputError: it takes one image at a time, and the job has batches.
    """
    record = FORMATS[job.format]
    if job.batch == 1:
        segment = record.open(job.path, job.threads)
        return lambda images: [segment(images[0])]
    if record.open_batch is None:
        raise InputError(f"{job.path}: {job.format} takes one image at a time, found batches of {job.batch}")
    return record.open_batch(job.path, job.threads)


def main(others: Mapping[str, Callable[[Job], Segment]] | None = None) -> None:
    """Does the job of the command line; what the person gave wrong goes into the answer, all else ends the process.

    Args:
        others: name -> what opens a job's artefact, of those that are no format of `FORMATS`.
    """
    path = Path(sys.argv[1])
    job = Job(**json.loads(path.read_text(encoding="utf-8")))
    try:
        answer = run_job(job, path.parent, (others or {}).get(job.format, open_format))
    except InputError as error:
        answer = {"input_error": str(error)}
    except WorkFailed as error:
        answer = {"work_failed": str(error)}
    except MemoryError:
        answer = {"out_of_memory": True}
    (path.parent / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
