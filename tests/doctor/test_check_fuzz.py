"""No file makes the check crash, and what it calls sound can be read."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.doctor.small_data import SCENE, Data
from tests.doctor.test_splits import Splits
from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.dataset import check_records

FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "area"]), inner),
    max_leaves=4,
)


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / "data")


def places(node, path=()):
    """The paths of all values in a JSON, but for the whole."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


@FUZZ
@given(draw=st.data())
def test_what_has_no_error_can_be_read_whatever_the_json_holds(data, draw):
    good = copy.deepcopy(data.content)
    *path, last = draw.draw(st.sampled_from(list(places(good))))
    node = data.content
    for key in path:
        node = node[key]
    node[last] = draw.draw(VALUES)
    findings = data.check()["findings"]
    data.content = good
    json.dumps(findings, allow_nan=False)
    if not any(finding["level"] == "error" for finding in findings):
        check_records(read_coco_panoptic(data.images, data.json, data.panoptic))


def broken(content, draw):
    """Bytes of a file with some of them replaced, or none of them after some place."""
    start = draw.draw(st.integers(0, len(content)))
    end = draw.draw(st.integers(0, 20).map(lambda count: start + count) | st.just(len(content)))
    return content[:start] + draw.draw(st.binary(max_size=20)) + content[end:]


@FUZZ
@given(draw=st.data())
def test_no_png_makes_it_crash(data, draw):
    data.draw("a.png", SCENE)
    (data.panoptic / "a.png").write_bytes(broken((data.panoptic / "a.png").read_bytes(), draw))
    findings = data.check()["findings"]
    if not any(finding["level"] == "error" for finding in findings):
        check_records(read_coco_panoptic(data.images, data.json, data.panoptic))


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow, about what is broken
@FUZZ
@given(draw=st.data(), suffix=st.sampled_from(["png", "jpg", "gif", "tif", "bmp", "webp"]))
def test_no_photo_makes_it_crash(data, draw, suffix):
    data.photo("a.png")
    photo = data.images / f"a.{suffix}"
    Image.open(data.images / "a.png").save(photo)
    photo.write_bytes(broken(photo.read_bytes(), draw))
    data.content["images"][0]["file_name"] = photo.name
    findings = data.check()["findings"]
    if not any(finding["level"] == "error" for finding in findings):
        check_records(read_coco_panoptic(data.images, data.json, data.panoptic))


@FUZZ
@given(draw=st.data())
def test_two_splits_are_compared_whatever_their_json_holds(tmp_path_factory, draw):
    splits = Splits(tmp_path_factory.mktemp("splits"))
    for data in (splits.train, splits.val):
        data.content = copy.deepcopy(data.content)
        *path, last = draw.draw(st.sampled_from(list(places(data.content))))
        node = data.content
        for key in path:
            node = node[key]
        node[last] = draw.draw(VALUES)
    json.dumps(splits.check(), allow_nan=False)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=30) | st.text(max_size=30).map(lambda text: text.encode("utf-16", "replace")))
def test_no_json_makes_it_crash(data, content):
    data.source()
    data.content = None
    data.json.write_bytes(content)
    assert [finding["level"] for finding in data.check()["findings"]] == ["error"]
