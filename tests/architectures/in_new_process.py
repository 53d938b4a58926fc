"""Loads what was saved, in a process that made none of it: first without Keras and this package, then with them.

Usage: in_new_process.py FOLDER. It holds saved_model, model.keras and image.npy, and gets served.npz and reloaded.npz.
"""

import sys
from pathlib import Path

import numpy as np

BLOCKED = ("keras", "tfpanoptic")


def main(folder: Path) -> None:
    for module in BLOCKED:
        sys.modules[module] = None
    import tensorflow as tf

    serve = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    image = tf.constant(np.load(folder / "image.npy")[None])
    served = serve(image=image)
    served |= {f"{key}_of_none": value for key, value in serve(image=image[:0]).items()}
    np.savez(folder / "served.npz", **{key: value.numpy() for key, value in served.items()})
    for module in BLOCKED:
        del sys.modules[module]
    import keras

    import tfpanoptic  # noqa: F401  Keras finds the class of a file where the package is imported
    from tests.architectures import toy

    toy.register()
    model = keras.models.load_model(folder / "model.keras")
    outputs = model(np.load(folder / "image.npy")[None])
    np.savez(folder / "reloaded.npz", **{key: value.numpy() for key, value in outputs.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
