"""Latency of what is exported: LiteRT beside the SavedModel, and what the SavedModel adds to its network.

`python benchmarks/deployment.py [MODEL ...]` prints medians over `--runs` rounds. A model is a run folder, a preset or
a configuration of `configs/`, whose weights are then random. Each file runs in a process of its own, with equally many
threads, and every round calls each once, so that a busy machine slows all. Wall time and, in brackets, processor time
of all threads. Ratios of one run can be compared; times of two runs on a shared machine cannot.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CONFIGS = Path(__file__).parents[1] / "configs"
MODELS = ("panoptic_deeplab/resnet50_os32_coco.yaml", "panoptic_fpn/resnet50_coco.yaml")
SIZE = "641x641"
FUNCTIONS = ("result", "default", "logits", "bytes", "codec")


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        return serve(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--size", default=SIZE, help="HEIGHTxWIDTH of the photo.")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quantize", nargs="*", default=["none", "int8"], help="Of the LiteRT files.")
    arguments = parser.parse_args()
    print(f"{arguments.threads} threads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    height, width = map(int, arguments.size.split("x"))
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            files = exported(name, (height, width), arguments.quantize, Path(folder))
            print_model(name, files, arguments.runs, arguments.threads)


def exported(name: str, size: tuple[int, int], precisions: list[str], folder: Path) -> dict[str, Path]:
    """The SavedModel, the LiteRT files, for any size and for the photo's, and the photo, by what they are."""
    import keras

    from tfpanoptic import PanopticSegmenter
    from tfpanoptic.data.sets.nuclei import nuclei
    from tfpanoptic.export import FORMATS
    from tfpanoptic.photo.pixels import read_image
    from tfpanoptic.settings.sizes import network_size

    photo = Image.fromarray(read_image(nuclei("val").records[0].image_path)).resize((size[1], size[0]))
    photo.save(folder / "photo.png")
    keras.utils.set_random_seed(0)
    if (CONFIGS / name).is_file():
        # Photos keep the size that was asked for, but for the pixels that the grid adds.
        sizes = [f"input.{key}=null" for key in ("long_side", "short_side", "max_long_side", "pad_to")]
        model = PanopticSegmenter.from_yaml(CONFIGS / name, sizes)
    else:
        model = PanopticSegmenter.from_preset(name)
    fixed = network_size(*size, model.experiment.input, model.experiment.grid)
    files = {"photo": folder / "photo.png", "SavedModel": folder / "saved"}
    FORMATS["saved_model"].write(model, files["SavedModel"])
    for precision in precisions:
        for kind, sides in (("any size", None), ("fixed", fixed)):
            path = folder / f"{precision}_{kind.split()[0]}.tflite"
            photos = [np.asarray(photo)] if precision == "int8" else None
            FORMATS["litert"].write(model, path, size=sides, quantize=precision, calibration=photos)
            files[f"LiteRT {precision}, {kind}"] = path
    return files


def print_model(name: str, files: dict[str, Path], runs: int, threads: int) -> None:
    photo = files.pop("photo")
    servers = {kind: Server(path, photo, threads) for kind, path in files.items()}
    calls = [(kind, "result") for kind in servers] + [("SavedModel", function) for function in FUNCTIONS[1:]]
    taken: dict[tuple[str, str], list] = {call: [] for call in calls}
    for _ in range(runs):
        for kind, function in calls:
            taken[kind, function].append(servers[kind].call(function))
    median = {call: np.median(times, axis=0) for call, times in taken.items()}
    print(
        f"{name}, {Image.open(photo).size[1]} x {Image.open(photo).size[0]}, {servers['SavedModel'].segments} segments:"
    )
    reference = median["SavedModel", "result"]
    for kind in servers:
        wall, processor = median[kind, "result"]
        ratios = np.array([wall, processor]) / reference
        print(
            f"  {kind:22s} {wall:8.1f} ms ({processor:8.1f}), {ratios[0]:5.2f} ({ratios[1]:5.2f}) x the SavedModel, "
            f"{size_of(files[kind]) / 1e6:6.1f} MB"
        )
    share = median["SavedModel", "default"] / median["SavedModel", "logits"] - 1.0
    print(f"  SavedModel: post-processing {100 * share[0]:5.1f} % ({100 * share[1]:5.1f} %) of the network's time")
    parts = [median["SavedModel", function] for function in ("bytes", "default", "codec")]
    more = parts[0] - parts[1] - parts[2]
    print(f"  SavedModel: bytes {more[0]:5.1f} ms ({more[1]:5.1f}) beyond images, decoding and encoding")
    start = servers["SavedModel"].start
    print(
        f"  SavedModel: importing TensorFlow {start['import']:5.2f} s ({start['import_processor']:5.2f}), "
        f"loading and the first result {start['first']:5.2f} s ({start['first_processor']:5.2f})"
    )
    for server in servers.values():
        server.process.communicate()


