from pathlib import Path

import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.export import FORMATS
from tfpanoptic.export.artefact import default_name, format_of, require_place
from tfpanoptic.export.format import Format
from tfpanoptic.run_folder import CONTENTS

FILE = Format(write=lambda *_: None, open=lambda *_: None, suffix=".file", options=("quantize",))


@pytest.fixture
def of_file(monkeypatch):
    monkeypatch.setitem(FORMATS, "of_file", FILE)


def test_a_run_with_exports_and_reports_is_still_a_run():
    for name, record in FORMATS.items():
        precisions = ("none", "float16", "dynamic", "int8") if "quantize" in record.options else (None,)
        for precision in precisions:
            for report in ("", ".verify.json", ".verify.md"):
                assert default_name(name, precision) + report in CONTENTS


def test_the_name_tells_format_and_precision(of_file):
    assert default_name("of_file") == default_name("of_file", "none") == "of_file.file"
    assert default_name("of_file", "int8") == "of_file_int8.file"
    assert default_name("saved_model") == "saved_model"


def test_the_format_of_an_export_is_known_again(of_file, tmp_path):
    (tmp_path / "a.file").touch()
    (tmp_path / "a.png").touch()
    (tmp_path / "saved").mkdir()
    assert format_of(tmp_path / "saved") is None  # empty
    (tmp_path / "saved/saved_model.pb").touch()
    (tmp_path / "saved/variables").mkdir()
    assert format_of(tmp_path / "saved") == "saved_model"
    assert format_of(tmp_path / "a.file") == "of_file"
    for other in (tmp_path / "a.png", tmp_path / "none", tmp_path):
        assert format_of(other) is None


def test_a_place_is_checked_before_the_work(of_file, tmp_path):
    (tmp_path / "a.file").touch()
    (tmp_path / "b.file.verify.md").mkdir()
    wrong = {
        tmp_path / "a.file": "a.file: exists already; give --overwrite .overwrite=True. to replace it",
        tmp_path / "a.txt": "a.txt: expected a file that ends in .file",
        tmp_path / "b.file": "b.file.verify.md: is a folder",
        tmp_path / "a.file/c.file": "is a file; expected a folder",
    }
    for path, words in wrong.items():
        with pytest.raises(InputError, match=words):
            require_place(Path(path), "of_file", overwrite=False)
    require_place(tmp_path / "a.file", "of_file", overwrite=True)
    require_place(tmp_path / "new.file", "of_file", overwrite=False)
