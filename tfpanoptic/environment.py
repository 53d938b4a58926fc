"""What a result depends on beside its configuration: versions, machine, devices."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from tfpanoptic.version import __version__

_PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "torch",
    "numpy",
    "pillow",
    "pydantic",
    "safetensors",
    "pycocotools",
    "matplotlib",
    "ai-edge-litert",
)


def describe_environment() -> dict:
    """Versions of what is installed, the Keras backend, cores and devices; no names of users or machines."""
    packages = {"tfpanoptic": __version__}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        **_backend(),
        "packages": packages,
    }


def _backend() -> dict:
    """The Keras backend and its devices; says so where the backend is not installed."""
    try:
        import keras

        backend, devices = keras.backend.backend(), []
        if backend == "tensorflow":
            import tensorflow as tf

            devices = [device.name.split("physical_device:")[-1] for device in tf.config.list_physical_devices()]
        return {"keras_backend": backend, "devices": devices}
    except ImportError as error:
        return {"keras_backend": f"cannot be imported: {error}", "devices": []}
