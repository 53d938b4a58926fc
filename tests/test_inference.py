from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.architectures.toy import TOY
from tests.postprocess.mask_scenes import OFFICIAL, found, stored, truth
from tfpanoptic.inference import merging_function, segmenting_function
from tfpanoptic.ops.resize import nearest_to_size
from tfpanoptic.postprocess.mask_classification import merge_queries, merge_queries_at_own_size


def merged(case, merge_at):
    """Segments of a stored case at the file's size, as evaluation and tuning make them."""
    class_logits, masks, told, channels, things = stored(case)

    def run(function, outputs, *sizes_and_settings):
        *sizes, _, _ = sizes_and_settings
        return function(outputs["class"], outputs["masks"], *sizes, channels, things, **OFFICIAL)

    functions = (partial(run, function) for function in (merge_queries, merge_queries_at_own_size))
    architecture = replace(TOY, **dict(zip(("postprocess", "own_size_postprocess"), functions, strict=True)))
    settings = SimpleNamespace(postprocess=SimpleNamespace(merge_at=merge_at))
    experiment = SimpleNamespace(architecture=architecture, model=settings)
    outputs = {"class": tf.constant(class_logits), "masks": tf.constant(masks)}
    size, valid = tf.constant([told["network"]] * 2), tf.constant([told["scaled"]])
    predicting = SimpleNamespace(structured_outputs=(outputs, size, valid))
    merge = merging_function(predicting, experiment, None)
    return found(merge(outputs, size, valid, tf.constant(told["size"])))


@pytest.mark.parametrize("case", ["landscape", "portrait"])
def test_segments_are_merged_at_the_files_size_where_the_configuration_asks_for_it(case):
    category, segment = merged(case, "file")
    np.testing.assert_array_equal(category, truth(case, "file")[0])
    np.testing.assert_array_equal(segment, truth(case, "file")[1])


@pytest.mark.parametrize("case", ["landscape", "portrait"])
def test_segments_merged_at_network_size_are_enlarged_by_nearest_index(case):
    told, (_, segment) = stored(case)[2], truth(case, "network")
    expected = nearest_to_size(segment[None].astype("int32"), told["scaled"], told["size"], False)[0]
    ours = merged(case, "network")[1]
    np.testing.assert_array_equal(ours, expected)
    assert 0.98 < (ours == truth(case, "file")[1]).mean() < 1


def test_the_functions_of_several_models_are_no_retracing_of_one(monkeypatch, caplog):
    """TensorFlow warns at the fifth trace of what it takes for one function."""
    monkeypatch.setattr("tfpanoptic.inference.segment_images", lambda network, images, *_: images + network)
    image = np.zeros((1, 2, 3, 3), np.uint8)
    for model in range(8):
        np.testing.assert_array_equal(segmenting_function(model, None, None)(image), image + model)
    assert "retracing" not in caplog.text
