"""What `lite` runs: a model's graph in either form, and metadata of one's own."""

from __future__ import annotations

from dataclasses import replace

from tests.architectures import experiments
from tfpanoptic.export.device_graph import device_graph, device_metadata
from tfpanoptic.export.litert import float32_model
from tfpanoptic.lite.metadata import Metadata
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.input_size import InputConfig


def with_policy(segmenter: PanopticSegmenter, **policy) -> PanopticSegmenter:
    """The model on the same weights with another input policy."""
    experiment = segmenter.experiment.model_copy(update={"input": InputConfig(**policy)})
    other = PanopticSegmenter(experiment, segmenter.categories)
    other.set_weights(segmenter.get_weights())
    return other


def metadata_of(segmenter: PanopticSegmenter, canvas: tuple[int, int] | None, **policy) -> Metadata:
    """What an export of the model says, for a canvas of fixed size or any, with settings of the policy changed."""
    metadata = device_metadata(segmenter, canvas, "none")
    return replace(metadata, input=replace(metadata.input, **policy))


def litert(segmenter: PanopticSegmenter, size: tuple[int, int] | None) -> bytes:
    """The model's graph in LiteRT's format, float32."""
    return float32_model(device_graph(segmenter, size))


def onnx(segmenter: PanopticSegmenter, size: tuple[int, int] | None, metadata: Metadata) -> bytes:
    """The model's graph as ONNX with its metadata."""
    import tf2onnx

    serve = device_graph(segmenter, size).serve
    model, _ = tf2onnx.convert.from_function(serve, input_signature=serve.input_signature, opset=17)
    for name, content in metadata.files().items():
        model.metadata_props.add(key=name, value=content)
    return model.SerializeToString()


def toy() -> PanopticSegmenter:
    """The smallest model: it resizes with half-pixel centres, on sides of 4 k."""
    return experiments.segmenter("toy")
