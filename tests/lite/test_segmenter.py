import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.architectures import experiments
from tests.data.image_kinds import KINDS
from tests.lite.exported import litert, metadata_of, onnx, toy, with_policy
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.evaluation.measures.panoptic_quality import count, summarize
from tfpanoptic.lite import Segmenter
from tfpanoptic.lite.metadata import with_metadata
from tfpanoptic.photo.pixels import read_image
from tfpanoptic.result import PanopticResult

pytest.importorskip("ai_edge_litert")
CANVAS = (32, 48)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coarse noise, enlarged, so that segments have more than a pixel."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return toy()


@pytest.fixture(scope="module")
def any_size(model):
    return litert(model, None)


@pytest.fixture(scope="module")
def fixed_size(model):
    return litert(model, CANVAS)


@pytest.fixture
def write(tmp_path):
    """Writes a `.tflite` of bytes and metadata, for `Segmenter`."""

    def path_of(content: bytes, metadata, name: str = "model.tflite") -> Path:
        (tmp_path / name).write_bytes(with_metadata(content, metadata))
        return tmp_path / name

    return path_of


@pytest.fixture
def any_path(any_size, model, write):
    return write(any_size, metadata_of(model, None))


def assert_same(found: PanopticResult, expected: PanopticResult):
    """Two runtimes add in another order, so a pixel on a border may fall to the other side."""
    assert found.categories == expected.categories and found.name == expected.name
    assert found.segmentation.dtype == np.int32 and found.segmentation.shape == expected.segmentation.shape
    assert (found.segmentation == expected.segmentation).mean() >= 0.998
    counts = count(expected.segment_map, found.segment_map, len(expected.categories))
    assert summarize(counts, expected.categories)["all"]["pq"] >= 0.99
    assert len(found.segments_info) == len(expected.segments_info) > 0
    for ours, theirs in zip(found.segments_info, expected.segments_info):
        assert {**ours, "area": 0, "bbox": 0, "score": 0} == {**theirs, "area": 0, "bbox": 0, "score": 0}
        assert ours["area"] == (found.segmentation == ours["id"]).sum()
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)
    assert (found.image is None) == (expected.image is None)
    np.testing.assert_array_equal(found.image, expected.image)


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"long_side": 60},
        {"short_side": 30, "max_long_side": 44},
        {"size": (33, 50), "pad_to": (64, 40)},
    ],
    ids=str,
)
def test_a_model_of_any_size_gives_what_the_keras_model_gives(any_size, model, write, policy):
    """One model, photos of several sizes and back to the first, larger and smaller than what the network sees."""
    segmenter = Segmenter(write(any_size, metadata_of(model, None, **policy)))
    keras_model = with_policy(model, **policy)
    for size in ((41, 57), (90, 20), (41, 57), (16, 16)):
        assert_same(segmenter.segment(photo(*size)), keras_model.segment(photo(*size)))


@pytest.mark.parametrize(
    "size, seen",
    [
        ((32, 48), (32, 48)),
        ((20, 30), (20, 30)),  # padded
        ((100, 60), (32, 19)),  # 60 * 32 / 100 = 19.2
        ((40, 100), (19, 48)),  # 40 * 48 / 100 = 19.2
        ((1, 200), (1, 48)),
    ],
)
def test_a_model_of_a_fixed_size_sees_the_photo_padded_or_shrunk_to_fit(fixed_size, model, write, size, seen):
    segmenter = Segmenter(write(fixed_size, metadata_of(model, CANVAS)))
    keras_model = with_policy(model, size=seen, pad_to=CANVAS)
    assert_same(segmenter.segment(photo(*size)), keras_model.segment(photo(*size)))


