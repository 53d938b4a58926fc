"""LiteRT (TFLite): one file with post-processing inside, of built-in operators alone, for `lite.Segmenter` and any app.

Its inputs and outputs are those of `device_graph`; its metadata are appended as `lite/metadata.py` says.

Only what the network learned is quantized. Post-processing has coordinates, indices and ties, which neither float16 nor
8 bits hold: with all constants as float16 a Panoptic-DeepLab of nuclei agreed with itself at PQ 76.5 of things, with
the convolutions' alone at 99.99.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.atomic import replace_file
from tfpanoptic.errors import InputError, WorkFailed, first_line
from tfpanoptic.export.format import Format, require_new_file
from tfpanoptic.export.zeros import without_zeros
from tfpanoptic.lite import Segmenter
from tfpanoptic.lite.metadata import Metadata, with_metadata
from tfpanoptic.lite.runtimes import IMAGE, VALID_SIZE
from tfpanoptic.lite.sizes import prepare
from tfpanoptic.result import PanopticResult
from tfpanoptic.settings.precision import PRECISIONS, Precision
from tfpanoptic.settings.sizes import require_bounded

# Photos that say in which range the numbers of a network lie. Own choice: 24 photos of nuclei cost 0.1 points of PQ.
CALIBRATION_PHOTOS = 24
SIGNATURE = "serving_default"
# Layers whose outputs are what the heads say, beside the `category_layers` of the architecture.
HEADS = r".*/(predict|logits|class_logits|mask_logits|deltas|objectness|offset)(_\d+)?/"


def export_litert(
    segmenter,
    out: str | Path,
    overwrite: bool = False,
    size: tuple[int, int] | None = None,
    quantize: Precision = "none",
    calibration: Sequence[np.ndarray] | None = None,
) -> None:
    """Writes the file.

    Args:
        segmenter: the model.
        out: the file, which ends in .tflite.
        overwrite: replace an older one.
        size: (h, w) of the input, on the model's grid; None: any size, which the caller sets.
        quantize: "none"; "float16" weights, which are half the size; "dynamic": 8-bit weights; "int8": 8-bit weights
            and numbers between them, in convolutions. Heads' last convolutions and post-processing stay float32.
        calibration: photos for int8, uint8 `[H, W, 3]`; by default some of the experiment's training photos.

    Raises:
        InputError: the file exists, or an option that is not possible; or Keras runs on another backend.
        WorkFailed: the folder for temporary files is full.
    """
    from tfpanoptic.ops.tensorflow_only import require_tensorflow

    require_tensorflow("export")
    from tfpanoptic.export.device_graph import device_graph, device_metadata

    out = Path(out)
    _require_options(out, overwrite, quantize)
    graph, metadata = device_graph(segmenter, size), device_metadata(segmenter, size, quantize)
    photos = _calibration(segmenter, calibration, metadata) if quantize == "int8" else ()
    model = without_zeros(float32_model(graph))
    if quantize != "none":
        model = _quantized(model, segmenter, quantize, photos)
    replace_file(out, with_metadata(model, metadata))


def _require_options(out: Path, overwrite: bool, quantize: str) -> None:
    require_new_file(out, ".tflite", overwrite)
    if quantize not in PRECISIONS:
        raise InputError(f"quantize: expected one of {', '.join(PRECISIONS)}, found {quantize!r}")
    if quantize != "none":
        try:
            import ai_edge_quantizer  # noqa: F401
        except ImportError:
            raise InputError(f"quantize: {quantize} needs ai-edge-quantizer: pip install tfpanoptic[litert]") from None


def float32_model(graph: Any) -> bytes:
    """The model of a `device_graph`, with the signature `serving_default`.

    A SavedModel is between: from concrete functions the converter leaves variables empty.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder, quiet():
        try:
            tf.saved_model.save(graph, folder, signatures={SIGNATURE: graph.serve})
        except tf.errors.OpError as error:
            said = first_line(error)
            raise WorkFailed(f"{folder}: the model cannot be written there on its way ({said})") from None
        try:
            return tf.lite.TFLiteConverter.from_saved_model(folder).convert()
        except Exception as error:  # the converter's own class is not public
            raise WorkFailed(f"the model does not convert to LiteRT ({first_line(error)})") from error


