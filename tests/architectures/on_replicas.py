"""Trains every architecture on two replicas, in the loop and by `fit`.

Usage: on_replicas.py FOLDER. FOLDER/NAME/start.safetensors is where `fit` starts; FOLDER/NAME/mirrored gets the run of
the loop, FOLDER/NAME/fit.safetensors and fit.json what `fit` left.
"""

import json
import sys
from pathlib import Path

import tensorflow as tf

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

from tests.architectures.experiments import MODELS, experiment, fit_two_steps, segmenter  # noqa: E402
from tfpanoptic.train.loop import train  # noqa: E402
from tfpanoptic.train.strategy import make_strategy  # noqa: E402


def main(folder: Path) -> None:
    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2
    for name in MODELS:
        train(experiment(name), folder / name / "mirrored", strategy)
        with strategy.scope():
            model = segmenter(name, folder / name / "start.safetensors")
            history = fit_two_steps(model)
        model.save_weights_file(folder / name / "fit.safetensors")
        (folder / name / "fit.json").write_text(json.dumps(history))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
