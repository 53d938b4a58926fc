"""What an exported model says of itself, and how it stands in a `.tflite` file.

A `.tflite` ends with a ZIP archive, as TensorFlow Lite's convention of associated files has it: the interpreter does
not look at it, and any unzip lists it. An `.onnx` has the same texts as metadata properties, under the files' names.

Source: https://ai.google.dev/edge/litert/conversion/tensorflow/metadata
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError, system_reason
from tfpanoptic.json_entry import MAX_INT32, flag, integer, require_keys, text
from tfpanoptic.settings.sizes import DeepGrey, Grid, InputPolicy

# Of what stands in the JSON: another one is refused.
FORMAT_VERSION = 1
# Names in the archive, and of ONNX' metadata properties.
JSON_NAME, LABELS_NAME, CONFIG_NAME = "tfpanoptic.json", "labels.txt", "config.yaml"
# The oldest date that a ZIP archive has, so that equal models are equal files.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Metadata:
    """All that running the model needs, and where it comes from.

    Attributes:
        architecture: its name in `models.ARCHITECTURES`.
        categories: what the pixels can be.
        input: how photos are resized.
        grid: of the network's input; says, too, how photos are resized and maps enlarged.
        size: (h, w) of the model's input; None: any on the grid.
        quantize: "none", "float16", "dynamic" or "int8".
        versions: package -> version of what wrote the file; `tfpanoptic` is one of them.
        licence: of the weights; None if it is not known.
        config: the experiment as YAML text.
        format_version: of the JSON.
    """

    architecture: str
    categories: CategoryTable
    input: InputPolicy
    grid: Grid
    size: tuple[int, int] | None
    quantize: str
    versions: dict[str, str]
    licence: str | None
    config: str
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """The metadata as JSON text; `from_json` gives it back."""
        entry = {field.name: getattr(self, field.name) for field in fields(self)}
        categories = json.loads(self.categories.to_json())
        plain = {"categories": categories, "input": asdict(self.input), "grid": self.grid._asdict()}
        return json.dumps({**entry, **plain}, indent=1)

    @classmethod
    def from_json(cls, content: str) -> Metadata:
        """The metadata of a text that `to_json` wrote.

        Raises:
            InputError: another text, or another format version.
        """
        try:
            entry = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"expected metadata, found no JSON ({error})") from None
        require_keys(entry, frozenset(("format_version",)))
        if entry["format_version"] != FORMAT_VERSION:
            versions = entry.get("versions")
            version = versions.get("tfpanoptic", "?") if isinstance(versions, dict) else "?"
            found = f"metadata of format {entry['format_version']!r}, written by tfpanoptic {version}"
            raise InputError(f"{found}; this one reads {FORMAT_VERSION}")
        require_keys(entry, frozenset(field.name for field in fields(cls)))
        return cls(
            text(entry, "architecture"),
            CategoryTable.from_json(json.dumps(entry["categories"])),
            _input_policy(entry["input"]),
            _grid(entry["grid"]),
            _size(entry, "size"),
            text(entry, "quantize"),
            _versions(entry["versions"]),
            None if entry["licence"] is None else text(entry, "licence"),
            _lines(entry, "config"),
        )

    def files(self) -> dict[str, str]:
        """Name -> text: what stands in the archive of a `.tflite` and in the metadata properties of an `.onnx`.

        `labels.txt` has a line for each category, in the order of their ids 1..C.
        """
        labels = "".join(f"{category.name}\n" for category in self.categories)
        return {JSON_NAME: self.to_json(), LABELS_NAME: labels, CONFIG_NAME: self.config}


def with_metadata(model: bytes, metadata: Metadata) -> bytes:
    """A `.tflite` file with its metadata: the bytes of the converter with the archive behind them."""
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, content in metadata.files().items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
    return buffer.getvalue()


def read_metadata(path: str | Path) -> Metadata:
    """The metadata of a `.tflite` file.

    Raises:
        InputError: no such file, one without metadata of ours, with broken one, or of another format version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(JSON_NAME).decode()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a model that tfpanoptic exported") from None
    except KeyError:
        raise _foreign(path) from None
    except zipfile.BadZipFile as error:
        raise _foreign(path) if "not a zip file" in str(error) else _broken(path, error) from None
    except (ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise _broken(path, error) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or system_reason(error)})") from None
    return _of(path, content)


def metadata_of_properties(path: str | Path, properties: dict[str, str]) -> Metadata:
    """The metadata among the properties of an `.onnx` file.

    Raises:
        InputError: as `read_metadata`.
    """
    if JSON_NAME not in properties:
        raise _foreign(path)
    return _of(path, properties[JSON_NAME])


def _of(path: str | Path, content: str) -> Metadata:
    try:
        return Metadata.from_json(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _foreign(path: str | Path) -> InputError:
    return InputError(f"{path}: has no metadata of tfpanoptic; expected a model that it exported, the whole file")


def _broken(path: str | Path, error: Exception) -> InputError:
    return InputError(f"{path}: its metadata is damaged ({error}); expected a model as tfpanoptic exported it")


def _input_policy(entry: Any) -> InputPolicy:
    require_keys(entry, frozenset(field.name for field in fields(InputPolicy)))
    if entry["deep_grey"] not in get_args(DeepGrey):
        raise InputError(f"deep_grey must be one of {', '.join(get_args(DeepGrey))}, found {entry['deep_grey']!r}")
    short, most, long = (_side(entry, name) for name in ("short_side", "max_long_side", "long_side"))
    return InputPolicy(short, most, long, _size(entry, "size"), _size(entry, "pad_to"), entry["deep_grey"])


def _grid(entry: Any) -> Grid:
    require_keys(entry, frozenset(Grid._fields))
    return Grid(integer(entry, "stride", 1, MAX_INT32), flag(entry, "plus_one"), flag(entry, "align_corners"))


def _side(entry: dict, key: str) -> int | None:
    return None if entry[key] is None else integer(entry, key, 1, MAX_INT32)


def _size(entry: dict, key: str) -> tuple[int, int] | None:
    sides = entry[key]
    if sides is None:
        return None
    if not isinstance(sides, list) or len(sides) != 2:
        raise InputError(f"{key} must be [height, width] or null, found {sides!r}")
    height, width = (integer({key: side}, key, 1, MAX_INT32) for side in sides)
    return height, width


def _versions(entry: Any) -> dict[str, str]:
    require_keys(entry, frozenset(("tfpanoptic",)))
    return {name: text(entry, name) for name in entry}


def _lines(entry: dict, key: str) -> str:
    if not isinstance(entry[key], str):
        raise InputError(f"{key} must be text, found {type(entry[key]).__name__}")
    return entry[key]
