from pathlib import Path

import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.settings.cache_folder import cache_folder


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("TFPANOPTIC_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path("~/.cache/tfpanoptic").expanduser()


def test_the_own_variable_names_the_folder_and_the_other_one_its_parent(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TFPANOPTIC_CACHE", raising=False)
    assert cache_folder() == tmp_path / "tfpanoptic"
    monkeypatch.setenv("TFPANOPTIC_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_a_user_without_home_is_told(monkeypatch):
    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(InputError, match="TFPANOPTIC_CACHE: expected a folder .* no home"):
        cache_folder()
