"""Files that `lite` runs, made without the exporters: a model's graph, and metadata of one's own."""

from __future__ import annotations

import tempfile
from dataclasses import replace

import tensorflow as tf

from tests.architectures import experiments
from tfpanoptic.export.device_graph import device_graph
from tfpanoptic.lite.metadata import Metadata
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import InputPolicy
from tfpanoptic.version import __version__


def with_policy(segmenter: PanopticSegmenter, **policy) -> PanopticSegmenter:
    """The model on the same weights with another input policy."""
    experiment = segmenter.experiment.model_copy(update={"input": InputConfig(**policy)})
    other = PanopticSegmenter(experiment, segmenter.categories)
    other.set_weights(segmenter.get_weights())
    return other


def metadata_of(segmenter: PanopticSegmenter, canvas: tuple[int, int] | None, **policy) -> Metadata:
    """What an export of the model says, for a canvas of fixed size or any, with settings of the policy changed."""
    experiment = segmenter.experiment
    return Metadata(
        architecture=experiment.architecture.name,
        categories=segmenter.categories,
        input=replace(InputPolicy(**experiment.input.model_dump()), **policy),
        grid=experiment.grid,
        size=canvas,
        quantize="none",
        versions={"tfpanoptic": __version__},
        licence=None,
        config=experiment.to_yaml(),
    )


def litert(segmenter: PanopticSegmenter, size: tuple[int, int] | None) -> bytes:
    """The model's graph in LiteRT's format, float32."""
    graph = device_graph(segmenter, size)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(graph, folder, signatures={"serving_default": graph.serve})
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


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
