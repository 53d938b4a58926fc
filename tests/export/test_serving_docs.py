"""The clients of docs/serving.md, against servers that answer from a SavedModel as TensorFlow Serving does."""

import base64
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

TEXT = (Path(__file__).parents[2] / "docs/serving.md").read_text(encoding="utf-8")
REST, GRPC = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def model(exported, tmp_path_factory):
    """A photo, what `segment` gives of it, and the function of the signature for bytes."""
    folder = tmp_path_factory.mktemp("serving")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    loaded = tf.saved_model.load(str(exported[1]))
    serve = loaded.signatures["serve_bytes"]
    return str(folder / "photo.png"), exported[0].segment(pixels), lambda photos: (loaded, serve(image_bytes=photos))[1]


def client(code):
    names = {}
    exec(code, names)
    return names["segment"]


def assert_answered(answer, expected):
    ids, rows = answer
    np.testing.assert_array_equal(ids, expected.segmentation)
    assert rows.shape == (len(expected.segments_info), 9) and len(rows) > 0
    assert rows[:, 0].tolist() == [segment["id"] for segment in expected.segments_info]


def test_the_client_over_rest_reads_the_answer(model):
    """Strings go in base64, to outputs whose name ends with `_bytes` alone, and rows are objects by their names.

    Source: https://www.tensorflow.org/tfx/serving/api_rest.
    """
    photo, expected, serve = model

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/models/nuclei:predict" and request["signature_name"] == "serve_bytes"
            photos = [base64.b64decode(instance["image_bytes"]["b64"]) for instance in request["instances"]]
            outputs = {name: value.numpy() for name, value in serve(tf.constant(photos)).items()}
            rows = [dict(zip(outputs, row)) for row in zip(*outputs.values(), strict=True)]
            predictions = [{name: self.plain(name, value) for name, value in row.items()} for row in rows]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"predictions": predictions}).encode())

        def plain(self, name, value):
            if isinstance(value, bytes):
                assert name.endswith("_bytes")
                return {"b64": base64.b64encode(value).decode()}
            return value.tolist()

        def log_message(self, *_):
            pass

    with HTTPServer(("localhost", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://localhost:{server.server_port}/v1/models/nuclei:predict"
        assert_answered(client(REST)(photo, url), expected)
        server.shutdown()


def test_the_client_over_grpc_reads_the_answer(model):
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    photo, expected, serve = model

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            assert request.model_spec.name == "nuclei" and request.model_spec.signature_name == "serve_bytes"
            response = predict_pb2.PredictResponse()
            for name, value in serve(tf.constant(tf.make_ndarray(request.inputs["image_bytes"]))).items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return response

    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        assert_answered(client(GRPC)(photo, f"localhost:{port}"), expected)
    finally:
        server.stop(None)


def test_the_clients_have_fifteen_lines_at_most():
    for code in (REST, GRPC):
        assert len([line for line in code.splitlines() if line.strip()]) <= 15
