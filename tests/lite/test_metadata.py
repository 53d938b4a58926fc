import io
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.lite.metadata import Metadata, metadata_of_properties, read_metadata, with_metadata
from tfpanoptic.settings.sizes import Grid, InputPolicy

CATEGORIES = CategoryTable(
    (Category(1, "sky, clear", False, (1, 2, 3), 40), Category(2, "Fußgänger", True, (4, 5, 6), 7)),
)
METADATA = Metadata(
    "panoptic_deeplab",
    CATEGORIES,
    InputPolicy(short_side=800, max_long_side=1333, pad_to=(65, 129), deep_grey="file_range"),
    Grid(32, plus_one=True, align_corners=True),
    (65, 129),
    "int8",
    {"tfpanoptic": "0.1.0", "tensorflow": "2.21.0"},
    "Apache-2.0",
    "model:\n  name: panoptic_deeplab\n",
)
MODEL = bytes(range(256)) * 5


@pytest.mark.parametrize("size, licence", [((65, 129), "Apache-2.0"), (None, None)])
def test_a_file_gives_the_metadata_back(tmp_path, size, licence):
    written = replace(METADATA, size=size, licence=licence)
    (tmp_path / "a.tflite").write_bytes(with_metadata(MODEL, written))
    assert read_metadata(tmp_path / "a.tflite") == written
    assert metadata_of_properties("a.onnx", written.files()) == written


def test_the_model_stands_unchanged_before_an_archive_that_others_read(tmp_path):
    content = with_metadata(MODEL, METADATA)
    assert content.startswith(MODEL)
    (tmp_path / "a.tflite").write_bytes(content)
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(tmp_path / "a.tflite")], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^(\S+\.\w+) ", listed, re.MULTILINE) == ["tfpanoptic.json", "labels.txt", "config.yaml"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().splitlines() == ["sky, clear", "Fußgänger"]
        assert archive.read("config.yaml").decode() == METADATA.config
        assert json.loads(archive.read("tfpanoptic.json"))["format_version"] == 1


def test_equal_models_are_equal_files():
    assert with_metadata(MODEL, METADATA) == with_metadata(MODEL, METADATA)


def foreign_archive() -> bytes:
    buffer = io.BytesIO(MODEL)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("labels.txt", "cat\n")
    return buffer.getvalue()


def changed(**entries) -> bytes:
    """A file whose metadata has other entries; None for one leaves it out."""
    entry = {**json.loads(METADATA.to_json()), **entries}
    buffer = io.BytesIO(MODEL)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("tfpanoptic.json", json.dumps({k: v for k, v in entry.items() if v is not ...}))
    return buffer.getvalue()


def damaged() -> bytes:
    content = with_metadata(MODEL, METADATA)
    return content.replace(b'"panoptic_deeplab"', b'"panoptic_deeplaX"')


WHOLE = with_metadata(MODEL, METADATA)


@pytest.mark.parametrize(
    "content, words",
    [
        (MODEL, "has no metadata of tfpanoptic"),
        (b"", "has no metadata of tfpanoptic"),
        (WHOLE[: len(WHOLE) - 30], "has no metadata of tfpanoptic; .* the whole file$"),
        (foreign_archive(), "has no metadata of tfpanoptic"),
        (damaged(), "its metadata is damaged"),
        (
            changed(format_version=2, versions={"tfpanoptic": "9.0"}, grid=...),
            "format 2, written by tfpanoptic 9.0; this one reads 1$",
        ),
        (changed(format_version="1", versions=...), "format '1', written by tfpanoptic [?]; this one reads 1$"),
        (changed(grid=...), "lacks grid"),
        (changed(grid={"stride": 0, "plus_one": True, "align_corners": True}), "stride must be an integer 1"),
        (changed(size=[65]), r"size must be \[height, width\] or null"),
        (changed(size=[65, "a"]), "size must be an integer"),
        (changed(input={"short_side": 8}), "lacks "),
        (changed(input={**vars(InputPolicy()), "deep_grey": "low"}), "deep_grey must be one of high_byte, file_range"),
        (changed(categories=[]), "at least one category"),
        (changed(categories={}), "expected a category table"),
        (changed(versions={}), "lacks tfpanoptic"),
        (changed(config=5), "config must be text"),
        (changed(architecture=None), "architecture must be a text"),
    ],
)
def test_what_is_no_metadata_is_told_in_one_line(tmp_path, content, words):
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as refused:
        read_metadata(path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="a.tflite: no such file"):
        read_metadata(tmp_path / "a.tflite")
    with pytest.raises(InputError, match="cannot be read"):
        read_metadata(tmp_path)


def test_an_onnx_of_others_is_named():
    with pytest.raises(InputError, match="^a.onnx: has no metadata of tfpanoptic"):
        metadata_of_properties("a.onnx", {"author": "me"})


def test_any_byte_that_went_wrong_leaves_metadata_or_one_line(tmp_path):
    path = tmp_path / "a.tflite"
    for place in range(len(MODEL), len(WHOLE), 7):
        path.write_bytes(WHOLE[:place] + bytes([WHOLE[place] ^ 0x55]) + WHOLE[place + 1 :])
        try:
            assert read_metadata(path) == METADATA
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
