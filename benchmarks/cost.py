"""What a model costs for one image: parameters, multiply-adds, and seconds of the network and of the whole.

`python benchmarks/cost.py [MODEL ...]` prints a table; a model is a configuration of `configs/`, whose weights are
random here. Multiply-adds are those of the network, as it carries them out (`multiply_adds.py`). The whole is the graph
of `segment`, from the pixels of an image to the segments at its own size. Thresholds of post-processing are lowered, so
that every place for an instance is taken, which is the most that it can cost. Seconds are the least of `--runs` calls:
of wall time, which others on the machine lengthen, and of processor time, the sum over the cores, which they hardly do.
Each model runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CONFIGS = Path(__file__).parents[1] / "configs"
MODELS = (
    "panoptic_fpn/resnet50_coco.yaml",
    "upsnet/resnet50_coco.yaml",
    "deeperlab/xception71_coco.yaml",
    "deeperlab/wider_mobilenet_v2_coco.yaml",
    "panoptic_deeplab/resnet50_os32_coco.yaml",
    "panoptic_deeplab/xception71_coco.yaml",
    "panoptic_deeplab/mobilenet_v3_large_os16_cityscapes.yaml",
    "axial_deeplab/axial_deeplab_s_coco.yaml",
    "axial_deeplab/axial_deeplab_l_coco.yaml",
    "eomt/small_640_coco.yaml",
    "eomt/base_640_coco.yaml",
    "eomt/large_640_coco.yaml",
)
# An image keeps the size that is asked for, but for the pixels that the grid adds.
AS_IT_IS = [f"input.{key}=null" for key in ("long_side", "short_side", "max_long_side", "pad_to")]
# So low that all places are taken.
LOWERED = {
    "axial_deeplab": {"center_threshold": 0},
    "deeperlab": {"keypoint_threshold": 0, "instance_score": 0},
    "eomt": {"score": 0},
    "panoptic_deeplab": {"center_threshold": 0},
    "panoptic_fpn": {"detection_score": 0, "instance_score": 0},
    "upsnet": {"detection_score": 0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, help="Paths below configs/.")
    parser.add_argument("--size", default="640x640", help="HEIGHTxWIDTH of the image.")
    parser.add_argument("--runs", type=int, default=5, help="Calls that are timed; 0 only counts.")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)  # of one model, in its own process
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    if arguments.json:
        print(json.dumps(cost(arguments.models[0], (height, width), arguments.runs)))
        return
    print(
        f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"load {os.getloadavg()[0]:.1f}, {date.today()}; an image of {height} x {width}"
    )
    print(f"{'':58s} {'parameters':>11s} {'GMAC':>7s}   {'network: wall (cores)':24s} {'whole: wall (cores)':24s}")
    for model in arguments.models:
        command = [sys.executable, __file__, model, "--size", arguments.size, "--runs", str(arguments.runs), "--json"]
        finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        print_row(model, json.loads(finished.stdout.splitlines()[-1]))


def print_row(model: str, row: dict) -> None:
    times = "".join(
        f"   {row[part][0]:6.2f} s ({row[part][1]:6.2f} s)   " for part in ("network", "whole") if part in row
    )
    print(f"{model:58s} {row['parameters']:11,d} {row['multiply_adds'] / 1e9:7.1f}{times}", flush=True)


def cost(model: str, size: tuple[int, int], runs: int) -> dict:
    """`parameters` that training may change, `multiply_adds`, and wall and processor time of `network` and `whole`."""
    import keras
    import numpy as np
    import tensorflow as tf
    from multiply_adds import count_multiply_adds

    from tfpanoptic import PanopticSegmenter
    from tfpanoptic.data.input_size import prepare_batch
    from tfpanoptic.inference import segmenting_function

    keras.utils.set_random_seed(0)
    segmenter = PanopticSegmenter.from_yaml(CONFIGS / model, [*AS_IT_IS, *lowered(model)])
    network, experiment = segmenter.infer_network, segmenter.experiment
    for weight in network.weights:
        # Blocks that add little, as in a trained network; else scores overflow, and nothing is detected.
        if weight.path.endswith("_conv3/batch_norm/gamma"):
            weight.assign(0.2 * weight)
    photo = tf.constant(np.random.default_rng(0).integers(0, 256, (1, *size, 3)), tf.uint8)
    image, valid_size = prepare_batch(photo, experiment.input, experiment.grid)
    counted = count_multiply_adds(lambda: network({"image": image, "valid_size": valid_size}, training=False))
    parameters = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    row = {"parameters": parameters, "multiply_adds": sum(counted.values())}
    if not runs:
        return row

    @tf.function(autograph=False)
    def outputs(image, valid_size):
        return network({"image": image, "valid_size": valid_size}, training=False)

    whole = segmenting_function(network, experiment, segmenter.categories)
    times = fastest({"network": lambda: outputs(image, valid_size), "whole": lambda: whole(photo)}, runs)
    return row | times


def lowered(model: str) -> list[str]:
    """The lowered thresholds as settings."""
    return [f"model.postprocess.{key}={value}" for key, value in LOWERED[model.split("/")[0]].items()]


def fastest(functions: dict, runs: int) -> dict[str, tuple[float, float]]:
    """Least wall and processor time of each function in seconds; every round calls each once, the first traces."""
    import tensorflow as tf

    times: dict[str, list] = {name: [] for name in functions}
    for _ in range(runs + 1):
        for name, function in functions.items():
            start = time.perf_counter(), time.process_time()
            tf.nest.map_structure(lambda result: result.numpy().ravel()[:1], function())
            times[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return {name: tuple(min(column) for column in zip(*values[1:])) for name, values in times.items()}


if __name__ == "__main__":
    main()
