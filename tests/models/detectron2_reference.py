"""Panoptic FPN filled with the weights of the Detectron2 fixtures, and the fixtures' inputs."""

import importlib.util
import json
from functools import cache
from pathlib import Path

import keras
import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.convert.detectron2 import load_variables
from tfpanoptic.models.panoptic_fpn import PanopticFPNConfig, build

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDER = FIXTURES / "detectron2" / "panoptic_fpn_r50"
TRAINING = FIXTURES / "detectron2" / "panoptic_fpn_r50_training"
# Detectron2's (x0, y0, x1, y1) and (dx, dy, dw, dh) to ours, and back.
XY = [1, 0, 3, 2]
CONFIG = PanopticFPNConfig.model_validate({"backbone": {"name": "resnet50", "stride_on": "1x1", "max_pool": True}})
# COCO's 80 things and 53 stuff categories.
CATEGORIES = CategoryTable(tuple(Category(i, f"category{i}", i <= 80, (0, 0, 0), i) for i in range(1, 134)))


@cache
def seeded_weights():
    spec = importlib.util.spec_from_file_location("seeded_weights", FIXTURES / "deeplab2" / "seeded_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    described = json.loads((FOLDER / "variables.json").read_text())["variables"]
    return {entry["name"]: module.seeded_array(entry["name"], entry["shape"]) for entry in described}


def networks():
    """Both networks, filled through the converter."""
    made = build(CONFIG, CATEGORIES)
    load_variables(made.infer, seeded_weights())
    return made


def image(seed, height, width):
    """An image of the fixtures as RGB, float32 [height, width, 3]."""
    bgr = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (3, height, width)).astype("float32")
    return bgr[::-1].transpose(1, 2, 0)


def channels_last(array):
    """[C, h, w] -> [h, w, C]."""
    return array.transpose(1, 2, 0)


def trunk(network):
    """image, valid_size -> the pyramid's levels and the semantic logits."""
    inputs = {name: network.input[name] for name in ("image", "valid_size")}
    outputs = {"levels": network.get_layer("fpn").output, "semantic": network.get_layer("semantic_fpn").output}
    return keras.Model(inputs, outputs)
