"""What `keras.saving.load_model` finds of this package before any of it is loaded.

Keras looks for the class of a saved object among those that are registered, and a class registers itself where its
module is imported. `import tfpanoptic` imports neither these modules nor Keras. So stand-ins are registered, as soon
as both are there, in either order; the first use of one imports the module, which puts the class itself in its place.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "tfpanoptic"


class StandIn:
    """Registered in place of a class that is not imported yet: all that Keras asks of it is an object.

    Args:
        module, name: where the class is.
    """

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def from_config(self, config: dict) -> Any:
        """An object of the class."""
        return getattr(import_module(self.module), self.name).from_config(config)


def register_with_keras(homes: dict[str, str]) -> None:
    """Registers stand-ins, at once if Keras is imported, else as soon as it is.

    Args:
        homes: class -> its module within the package.
    """
    if "keras" in sys.modules and hasattr(sys.modules["keras"], "saving"):
        _register(homes)
    else:
        sys.meta_path.insert(0, _AfterKeras(homes))


def _register(homes: dict[str, str]) -> None:
    objects = sys.modules["keras"].saving.get_custom_objects()
    for name, module in homes.items():
        objects.setdefault(f"{PACKAGE}>{name}", StandIn(f"{PACKAGE}.{module}", name))


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Registers at the end of the import of Keras, and is gone then."""

    def __init__(self, homes: dict[str, str]):
        self._homes = homes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        loader = spec.loader if spec is not None else None
        if loader is not None and hasattr(loader, "exec_module"):
            execute = loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register(self._homes)

            loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