def size_of(path: Path) -> int:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")))


class Server:
    """A process that holds one exported model.

    Attributes:
        start: seconds that it took to begin.
        segments: of the photo.
    """

    def __init__(self, path: Path, photo: Path, threads: int):
        command = [sys.executable, __file__, "--serve", str(path), str(photo), str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        answer = self._answer()
        self.start, self.segments = answer["start"], answer["segments"]

    def call(self, function: str) -> tuple[float, float]:
        """Wall and processor time of one call in ms."""
        print(function, file=self.process.stdin, flush=True)
        return tuple(self._answer())

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended")
        return json.loads(line)


def serve(path: str, photo: str, threads: str) -> None:
    """Says how long it took to begin, then calls the function that each line names and says how long it took."""
    saved = Path(path).is_dir()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    image = np.asarray(Image.open(photo))
    importing = clocks()
    if saved:
        import tensorflow  # noqa: F401
    opening = clocks()
    from tfpanoptic.export import FORMATS

    if saved:
        batch = FORMATS["saved_model"].open_batch(path, int(threads))

        def result(image):
            return batch(image[None])[0]

    else:
        result = FORMATS["litert"].open(path, int(threads))
    first = result(image)
    done = clocks()
    start = dict(zip(("import", "import_processor"), opening - importing, strict=True))
    start |= dict(zip(("first", "first_processor"), done - opening, strict=True))
    print(json.dumps({"start": start, "segments": len(first.segments_info)}), flush=True)
    functions = {"result": lambda: result(image)}
    if saved:
        functions |= signatures(batch.loaded, image)
    for function in functions.values():
        function()
    for line in sys.stdin:
        before = clocks()
        functions[line.strip()]()
        print(json.dumps([1e3 * taken for taken in clocks() - before]), flush=True)


def signatures(loaded, image: np.ndarray) -> dict:
    """Functions of the SavedModel's signatures, and decoding and encoding alone."""
    import tensorflow as tf

    signature, images = loaded.signatures, tf.constant(image[None])
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=95)
    content = stream.getvalue()
    png = signature["serve_bytes"](image_bytes=tf.constant([content]))["panoptic_png_bytes"][0]
    segments = tf.io.decode_png(png)

    @tf.function
    def codec(content, segments):
        return tf.io.decode_jpeg(content), tf.io.encode_png(segments)

    functions = {
        "default": lambda: signature["serving_default"](image=images),
        "logits": lambda: signature["logits"](image=images),
        "bytes": lambda: signature["serve_bytes"](image_bytes=tf.constant([content])),
        "codec": lambda: codec(tf.constant(content), segments),
    }
    return {name: lambda function=function: finished(function()) for name, function in functions.items()}


def finished(results) -> None:
    """Waits for the results."""
    import tensorflow as tf

    tf.nest.map_structure(lambda result: result.numpy(), results)


def clocks() -> np.ndarray:
    """Wall time and processor time of all threads, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    main()
