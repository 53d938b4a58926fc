"""Scans of shards are kept in a cache of the test's own."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TFPANOPTIC_CACHE", str(folder))
    return folder
