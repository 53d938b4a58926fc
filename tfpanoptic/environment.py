"""What a result depends on beside its configuration: versions, machine, devices."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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
    "onnxruntime",
)


def describe_environment(devices: bool = True) -> dict:
    """Versions of what is installed, the Keras backend, cores and devices; no names of users or machines.

    Args:
        devices: whether to ask the backend for its devices, which imports it and takes seconds. Without it they are
            None, and the backend is the one that Keras would take: whether it can be imported is not tried.
    """
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
        **(_backend() if devices else {"keras_backend": _chosen_backend(), "devices": None}),
        "packages": packages,
    }


def _chosen_backend() -> str:
    """The backend that Keras takes: of the variable, else of its file, else TensorFlow.

    Source: Keras 3.15, `keras/src/backend/config.py`.
    """
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = Path(os.environ.get("KERAS_HOME") or Path("~").expanduser() / ".keras")
    try:
        return str(json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


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


def cpu_model() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
