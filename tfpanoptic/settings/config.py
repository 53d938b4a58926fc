"""Strict configuration: YAML in, pydantic models out, and every mistake told in one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import pydantic
import yaml

from tfpanoptic.errors import InputError


class StrictConfig(pydantic.BaseModel):
    """Base of all configuration: unknown keys are refused, values are checked and frozen."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _yes_is_no_number(cls, data: Any) -> Any:
        """YAML's yes, no, true and false are refused where a number belongs; pydantic would read 1 and 0."""
        for name, value in data.items() if isinstance(data, dict) else ():
            field = cls.model_fields.get(name)
            if field is not None and isinstance(value, bool):
                kinds = {field.annotation, *get_args(field.annotation)}
                if kinds & {int, float} and bool not in kinds:
                    raise ValueError(f"{name}: expected a number, found {value}")
        return data


Config = TypeVar("Config", bound=pydantic.BaseModel)


def read_yaml(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping of a YAML file, after the `key.path=value` overrides.

    Raises:
        InputError: no such file, not YAML, not a mapping, or an override without `=`.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a YAML configuration") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping of settings, found {type(data).__name__}")
    for override in overrides:
        set_value(data, override)
    return data


def set_value(data: dict[str, Any], override: str) -> None:
    """Sets `key.path=value` in a nested mapping; the value is read as YAML.

    Raises:
        InputError: no `=`, or a part of the path that is not a mapping.
    """
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"override {override!r}: expected key.path=value")
    for key in keys[:-1]:
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise InputError(f"override {override!r}: {key} is a value, not a group of settings")
    try:
        data[keys[-1]] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"override {override!r}: the value is not valid YAML") from None


def validate(schema: type[Config], data: Any, origin: str, prefix: str = "") -> Config:
    """`data` as an instance of `schema`.

    Args:
        origin: the file's name, for messages.
        prefix: where in the file `data` stands, such as `model`.

    Raises:
        InputError: one line with the file, the key, the value found and what was expected.
    """
    try:
        return schema.model_validate(data)
    except pydantic.ValidationError as error:
        raise InputError(f"{origin}: " + "; ".join(_line(e, schema, prefix) for e in error.errors()[:5])) from None


def _line(error: Any, schema: type[pydantic.BaseModel], prefix: str) -> str:
    where = ".".join([prefix] * bool(prefix) + [str(part) for part in error["loc"]])
    if error["type"] == "extra_forbidden":
        known = _known_keys(schema, error["loc"][:-1])
        return f"unknown key {where}" + (f"; known here: {', '.join(known)}" if known else "")
    if error["type"] == "missing":
        return f"{where} is missing"
    found = error["input"]
    return f"{where}: {error['msg'].removeprefix('Value error, ')}" + (
        "" if isinstance(found, dict) else f", found {found!r}"
    )


def _known_keys(schema: Any, path: Sequence[Any]) -> list[str]:
    """Fields of the sub-model at `path`, empty where the path leaves the models (a list, a union)."""
    for key in path:
        field = getattr(schema, "model_fields", {}).get(key)
        if field is None:
            return []
        schema = field.annotation
    return list(getattr(schema, "model_fields", {}))
