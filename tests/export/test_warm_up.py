import pytest
import tensorflow as tf

from tfpanoptic.export.warm_up import WARM_UP, prediction_log, write_warm_up

prediction_log_pb2 = pytest.importorskip(
    "tensorflow_serving.apis.prediction_log_pb2", reason="needs tensorflow-serving-api"
)


def test_the_requests_are_those_that_tensorflow_serving_reads(tmp_path):
    write_warm_up(tmp_path)
    records = tf.data.TFRecordDataset(str(tmp_path / WARM_UP)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log"] * 2
    requests = {log.predict_log.request.model_spec.signature_name: log.predict_log.request for log in logs}
    assert requests.keys() == {"serving_default", "serve_bytes"}
    image = tf.make_ndarray(requests["serving_default"].inputs["image"])
    assert image.dtype == "uint8" and image.shape == (1, 256, 256, 3) and (image == 128).all()
    (png,) = tf.make_ndarray(requests["serve_bytes"].inputs["image_bytes"])
    assert (tf.io.decode_png(png) == 128).numpy().all()


@pytest.mark.parametrize("length", [0, 1, 127, 128, 300, 20_000])
def test_a_request_of_any_length_is_encoded_as_by_the_message_class(length):
    expected = prediction_log_pb2.PredictionLog()
    request = expected.predict_log.request
    request.model_spec.signature_name = "serve_bytes"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([bytes(length)], tf.string))
    tensor = request.inputs["image_bytes"].SerializeToString()
    encoded = prediction_log("serve_bytes", "image_bytes", tensor)
    assert prediction_log_pb2.PredictionLog.FromString(encoded) == expected