def test_the_policy_comes_before_the_fixed_size(fixed_size, model, write):
    """20 x 40 becomes 12 x 24 by the policy and fits."""
    segmenter = Segmenter(write(fixed_size, metadata_of(model, CANVAS, long_side=24)))
    keras_model = with_policy(model, long_side=24, pad_to=CANVAS)
    assert_same(segmenter.segment(photo(20, 40)), keras_model.segment(photo(20, 40)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["panoptic_deeplab", "panoptic_fpn"])
def test_instances_are_those_of_the_keras_model(name, write):
    """With aligned corners and with half-pixel centres; the graph itself is the exporters' matter."""
    keras.utils.set_random_seed(1)
    model, canvas = experiments.segmenter(name), tuple(experiments.CROPS[name])
    segmenter = Segmenter(write(litert(model, canvas), metadata_of(model, canvas)), threads=2)
    keras_model = with_policy(model, pad_to=canvas)
    for size in ((50, 61), (33, 20)):
        found, expected = segmenter.segment(photo(*size)), keras_model.segment(photo(*size))
        assert any(segment["isthing"] for segment in expected.segments_info)
        counts = count(expected.segment_map, found.segment_map, len(expected.categories))
        assert summarize(counts, expected.categories)["all"]["pq"] >= 0.99


@pytest.mark.parametrize("size", [None, CANVAS], ids=["any", "fixed"])
def test_onnx_gives_what_the_keras_model_gives(model, tmp_path, size):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    metadata = metadata_of(model, size)
    (tmp_path / "model.onnx").write_bytes(onnx(model, size, metadata))
    segmenter = Segmenter(tmp_path / "model.onnx", threads=1)
    assert segmenter.metadata == metadata
    keras_model = with_policy(model, pad_to=size)
    for shape in ((30, 44), (12, 48), (30, 44)):
        assert_same(segmenter.segment(photo(*shape)), keras_model.segment(photo(*shape)))


ALONE = """
import sys
for name in BLOCKED:
    sys.modules[name] = None
from tfpanoptic.lite import Segmenter
import numpy as np
result = Segmenter(sys.argv[1]).segment(sys.argv[2])
result.save(sys.argv[3])
np.save(sys.argv[3] + "/ids.npy", result.segmentation)
print(result)
"""
# Packages that a device does not have.
BLOCKED = (
    *("tensorflow", "keras", "pydantic", "pydantic_core", "typer", "click", "rich", "yaml", "safetensors"),
    *("pycocotools", "matplotlib", "onnx", "tf2onnx", "onnxruntime", "jax", "h5py"),
)


def test_it_runs_where_there_is_only_the_runtime_with_numpy_and_pillow(any_path, tmp_path):
    Image.fromarray(photo(40, 50)).save(tmp_path / "a.png")
    code = f"BLOCKED = {BLOCKED!r}\n{ALONE}"
    arguments = [str(any_path), str(tmp_path / "a.png"), str(tmp_path / "out")]
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    expected = Segmenter(any_path).segment(tmp_path / "a.png")
    assert run.stdout.strip() == repr(expected)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "ids.npy"), expected.segmentation)
    assert (tmp_path / "out" / "a_overlay.png").exists()


def test_importing_it_loads_no_runtime():
    code = (
        "import sys; from tfpanoptic.lite import Segmenter; print({'ai_edge_litert', 'onnxruntime'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_path_bytes_array_and_picture_give_the_same_result(any_path, tmp_path):
    image, path = photo(40, 50), tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    segmenter = Segmenter(str(any_path))
    expected = segmenter.segment(image)
    results = segmenter.segment([path, str(path), path.read_bytes(), Image.fromarray(image)])
    assert [result.name for result in results] == ["photo.png", "photo.png", None, None]
    for result in results:
        np.testing.assert_array_equal(result.segmentation, expected.segmentation)
        assert result.segments_info == expected.segments_info
    assert segmenter.segment([]) == []


@pytest.mark.parametrize(
    "kind", ["jpeg cmyk", "jpeg turned", "jpeg grey", "png palette", "png with alpha", "png 16 bits grey", "gif"]
)
def test_files_of_all_kinds_are_read_as_everywhere(any_path, tmp_path, kind):
    (tmp_path / "a").write_bytes(KINDS[kind]())
    segmenter = Segmenter(any_path)
    result = segmenter.segment(tmp_path / "a")
    np.testing.assert_array_equal(result.image, read_image(tmp_path / "a"))
    np.testing.assert_array_equal(result.segmentation, segmenter.segment(result.image).segmentation)


def test_grey_values_of_16_bits_are_read_by_the_rule_of_the_model(any_size, model, write):
    deep = io.BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16)).save(deep, "PNG")
    seen = [
        Segmenter(write(any_size, metadata_of(model, None, deep_grey=rule))).segment(deep.getvalue()).image.max()
        for rule in ("high_byte", "file_range")
    ]
    assert seen == [0, 255]


