"""Who may import whom: the rules of docs/architecture.md, section 3."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tfpanoptic"

# Parts that know nothing of the others, then every part with what it may import beside them and itself.
ANYWHERE = {"errors", "panoptic_map", "json_entry", "atomic", "progress"}
STRUCTURES = {"categories", "segment_map", "config"}
NETWORKS = {"ops", "layers", "backbones", "losses", "postprocess", "targets", "metrics", "models", "architecture"}
DATA = {"data", "visualize", "result", "evaluation"}
MAY_IMPORT = {
    "errors": set(),
    "panoptic_map": set(),
    "json_entry": set(),
    "atomic": set(),
    "progress": set(),
    "categories": set(),
    "config": set(),
    "segment_map": {"categories"},
    "environment": set(),
    "ops": set(),
    "layers": {"ops"},
    "backbones": {"layers", "ops"},
    "losses": {"ops", "categories"},
    "postprocess": {"ops", "categories"},
    "targets": {"categories"},
    "metrics": {"categories"},
    "architecture": STRUCTURES,
    "models": STRUCTURES | NETWORKS,
    "data": STRUCTURES,
    "visualize": {"segment_map", "categories"},
    "result": {"segment_map", "categories", "visualize"},
    "evaluation": STRUCTURES | (NETWORKS - {"models", "architecture"}) | DATA,
}
# These may import anything but the command line.
TOP = {"experiment", "segmenter", "inference", "prediction", "weights", "run_folder", "train", "export", "convert"}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """First parts of the modules of ours that a file imports, anywhere in it, but for type checking."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("tfpanoptic.")}
        if isinstance(node, ast.ImportFrom) and node.module == "tfpanoptic":
            found |= {alias.name for alias in node.names}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
    return found


def test_every_part_of_the_package_has_its_rule():
    parts = {part_of(path) for path in FILES}
    assert parts - set(MAY_IMPORT) - TOP == {"__init__", "cli"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_part_may(path):
    part = part_of(path)
    used = imports(path) - {part} - ANYWHERE
    if part == "cli":
        return
    if part == "__init__" or part in TOP:
        assert "cli" not in used
    else:
        assert used <= MAY_IMPORT[part], f"{path.name} imports {used - MAY_IMPORT[part]}"


@pytest.mark.parametrize("folder", ["ops", "layers", "backbones", "losses", "postprocess", "models"])
def test_networks_import_tensorflow_nowhere_at_the_top(folder):
    """They run on the other backends in processes that have no TensorFlow."""
    for path in (PACKAGE / folder).rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.split(".")[0] == "tensorflow" for name in names), path


def test_only_ops_ask_for_the_backend():
    """Backend branches live in one place; the environment report only prints its name."""
    asking = {part_of(path) for path in FILES if "backend.backend()" in path.read_text(encoding="utf-8")}
    assert asking <= {"ops", "environment"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_longer_than_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_importing_the_package_loads_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, tfpanoptic; heavy = {'tensorflow', 'keras', 'matplotlib', 'pycocotools', 'typer', 'tensorboard'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
