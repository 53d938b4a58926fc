"""Packaging of tfpanoptic; the settings of the tools are in pyproject.toml."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "tfpanoptic/version.py").read_text(encoding="utf-8"))[1]
NOTEBOOK = ["nbclient>=0.10", "nbformat>=5.10", "ipykernel>=6.29"]
VIZ = ["matplotlib>=3.8"]
LITE = ["ai-edge-litert>=1.4"]
LITERT = ["ai-edge-quantizer>=0.10"]  # asks for the ai-edge-litert that it fits
TFDS = ["tensorflow-datasets>=4.9.10", "importlib_resources"]  # it imports the latter and does not ask for it
ONNX = ["onnx>=1.17", "onnxruntime>=1.20", "tf2onnx>=1.17"]


class BuildWithConfigs(build_py):
    """Puts `configs/` into the wheel, beside the modules, where presets look for them."""

    def run(self):
        """Builds the modules, then copies the configurations."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "tfpanoptic" / "configs"
            shutil.rmtree(target, ignore_errors=True)  # a build before this one may have left renamed files
            shutil.copytree(HERE / "configs", target)


setup(
    name="tfpanoptic",
    cmdclass={"build_py": BuildWithConfigs},
    version=VERSION,
    description="Panoptic segmentation for Keras 3 and TensorFlow: train, measure, deploy",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    # Said explicitly, it makes an editable install a plain path. Else a script beside a clone of the same name imports
    # the clone's folder as an empty namespace, for setuptools' finder comes behind Python's own.
    package_dir={"": "."},
    packages=find_packages(include=["tfpanoptic", "tfpanoptic.*"]),
    package_data={
        "tfpanoptic": [
            "py.typed",
            "demo.yaml",
            "report/*.css",
            "report/*.js",
            "backbones/weights/*",
            "data/bundled/**/*",
        ]
    },
    install_requires=[
        "keras>=3.12",
        "numpy>=1.26",
        "pillow>=10.3",
        "pycocotools>=2.0.8,<3",
        "pydantic>=2.7",
        "pyyaml>=6.0",
        "rich>=14.1",
        "safetensors>=0.4.5",
        "typer>=0.15",
    ],
    extras_require={
        "cpu": ["tensorflow-cpu>=2.20"],
        "gpu": ["tensorflow[and-cuda]>=2.20"],
        "viz": VIZ,
        "lite": LITE,
        "litert": LITERT,
        "onnx": ONNX,
        "beam": ["apache-beam>=2.77"],
        "tfds": TFDS,
        "dev": [
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff>=0.12",
            "mypy>=1.16",
            "types-PyYAML",
            "build>=1.2",
            "jax>=0.6",
            "supervision>=0.31",
            *VIZ,
            *LITERT,
            *ONNX,
            *NOTEBOOK,
        ],
    },
    entry_points={"console_scripts": ["tfpanoptic = tfpanoptic.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
