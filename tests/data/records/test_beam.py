"""On Beam's local runner; the pipeline's worker is in this process."""

from functools import partial
from pathlib import Path

import pytest

from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.records.write import write_records
from tfpanoptic.errors import InputError

beam = pytest.importorskip("apache_beam")


@pytest.fixture
def load(several):
    several.write()
    return partial(read_coco_panoptic, several.images, several.json, several.panoptic)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_pipeline_writes_the_bytes_of_the_plain_run(load, tmp_path):
    from tfpanoptic.data.records.beam import write_with_beam

    write_records(load(), tmp_path / "plain", 3)
    write_with_beam(load, tmp_path / "beam", 3, ["--runner=DirectRunner"])
    assert contents(tmp_path / "beam") == contents(tmp_path / "plain")


def test_a_truncated_photo_is_named_and_the_rest_is_continued_by_a_plain_run(load, several, tmp_path):
    from tfpanoptic.data.records.beam import write_with_beam

    photo = several.images / "6.png"
    content = photo.read_bytes()
    photo.write_bytes(content[:-30])
    with pytest.raises(InputError, match=r"6\.png: damaged or cut short [^\n]*$"):
        write_with_beam(load, tmp_path / "beam", 3, ["--runner=DirectRunner"])
    photo.write_bytes(content)
    write_records(load(), tmp_path / "beam", 3)
    write_records(load(), tmp_path / "plain", 3)
    names = ("panoptic.json", "shard-00002-of-00003.tfrecord")
    assert all((tmp_path / "beam" / n).read_bytes() == (tmp_path / "plain" / n).read_bytes() for n in names)
