"""No file makes the check crash, and what it calls sound can be read."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.doctor.small_data import SCENE, Data
from tfpanoptic.data.coco_panoptic import read_coco_panoptic
from tfpanoptic.data.dataset import check_records

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


@FUZZ
@given(draw=st.data())
def test_no_png_makes_it_crash(data, draw):
    data.draw("a.png", SCENE)
    content = bytearray((data.panoptic / "a.png").read_bytes())
    start = draw.draw(st.integers(0, len(content)))
    content[start : start + draw.draw(st.integers(0, 20))] = draw.draw(st.binary(max_size=20))
    (data.panoptic / "a.png").write_bytes(content)
    findings = data.check()["findings"]
    if not any(finding["level"] == "error" for finding in findings):
        check_records(read_coco_panoptic(data.images, data.json, data.panoptic))
