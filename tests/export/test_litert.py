import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.architectures import experiments
from tests.test_architectures import LONG
from tfpanoptic.architecture import Architecture
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.evaluation.measures.panoptic_quality import count, summarize
from tfpanoptic.export.litert import export_litert
from tfpanoptic.lite import Segmenter
from tfpanoptic.segmenter import PanopticSegmenter

pytest.importorskip("ai_edge_litert")


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coarse noise, enlarged, so that segments have more than a pixel."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def agreement(model: PanopticSegmenter, exported: Segmenter, images) -> float:
    """PQ of the file's results against the model's, 1 where they are the same."""
    counts = [
        count(model.segment_map(image), exported.segment(image).segment_map, len(model.categories)) for image in images
    ]
    return summarize(sum(counts[1:], counts[0]), model.categories)["all"]["pq"]


@pytest.fixture(scope="module")
def model():
    """With aligned corners: with half-pixel centres, pixels at the border are equal, and so are peaks there."""
    return experiments.finding("panoptic_deeplab")


@pytest.fixture(scope="module")
def any_size(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("litert") / "any.tflite"
    export_litert(model, path)
    return path


def operators(path) -> list[tuple[str, np.dtype]]:
    """Name and dtype of the output of each operator of the main graph."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    dtypes = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    return [
        (operator["op_name"], np.dtype(dtypes[operator["outputs"][0]]))
        for operator in interpreter._get_ops_details()
        if len(operator["outputs"])
    ]


def weights_of_convolutions(path) -> list[np.dtype]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    dtypes = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    made_by = {
        operator["outputs"][0]: operator for operator in interpreter._get_ops_details() if len(operator["outputs"])
    }
    found = []
    for operator in interpreter._get_ops_details():
        if operator["op_name"] == "CONV_2D":
            weights = operator["inputs"][1]
            if weights in made_by and made_by[weights]["op_name"] == "DEQUANTIZE":
                weights = made_by[weights]["inputs"][0]
            found.append(np.dtype(dtypes[weights]))
    return found


@pytest.mark.parametrize("size", [(70, 93), (96, 64)])
def test_at_any_size_it_gives_what_segment_gives(model, any_size, size):
    assert agreement(model, Segmenter(any_size), [photo(*size)]) == 1.0


def test_its_operators_are_built_in_ones(any_size):
    names = {name for name, _ in operators(any_size)}
    assert "CONV_2D" in names and not [name for name in names if name.startswith(("Flex", "CUSTOM"))]


def test_it_carries_categories_and_configuration(model, any_size):
    metadata = Segmenter(any_size).metadata
    assert metadata.categories.to_json() == model.categories.to_json()
    assert metadata.config == model.experiment.to_yaml()
    assert metadata.size is None and metadata.quantize == "none" and metadata.architecture == "panoptic_deeplab"
    with zipfile.ZipFile(any_size) as archive:
        assert archive.read("labels.txt").decode().split() == [category.name for category in model.categories]


def test_of_a_fixed_size_it_gives_what_segment_gives_on_a_canvas_of_that_size(model, tmp_path):
    export_litert(model, tmp_path / "fixed.tflite", size=(97, 113))
    padded = model.experiment.input.model_copy(update={"pad_to": (97, 113)})
    experiment = model.experiment.model_copy(update={"input": padded})
    canvas = PanopticSegmenter(experiment, model.categories)
    canvas.set_weights(model.get_weights())
    assert agreement(canvas, Segmenter(tmp_path / "fixed.tflite"), [photo(70, 93), photo(97, 113, 1)]) == 1.0


@pytest.mark.parametrize("quantize", [pytest.param("float16", marks=pytest.mark.slow), "int8"])
def test_weights_are_in_fewer_bits_and_heads_in_float32(model, any_size, tmp_path, quantize):
    pytest.importorskip("ai_edge_quantizer")
    path = tmp_path / "fewer.tflite"
    photos = [photo(70, 93), photo(64, 96, 1)] if quantize == "int8" else None
    export_litert(model, path, quantize=quantize, calibration=photos)
    fewer = np.dtype("float16" if quantize == "float16" else "int8")
    weights = weights_of_convolutions(path)
    # Three heads end in a convolution.
    assert weights.count(fewer) >= len(weights) - 3 > 10
    assert weights.count(np.dtype("float32")) == (3 if quantize == "int8" else 0)
    exported = Segmenter(path)
    assert exported.metadata.quantize == quantize
    # Heads of so short a training are nearly flat, so centres may move.
    assert agreement(model, exported, [photo(70, 93)]) > (0.9 if quantize == "float16" else 0.3)


@pytest.mark.slow
def test_dynamic_weights_have_8_bits(model, tmp_path):
    pytest.importorskip("ai_edge_quantizer")
    export_litert(model, tmp_path / "dynamic.tflite", quantize="dynamic")
    assert np.dtype("int8") in weights_of_convolutions(tmp_path / "dynamic.tflite")
    Segmenter(tmp_path / "dynamic.tflite").segment(photo(70, 93))


@pytest.mark.slow
def test_int8_takes_training_photos_by_default(model, tmp_path, monkeypatch):
    pytest.importorskip("ai_edge_quantizer")
    monkeypatch.setattr("tfpanoptic.export.litert.CALIBRATION_PHOTOS", 2)
    export_litert(model, tmp_path / "int8.tflite", quantize="int8")
    assert np.dtype("int8") in weights_of_convolutions(tmp_path / "int8.tflite")


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_every_architecture_gives_what_segment_gives_at_any_and_at_one_size(name, tmp_path):
    model = experiments.finding(name)
    export_litert(model, tmp_path / "any.tflite")
    height, width = experiments.CROPS[name]
    export_litert(model, tmp_path / "fixed.tflite", size=(height, width))
    assert agreement(model, Segmenter(tmp_path / "any.tflite"), [photo(100, 90)]) > 0.999
    assert agreement(model, Segmenter(tmp_path / "fixed.tflite"), [photo(height, width)]) > 0.999


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": (70, 97)}, r"size: .* sides of k \* 16 \+ 1, found \[70, 97\]; nearest are \[65, 97\] or \[81, 97\]"),
        ({"quantize": "int4"}, "quantize: expected one of none, float16, dynamic, int8, found 'int4'"),
        ({"quantize": "int8", "calibration": []}, "calibration: no photos"),
        (
            {"quantize": "int8", "calibration": [np.zeros((1, 32_000_001, 3), np.uint8)]},
            r"calibration\[0\]: 1 x 32000001 pixels are more than the 32 million",
        ),
    ],
)
def test_an_option_that_is_not_possible_is_refused_before_work(model, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        export_litert(model, tmp_path / "out.tflite", **options)
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_or_has_another_ending_is_refused(model, any_size, tmp_path):
    with pytest.raises(InputError, match=r"any\.tflite: exists already; give --overwrite"):
        export_litert(model, any_size)
    with pytest.raises(InputError, match=r"model\.lite: expected a file that ends in \.tflite"):
        export_litert(model, tmp_path / "model.lite")


def test_a_full_folder_for_temporary_files_is_told_in_one_line_and_leaves_nothing(model, tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "no space left on device\nmore")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(WorkFailed, match=r"cannot be written there on its way \(no space left on device\)$"):
        export_litert(model, tmp_path / "out.tflite")
    assert not list(tmp_path.iterdir())


def test_views_are_refused(tiny_run, tmp_path):
    model = PanopticSegmenter.from_preset(tiny_run, ["test_time.flip=true"])
    with pytest.raises(InputError, match="test_time: 2 views: .* not possible on devices"):
        export_litert(model, tmp_path / "out.tflite")


def test_merging_at_the_files_size_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(Architecture, "merges_at_own_size", lambda *_: True)
    with pytest.raises(InputError, match=r"model\.postprocess\.merge_at: file is not possible .* expected network$"):
        export_litert(model, tmp_path / "out.tflite")
    assert not list(tmp_path.iterdir())
