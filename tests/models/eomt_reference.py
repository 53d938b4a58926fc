"""EoMT filled with the weights of the fixtures, and the fixtures' inputs."""

import importlib.util
import json
from functools import cache
from pathlib import Path

import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.convert.eomt import load_variables
from tfpanoptic.models.eomt import EoMTConfig, build

FOLDER = Path(__file__).parents[1] / "fixtures" / "eomt"
NAMES = (
    "tiny_dinov2",
    "tiny_dinov3",
    "tiny_dinov2_wide",
    "tiny_dinov3_wide",
    "small_coco_dinov2",
    "small_coco_dinov3",
)
_SPEC = importlib.util.spec_from_file_location("eomt_recipe", FOLDER / "recipe.py")
recipe = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(recipe)


@cache
def described(name):
    return json.loads((FOLDER / name / "variables.json").read_text())


def config(name) -> EoMTConfig:
    """The configuration of a fixture's network, which masks all attention until step 10."""
    fixture = described(name)
    blocks = fixture["query_blocks"]
    return EoMTConfig.model_validate(
        {
            "backbone": {
                "name": "vit_small",
                "form": fixture["kind"],
                "positions": [fixture["height"] // 16, fixture["width"] // 16],
                "rescale": 1.0,
                "width": fixture["hidden_size"],
                "depth": fixture["layers"],
                "heads": fixture["heads"],
            },
            "queries": fixture["queries"],
            "query_blocks": blocks,
            "masked_attention": {"starts": [10] * blocks, "ends": [20] * blocks},
        }
    )


def categories(name) -> CategoryTable:
    """As many categories as the fixture's network has classes; the stuff of its panoptic results are the last ones."""
    fixture = described(name)
    stuff = fixture.get("panoptic", {}).get("stuff", ())
    return CategoryTable(
        tuple(Category(i + 1, f"category{i}", i not in stuff, (0, 0, 0), i + 1) for i in range(fixture["classes"]))
    )


def variables(name):
    """Name -> array of the fixture's network, in PyTorch's layout."""
    return {entry["name"]: recipe.weight(entry["name"], entry["shape"]) for entry in described(name)["variables"]}


@cache
def networks(name):
    """Both networks, filled through the converter."""
    made = build(config(name), categories(name))
    load_variables(made.train, variables(name))
    return made


@cache
def outputs(name):
    """The arrays of the fixture."""
    return dict(np.load(FOLDER / name / "outputs.npz"))


def inputs(name, training=False):
    """Inputs of a network of the fixture by name; step 0, at which all attention is masked."""
    fixture = described(name)
    batch, size = fixture["batch"], (fixture["height"], fixture["width"])
    given = {
        "image": recipe.image(fixture["image_seed"], batch, *size),
        "valid_size": np.tile(np.array([size], "int32"), (batch, 1)),
    }
    if training:
        given |= {"seed": np.zeros((batch, 2), "int32"), "step": np.zeros(batch, "int32")}
    return given
