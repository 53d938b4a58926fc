"""Requests with which TensorFlow Serving warms a model up before it answers others: the first run of a graph is slow.

The file is a TFRecord of `PredictionLog`. Its message classes come in the package tensorflow-serving-api, which is not
needed here: the few fields that are set are encoded by hand.

Source: https://www.tensorflow.org/tfx/serving/saved_model_warmup, and `prediction_log.proto`, `predict.proto` and
`model.proto` of TensorFlow Serving for the numbers of the fields.
"""

from __future__ import annotations

import io
from pathlib import Path

import tensorflow as tf
from PIL import Image

from tfpanoptic.export.signatures import IMAGE, IMAGE_BYTES

# Where the file is in a SavedModel.
WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"
# Height and width of the grey image, (128, 128, 128). Own choice: a graph for any size needs no photo of the real one.
_SIZE = (256, 256)


def write_warm_up(folder: Path) -> None:
    """Writes a request to `serving_default` and one to `serve_bytes`, of one image each, into a SavedModel."""
    image = tf.make_tensor_proto(128, tf.uint8, (1, *_SIZE, 3))
    png = io.BytesIO()
    Image.new("RGB", _SIZE[::-1], (128, 128, 128)).save(png, "PNG")
    requests = (
        ("serving_default", IMAGE, image),
        ("serve_bytes", IMAGE_BYTES, tf.make_tensor_proto([png.getvalue()], tf.string)),
    )
    (folder / WARM_UP).parent.mkdir()
    with tf.io.TFRecordWriter(str(folder / WARM_UP)) as writer:
        for signature, name, tensor in requests:
            writer.write(prediction_log(signature, name, tensor.SerializeToString()))


def prediction_log(signature: str, name: str, tensor: bytes) -> bytes:
    """A serialized `PredictionLog` of a request with one input.

    Args:
        signature: its name.
        name: of the input.
        tensor: the serialized `TensorProto`.
    """
    model_spec = _field(3, signature.encode())  # ModelSpec.signature_name
    inputs = _field(1, name.encode()) + _field(2, tensor)  # an entry of a map: key and value
    request = _field(1, model_spec) + _field(2, inputs)  # PredictRequest.model_spec and .inputs
    return _field(6, _field(1, request))  # PredictionLog.predict_log, PredictLog.request


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes: number and wire type 2, the length, the bytes.

    Source: https://protobuf.dev/programming-guides/encoding.
    """
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    more, low = divmod(value, 128)
    return bytes([low | 128]) + _varint(more) if more else bytes([low])
