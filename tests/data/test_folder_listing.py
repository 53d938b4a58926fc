import os
from pathlib import Path

import pytest

from tfpanoptic.data.folder_listing import FolderListing
from tfpanoptic.errors import InputError


def test_a_file_that_exists_comes_back(tmp_path):
    (tmp_path / "a.png").touch()
    assert FolderListing().require(tmp_path / "a.png", Path("a.json")) == tmp_path / "a.png"


def test_a_missing_file_is_named_with_the_file_that_lists_it(tmp_path):
    with pytest.raises(InputError, match=r"b\.png: no such file, but a\.json lists it"):
        FolderListing().require(tmp_path / "b.png", Path("a.json"))


def test_a_folder_that_cannot_be_listed_is_named_every_time_and_has_no_names(tmp_path):
    listing = FolderListing()
    assert listing.names(tmp_path / "nowhere") == set()
    for _ in range(2):
        with pytest.raises(InputError, match=r"nowhere: cannot list this folder \(No such file or directory\)"):
            listing.require(tmp_path / "nowhere" / "a.png", Path("a.json"))


def test_a_text_that_names_no_folder_is_told():
    with pytest.raises(InputError, match="no name of a folder"):
        FolderListing().require(Path("a\0b/c.png"), Path("a.json"))


def test_a_folder_is_listed_once(tmp_path, monkeypatch):
    folders = []
    monkeypatch.setattr(os, "listdir", lambda folder: folders.append(folder) or ["a.png", "b.png"])
    listing = FolderListing()
    assert all(listing.has(tmp_path / name) for name in ("a.png", "b.png")) and not listing.has(tmp_path / "c.png")
    assert folders == [tmp_path]
