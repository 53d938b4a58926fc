import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.scan import scan_maps
from tfpanoptic.data.segment_png import read_grey_values
from tfpanoptic.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFPANOPTIC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def paths(tmp_path):
    """0.png holds 0 and 9 once each and 5 four times, 1.png holds 70 alone."""
    Image.fromarray(np.array([[0, 5, 5], [5, 5, 9]], np.uint16)).save(tmp_path / "0.png")
    Image.fromarray(np.full((4, 2), 70, np.uint8)).save(tmp_path / "1.png")
    return [tmp_path / "0.png", tmp_path / "1.png"]


def plain(contents):
    return [(each.size, each.values.tolist(), each.areas.tolist()) for each in contents]


EXPECTED = [((2, 3), [0, 5, 9], [1, 4, 1]), ((4, 2), [70], [8])]


class Reads:
    """Counts the files that are read."""

    def __init__(self):
        self.paths = []

    def __call__(self, path):
        self.paths.append(path)
        return read_grey_values(path)


def test_values_sizes_and_areas_are_found(paths):
    assert plain(scan_maps(paths, read_grey_values, "maps")) == EXPECTED


def test_nothing_is_read_twice(paths):
    reads = Reads()
    assert plain(scan_maps(paths, reads, "maps")) == plain(scan_maps(paths, reads, "maps")) == EXPECTED
    assert sorted(reads.paths) == paths


@pytest.mark.parametrize("change", ["content", "other files", "other kind"])
def test_what_changed_is_read_again(paths, change):
    reads, what = Reads(), "maps"
    scan_maps(paths, reads, what)
    reads.paths.clear()
    if change == "content":
        Image.fromarray(np.full((4, 2), 71, np.uint8)).save(paths[1])
    elif change == "other files":
        paths = paths[1:]
    else:
        what = "others"
    contents = plain(scan_maps(paths, reads, what))
    assert sorted(reads.paths) == paths
    assert contents[-1] == ((4, 2), [71 if change == "content" else 70], [8])


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b""])
def test_a_damaged_cache_is_made_anew(paths, cache, damage):
    scan_maps(paths, read_grey_values, "maps")
    (kept,) = (cache / "scans").iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    reads = Reads()
    assert plain(scan_maps(paths, reads, "maps")) == EXPECTED
    assert len(reads.paths) == 2
    reads.paths.clear()
    assert plain(scan_maps(paths, reads, "maps")) == EXPECTED
    assert not reads.paths


def test_a_cache_that_cannot_be_written_is_told(paths, cache, capsys):
    cache.write_text("a file")
    assert plain(scan_maps(paths, read_grey_values, "maps")) == EXPECTED
    assert "the next start will read these files again" in capsys.readouterr().err


def test_a_damaged_file_is_named_and_nothing_is_kept(paths, cache):
    paths[1].write_bytes(paths[1].read_bytes()[:40])
    with pytest.raises(InputError, match=str(paths[1])):
        scan_maps(paths, read_grey_values, "maps")
    assert not cache.exists()


def test_a_missing_file_is_named(paths):
    paths[0].unlink()
    with pytest.raises(InputError, match=f"{paths[0]}: cannot be read"):
        scan_maps(paths, read_grey_values, "maps")