def _quantized(model: bytes, segmenter, quantize: str, photos: Sequence[dict[str, np.ndarray]]) -> bytes:
    """The model with the network's weights in fewer bits; what post-processing computes is left alone."""
    from ai_edge_quantizer import qtyping, quantizer

    operations = qtyping.TFLOperationName
    layers = (operations.CONV_2D, operations.DEPTHWISE_CONV_2D, operations.FULLY_CONNECTED)
    work = quantizer.Quantizer(bytearray(model))
    scope = rf"{re.escape(segmenter.infer_network.name)}(_\d+)?/"
    declared = segmenter.experiment.architecture.category_layers
    heads = [HEADS, *(r"(_\d+)?/".join(map(re.escape, (*layer.path.split("/"), ""))) for layer in declared)]
    for layer in layers:
        if quantize == "float16":
            _as_float16(work, scope, layer)
        elif quantize == "dynamic":
            work.add_dynamic_config(regex=scope, operation_name=layer, num_bits=8)
        else:
            work.add_static_config(regex=scope, operation_name=layer, activation_num_bits=8, weight_num_bits=8)
            # 8-bit heat maps have plateaus, whose peaks are arbitrary.
            for head in heads:
                work.update_quantization_recipe(regex=scope + head, operation_name=layer, algorithm_key="no_quantize")
    with quiet():
        ranges = _ranges(work, photos) if quantize == "int8" else None
        return bytes(work.quantize(ranges).quantized_model)


def _ranges(work: Any, photos: Sequence[dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """The least and the largest number of each tensor over all photos.

    The quantizer's own moving average forgets what is rare: with stained and fluorescent nuclei mixed it cost a
    Panoptic-DeepLab 3.7 points of PQ, by the input of its first layer, where these cost 0.1.
    """
    from ai_edge_quantizer import calibrator

    mode, threads = calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED, os.cpu_count() or 1
    ranges: dict[str, dict[str, np.ndarray]] = {}
    for photo in photos:
        for name, found in work.calibrate({SIGNATURE: [photo]}, num_threads=threads, mode=mode).items():
            known = ranges.get(name, found)
            if known:
                found = {"min": np.minimum(known["min"], found["min"]), "max": np.maximum(known["max"], found["max"])}
            ranges[name] = found
    return ranges


def _as_float16(work: Any, scope: str, layer: Any) -> None:
    """Weights of a kind of layer as float16, which the runtime widens when it loads them."""
    from ai_edge_quantizer import qtyping

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    work.update_quantization_recipe(regex=scope, operation_name=layer, op_config=config, algorithm_key="float_casting")


def _calibration(segmenter, photos: Sequence[np.ndarray] | None, metadata: Metadata) -> list[dict[str, np.ndarray]]:
    """The model's inputs for some photos.

    Raises:
        InputError: there are none, or one is too large for an input of any size.
    """
    photos = _training_photos(segmenter) if photos is None else photos
    inputs = []
    for number, photo in enumerate(photos):
        if metadata.size is None:
            require_bounded(f"calibration[{number}]", photo.shape[:2], metadata.input)
        image, part = prepare(photo, metadata.input, metadata.grid, metadata.size)
        inputs.append({IMAGE: image, VALID_SIZE: np.array([part], np.int32)})
    if not inputs:
        raise InputError("calibration: no photos; int8 needs some to see in which range the network's numbers lie")
    return inputs


def _training_photos(segmenter) -> list[np.ndarray]:
    """A few training photos, spread over all."""
    from tfpanoptic.data.dataset import read_record_image
    from tfpanoptic.data.spread import spread

    try:
        records = segmenter.experiment.load_data("train").records
    except InputError as error:
        raise InputError(f"quantize: int8 needs photos like those to come; give --calibrate FOLDER ({error})") from None
    chosen = spread(records, CALIBRATION_PHOTOS)
    return [read_record_image(record, segmenter.experiment.input.deep_grey) for record in chosen]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars of the converters."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def open_litert(path: str | Path, threads: int | None = None) -> Callable[[np.ndarray], PanopticResult]:
    """The file as a function of one image, in the runtime of devices."""
    return Segmenter(path, threads).segment


FORMAT = Format(export_litert, open_litert, suffix=".tflite", options=("size", "quantize", "calibration"))
