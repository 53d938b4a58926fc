import sys

import numpy as np
import pytest
from PIL import Image

from tests.architectures import experiments
from tests.architectures.experiments import CROPS, MODELS, finding
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export import FORMATS
from tfpanoptic.export import onnx as exporter
from tfpanoptic.export.device_graph import device_graph, device_metadata
from tfpanoptic.export.litert import float32_model
from tfpanoptic.export.onnx import export_onnx

pytest.importorskip("tf2onnx")
onnxruntime = pytest.importorskip("onnxruntime")


ONE_SIZE = {"upsnet", "eomt"}


def slow(fast: set[str], but: set[str] = frozenset()) -> list:
    """All models but some, those that are not in `fast` among the slow tests."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in MODELS if name not in but]


def photo(height: int, width: int) -> np.ndarray:
    """Coarse noise, enlarged, so that segments have more than a pixel."""
    coarse = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def toy():
    return finding("toy")


def assert_same_segments(path, model, image) -> None:
    found, expected = FORMATS["onnx"].open(path)(image), model.segment(image)
    np.testing.assert_array_equal(found.segmentation, expected.segmentation)
    assert len(found.segments_info) == len(expected.segments_info) > 0
    for ours, theirs in zip(found.segments_info, expected.segments_info):
        assert ours.pop("score") == pytest.approx(theirs.pop("score"), abs=1e-5)
        assert ours == theirs


@pytest.mark.parametrize("name", slow({"toy"}, but=ONE_SIZE))
def test_a_file_for_any_size_gives_what_segment_gives(name, tmp_path):
    model, path = finding(name), tmp_path / "model.onnx"
    export_onnx(model, path)
    for size in ((70, 93), (90, 61)):
        assert_same_segments(path, model, photo(*size))


@pytest.mark.parametrize("name", slow({"toy"}))
def test_a_file_for_one_size_gives_what_segment_gives(name, tmp_path):
    model, path, size = finding(name), tmp_path / "model.onnx", tuple(CROPS[name])
    export_onnx(model, path, size=size)
    assert_same_segments(path, model, photo(*size))
    (image, valid_size) = onnxruntime.InferenceSession(path).get_inputs()
    assert (image.name, image.shape, valid_size.name, valid_size.shape) == (
        "image",
        [1, *size, 3],
        "valid_size",
        [1, 2],
    )


def test_the_file_says_what_it_is(toy, tmp_path):
    path = tmp_path / "model.onnx"
    export_onnx(toy, path)
    session = onnxruntime.InferenceSession(path)
    assert session.get_modelmeta().custom_metadata_map == device_metadata(toy, None, "none").files()
    assert [node.name for node in session.get_outputs()] == ["segment_ids", "labels", "scores"]


def test_a_file_is_replaced_only_if_asked_for(toy, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"model\.onnx: exists already; give --overwrite"):
        export_onnx(toy, path)
    with pytest.raises(InputError, match=r"model\.tflite: expected a file that ends in \.onnx"):
        export_onnx(toy, tmp_path / "model.tflite")
    with pytest.raises(InputError, match="size"):
        export_onnx(toy, path, overwrite=True, size=(33, 47))
    assert path.read_text() == "mine"
    export_onnx(toy, path, overwrite=True)
    assert_same_segments(path, toy, photo(20, 30))


def test_a_missing_package_is_named_with_what_installs_it(toy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(InputError, match=r"tf2onnx: pip install tfpanoptic\[onnx\]$"):
        export_onnx(toy, tmp_path / "model.onnx")


def other_model(toy) -> bytes:
    """One whose two categories are exchanged."""
    other = experiments.segmenter("toy")
    other.set_weights([weight[..., ::-1] for weight in toy.get_weights()])
    return float32_model(device_graph(other, None))


@pytest.mark.parametrize(
    "converted, message",
    [(other_model, "have a PQ of 0"), (lambda toy: b"no model", "does not convert to ONNX; one of a fixed size may")],
)
def test_what_is_not_the_model_is_not_written(converted, message, toy, tmp_path, monkeypatch):
    wrong = converted(toy)
    monkeypatch.setattr(exporter, "float32_model", lambda graph: wrong)
    with pytest.raises(WorkFailed, match=message) as failed:
        export_onnx(toy, tmp_path / "model.onnx")
    assert "\n" not in str(failed.value) and not list(tmp_path.iterdir())