@pytest.mark.parametrize(
    "source, words",
    [
        ("none.jpg", "none.jpg: no such file"),
        (b"no image", "image of 8 bytes: not an image"),
        (KINDS["png"]()[:200], "image: damaged or cut short"),
        (np.zeros((4, 4, 3)), "expected uint8"),
        (np.zeros((4, 4), np.uint8), "expected uint8"),
        (np.zeros((0, 4, 3), np.uint8), "expected uint8"),
        (Image.new("RGB", (0, 4)), "has no pixels"),
        (np.broadcast_to(np.uint8(0), (6000, 6000, 3)), "image: 6000 x 6000 pixels are more than the 32 million"),
        (Image.new("1", (6000, 6000)), "image: 6000 x 6000 pixels are more than the 32 million"),
        (None, "expected a path"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_image_is_refused_and_named_in_a_list(any_path, source, words):
    segmenter = Segmenter(any_path)
    with pytest.raises(InputError, match=words) as alone:
        segmenter.segment(source)
    with pytest.raises(InputError) as listed:
        segmenter.segment([photo(8, 8), source])
    assert str(listed.value) == f"images[1]: {alone.value}" and "\n" not in str(alone.value)


def test_a_fixed_size_or_a_rule_lets_any_photo_through(any_size, fixed_size, model, write):
    large = np.broadcast_to(np.uint8(0), (5700, 5700, 3))
    for content, metadata in (
        (fixed_size, metadata_of(model, CANVAS)),
        (any_size, metadata_of(model, None, max_long_side=40)),
    ):
        segmenter = Segmenter(write(content, metadata))
        assert segmenter.segment(large).segmentation.shape == (5700, 5700)


def test_threads_may_share_one(any_path):
    segmenter, photos = Segmenter(any_path, threads=1), [photo(20 + 4 * n, 40, n) for n in range(8)]
    alone = [segmenter.segment(image).segmentation for image in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(segmenter.segment, photos))
    for expected, found in zip(alone, together):
        np.testing.assert_array_equal(found.segmentation, expected)


def test_results_stay_when_the_next_photo_is_seen(any_path):
    segmenter = Segmenter(any_path)
    result = segmenter.segment(photo(20, 30))
    before = result.segmentation.copy()
    segmenter.segment(photo(20, 30, seed=5))
    np.testing.assert_array_equal(result.segmentation, before)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_a_wrong_number_of_threads_is_told(any_path, threads):
    with pytest.raises(InputError, match="threads: expected an integer, at least 1, found"):
        Segmenter(any_path, threads)


@pytest.mark.parametrize("name", ["none.tflite", "none.onnx"])
def test_a_file_that_is_not_there_is_named(name):
    with pytest.raises(InputError, match=f"^{name}: no such file; expected a model"):
        Segmenter(name)


def test_a_file_of_another_kind_is_named(tmp_path):
    with pytest.raises(InputError, match=r"model\.pb: expected a file that ends in \.tflite or \.onnx"):
        Segmenter(tmp_path / "model.pb")


def test_a_model_that_is_none_is_named(model, write, tmp_path):
    path = write(b"no model at all", metadata_of(model, None))
    with pytest.raises(InputError, match=f"{path}: not a model that can be run .*Flatbuffer") as refused:
        Segmenter(path)
    assert "\n" not in str(refused.value)
    pytest.importorskip("onnxruntime")
    (tmp_path / "a.onnx").write_bytes(b"no model at all")
    with pytest.raises(InputError, match=r"a\.onnx: not a model that can be run") as refused:
        Segmenter(tmp_path / "a.onnx")
    assert "\n" not in str(refused.value)


def test_a_graph_of_others_is_named(model, write, tmp_path):
    import tensorflow as tf

    function = tf.function(lambda x: {"y": x + 1.0}, input_signature=[tf.TensorSpec([1], tf.float32, name="x")])
    content = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module()).convert()
    with pytest.raises(InputError, match=r"\(it has no image\); expected one that tfpanoptic exported$"):
        Segmenter(write(content, metadata_of(model, None)))


def test_what_fails_while_it_runs_is_told_in_one_line(fixed_size, model, write):
    """The metadata says another size than the graph has."""
    segmenter = Segmenter(write(fixed_size, metadata_of(model, (8, 8))))
    with pytest.raises(WorkFailed, match=r"model\.tflite: failed on an input of 8 x 8 \(.*\)$") as failed:
        segmenter.segment(photo(8, 8))
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("package, kind", [("ai_edge_litert", "tflite"), ("onnxruntime", "onnx")])
def test_a_runtime_that_is_not_installed_is_named_with_what_installs_it(package, kind, any_path, monkeypatch):
    path = any_path.rename(any_path.with_suffix(f".{kind}"))
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    wanted = {"tflite": r"ai-edge-litert: pip install tfpanoptic\[lite\]", "onnx": "onnxruntime: pip install"}[kind]
    with pytest.raises(InputError, match=f"^lite needs {wanted}"):
        Segmenter(path)


def test_a_runtime_that_does_not_load_is_told(any_path, tmp_path, monkeypatch):
    (tmp_path / "ai_edge_litert.py").write_text("raise ImportError('libc is too old')")
    for name in [name for name in sys.modules if name.split(".")[0] == "ai_edge_litert"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"lite needs ai-edge-litert, which does not load \(libc is too old\)"):
        Segmenter(any_path)
