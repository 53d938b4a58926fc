"""Who may import whom: the rules of docs/architecture.md, section 3. Each test lists all offenders."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tfpanoptic"

# The ground, which anything may import, then every part with what it may import beside the ground and itself.
GROUND = {
    "keras_objects",
    "errors",
    "version",
    "panoptic_map",
    "json_entry",
    "atomic",
    "progress",
    "rle",
    "compiled",
    "threads",
}
STRUCTURES = {"categories", "segment_map"}
MAY_IMPORT = {
    **{part: set() for part in GROUND},
    "categories": set(),
    "segment_map": {"categories"},
    "settings": set(),
    "validation_pq": set(),
    "environment": set(),
    "ops": set(),
    "layers": {"ops"},
    "backbones": {"layers", "settings"},
    "losses": {"ops"},
    "postprocess": {"ops", "architecture"},
    "targets": set(),
    "metrics": {"categories", "ops"},
    "architecture": {"settings"},
    "category_match": {"architecture", "categories"},
    "oracles": {"architecture", "backbones", "ops"},
    "models": {
        "architecture",
        "backbones",
        "categories",
        "layers",
        "losses",
        "ops",
        "oracles",
        "postprocess",
        "settings",
        "targets",
    },
    "photo": {"settings"},
    "data": STRUCTURES | {"photo", "settings"},
    "visualize": STRUCTURES,
    "adapters": STRUCTURES,
    "result": STRUCTURES | {"adapters", "visualize"},
    "lite": STRUCTURES | {"photo", "result", "settings"},
    "evaluation": STRUCTURES | {"data", "photo"},
    "report": STRUCTURES | {"data", "evaluation", "photo", "visualize"},
}
# These may import the parts above and those before them in this order.
TOP = (
    "experiment",
    "weights",
    "views",
    "inference",
    "run_folder",
    "convert",
    "presets",
    "keras_arguments",
    "export",
    "segmenter",
    "doctor",
    "predict",
    "tune",
    "bench",
    "train",
    "cli",
    "__main__",
)
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules(nodes) -> set[str]:
    """Modules that import statements among the nodes name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            if node.module == "tfpanoptic":
                found |= {f"tfpanoptic.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def parts_used(path: Path) -> set[str]:
    """Parts of ours that a file imports, anywhere in it."""
    return {name.split(".")[1] for name in modules(ast.walk(TREES[path])) if name.startswith("tfpanoptic.")}


def allowed(part: str) -> set[str]:
    if part == "__init__":
        return {*MAY_IMPORT, *TOP} - {"cli", "__main__"}
    return {*MAY_IMPORT, *TOP[: TOP.index(part)]} if part in TOP else MAY_IMPORT[part]


def test_every_part_of_the_package_has_its_rule():
    assert {part_of(path) for path in FILES} <= {*MAY_IMPORT, *TOP, "__init__"}


def test_a_file_imports_only_what_its_part_may():
    offenders = {}
    for path in FILES:
        part = part_of(path)
        beyond = parts_used(path) - allowed(part) - GROUND - {part}
        if beyond:
            offenders[str(path.relative_to(PACKAGE))] = beyond
    assert not offenders


def test_no_file_is_longer_than_400_lines():
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_no_import_is_relative():
    relative = {
        str(p) for p, tree in TREES.items() for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level
    }
    assert not relative


@pytest.mark.parametrize("folder", ["ops", "layers", "backbones", "losses", "postprocess", "models"])
def test_networks_import_tensorflow_nowhere_at_the_top(folder):
    """They run on the other backends in processes that have no TensorFlow."""
    offenders = [
        path
        for path in FILES
        if part_of(path) == folder and any(name.split(".")[0] == "tensorflow" for name in modules(TREES[path].body))
    ]
    assert not offenders


def test_only_ops_ask_for_the_backend():
    """Backend branches live in one place; the environment report only prints its name."""
    asking = {part_of(path) for path in FILES if "backend.backend()" in path.read_text(encoding="utf-8")}
    assert asking <= {"ops", "environment"}


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, tfpanoptic; heavy = {'tensorflow', 'keras', 'matplotlib', 'pycocotools', 'typer', 'tensorboard'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
