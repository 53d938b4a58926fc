"""The graph that goes to devices: a photo on the network's grid -> segments at that size.

Devices resize and pad the photo and enlarge the map themselves, as `lite.Segmenter` does: so most sizes of the graph
are fixed, and no operator is needed beyond the built-in ones of LiteRT and those of ONNX.

Signature `serving_default`:
    `image` float32 `[1, h, w, 3]`, RGB 0..255, resized by the input policy, 0 below and right of the photo
    `valid_size` int32 `[1, 2]`, (height, width) of the photo in it
    ->
    `segment_ids` int32 `[1, h, w]`, 0 void, else row + 1 of the tables
    `labels` int32 `[1, N]`, category * 10000 + instance of each row, 0 in empty rows
    `scores` float32 `[1, N]`
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfpanoptic.errors import InputError
from tfpanoptic.lite.metadata import Metadata
from tfpanoptic.lite.runtimes import IMAGE, OUTPUTS, VALID_SIZE
from tfpanoptic.ops.device_operators import for_devices
from tfpanoptic.settings.sizes import InputPolicy, require_fitting
from tfpanoptic.version import __version__


def device_graph(segmenter, size: tuple[int, int] | None) -> tf.Module:
    """The graph of one image as a module with its variables and the function `serve`, for the formats' converters.

    Args:
        segmenter: the model.
        size: (h, w) of the network's input; None leaves both to the call.

    Raises:
        InputError: the grid does not allow the size, or the experiment averages views or merges at the file's size.
    """
    experiment = segmenter.experiment
    if experiment.test_time.augments:
        raise InputError(f"test_time: {experiment.test_time} are not possible on devices; expected the image itself")
    if experiment.architecture.merges_at_own_size(experiment.model):
        raise InputError("model.postprocess.merge_at: file is not possible on devices; expected network")
    if size is not None:
        require_fitting("size", size, experiment.grid)
    signature = [
        tf.TensorSpec([1, *(size or (None, None)), 3], tf.float32, name=IMAGE),
        tf.TensorSpec([1, 2], tf.int32, name=VALID_SIZE),
    ]

    @tf.function(input_signature=signature, autograph=False)
    def serve(image, valid_size):
        whole: Any = size or tf.unstack(tf.shape(image)[1:3])
        model, categories = experiment.model, segmenter.categories
        with for_devices():
            outputs = segmenter.infer_network({IMAGE: image, VALID_SIZE: valid_size}, training=False)
            segments = experiment.architecture.postprocess(outputs, tuple(whole), valid_size, model, categories)
        return dict(zip(OUTPUTS, segments, strict=True))

    module = tf.Module()
    module.network_variables = [variable.value for variable in segmenter.variables]
    module.serve = serve
    return module


def device_metadata(segmenter, size: tuple[int, int] | None, quantize: str) -> Metadata:
    """What the file of such a graph says of itself."""
    experiment = segmenter.experiment
    return Metadata(
        architecture=experiment.architecture.name,
        categories=segmenter.categories,
        input=InputPolicy(**experiment.input.model_dump()),
        grid=experiment.grid,
        size=size,
        quantize=quantize,
        versions={"tfpanoptic": __version__, "tensorflow": tf.__version__, "keras": keras.__version__},
        licence=segmenter.licence,
        config=experiment.to_yaml(),
    )
