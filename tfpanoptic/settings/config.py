"""Strict configuration: YAML in, pydantic models out, and every mistake told in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import pydantic
import yaml
from pydantic_core import core_schema

from tfpanoptic.errors import InputError


class StrictConfig(pydantic.BaseModel):
    """Base of all configuration: unknown keys are refused, values are checked and frozen."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

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


class Named:
    """Annotation of a section with a `name`, whose schema is the `config` of the record of that name.

    ```python
    model: Annotated[Any, Named(ARCHITECTURES)]
    ```

    Args:
        records: name -> anything with a `config`, a `StrictConfig` whose field `name` is a literal.
    """

    def __init__(self, records: Mapping[str, Any]):
        self.records = records

    def __get_pydantic_core_schema__(self, source: Any, handler: pydantic.GetCoreSchemaHandler) -> Any:
        """A union told apart by `name`; pydantic asks for it once, when the model is defined."""
        return core_schema.tagged_union_schema(
            {name: handler.generate_schema(record.config) for name, record in self.records.items()},
            discriminator="name",
            custom_error_type="unknown_name",
            custom_error_message=f"expected one of {', '.join(self.records)}",
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: pydantic.GetJsonSchemaHandler) -> dict[str, Any]:
        """The union for editors, in which every choice requires the name that tells it apart."""
        union = handler(schema)
        for choice in union.get("oneOf", [union]):
            section = handler.resolve_ref_schema(choice)
            section["required"] = sorted({*section.get("required", ()), "name"})
        return union


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
        if data.get(key) is None:  # absent, or null
            data[key] = {}
        data = data[key]
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


def _line(error: Any, schema: Any, prefix: str) -> str:
    """One mistake, without the file's name."""
    path, _ = _place(error["loc"], schema)
    where = ".".join([prefix] * bool(prefix) + path)
    if error["type"] == "extra_forbidden":
        known = _fields(_place(error["loc"][:-1], schema)[1])
        return f"unknown key {where}" + (f"; known here: {', '.join(known)}" if known else "")
    if error["type"] == "missing":
        return f"{where} is missing"
    found, message = error["input"], error["msg"].removeprefix("Value error, ")
    if error["type"] in ("list_type", "tuple_type"):
        message = "expected a list, as [1, 2]"
    if error["type"] == "unknown_name":
        if isinstance(found, dict) and "name" not in found:
            return f"{where}.name is missing; {message}"
        return f"{where}.name: {message}, found {found['name'] if isinstance(found, dict) else found!r}"
    shown = "" if isinstance(found, dict | pydantic.BaseModel) else f", found {found!r}"
    return f"{where}: {message}{shown}" if where else message


def _place(location: Sequence[Any], schema: Any) -> tuple[list[str], Any]:
    """Where in the file a mistake is, and the schema there; None beyond the models, as in a list.

    pydantic's location also holds the name that a section was told apart by, which is no key.
    """
    path: list[str] = []
    parts = list(location)
    while parts:
        key = parts.pop(0)
        path.append(str(key))
        field = _fields(schema).get(key)
        named = next((data for data in field.metadata if isinstance(data, Named)), None) if field else None
        if named is not None:
            schema = named.records[parts.pop(0)].config if parts else None
        else:
            schema = field.annotation if field else None
    return path, schema


def _fields(schema: Any) -> dict[str, Any]:
    return getattr(schema, "model_fields", {})
