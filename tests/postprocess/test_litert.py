"""Post-processing in the LiteRT interpreter, with built-in operations only."""

import tempfile

import numpy as np
import pytest
import tensorflow as tf

from tests.fixtures.upsnet import scene
from tests.postprocess.mask_scenes import CASES, OFFICIAL, found, stored, truth
from tfpanoptic.architecture import Segments
from tfpanoptic.ops.device_operators import for_devices
from tfpanoptic.ops.view_cells import View, on_cells_of
from tfpanoptic.postprocess.centers import group_and_merge, panoptic_deeplab_postprocess
from tfpanoptic.postprocess.instance_logits import best_instance
from tfpanoptic.postprocess.keypoints import deeperlab_postprocess
from tfpanoptic.postprocess.mask_classification import merge_queries
from tfpanoptic.postprocess.merge_instances import panoptic_fpn_postprocess
from tfpanoptic.postprocess.panoptic_logits import upsnet_postprocess
from tfpanoptic.postprocess.views import keypoint_outputs, keypoint_values

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    Interpreter = getattr(tf.lite, "Interpreter", None)

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(Interpreter is None, reason="no LiteRT interpreter is installed"),
]
THINGS, NUM_CATEGORIES, MAX_CENTERS = (1, 2), 4, 40


def run_in_litert(function, *arrays):
    """The outputs of a function as a model without Flex operations, converted as exports are."""
    with for_devices():
        module, concrete = tf.Module(), function.get_concrete_function()
    module.function = function
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=concrete)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        runner = Interpreter(model_content=converter.convert()).get_signature_runner()
    names = [tensor.name.split(":")[0] for tensor in concrete.inputs]
    outputs = runner(**dict(zip(names, arrays, strict=True)))
    return [outputs[name] for name in sorted(outputs)]


def test_grouping_of_any_size_gives_the_segments_of_the_graph():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None], tf.int32),
            tf.TensorSpec([None, None, None]),
            tf.TensorSpec([None, None, None, 2]),
        ]
    )
    def group(semantic, heatmap, offset):
        made = group_and_merge(semantic, heatmap, offset, THINGS, NUM_CATEGORIES, 0.1, 5, MAX_CENTERS, 10)
        return made["segment_ids"]

    random = np.random.default_rng(0)
    for shape in ((1, 20, 30), (2, 13, 17)):
        maps = (
            random.integers(0, NUM_CATEGORIES + 1, shape).astype(np.int32),
            random.uniform(size=shape).astype(np.float32),
            random.normal(size=(*shape, 2)).astype(np.float32) * 3,
        )
        (ids,) = run_in_litert(group, *maps)
        np.testing.assert_array_equal(ids, group(*maps))


def test_the_whole_way_at_one_size_gives_the_segments_of_the_graph():
    @tf.function(
        input_signature=[
            tf.TensorSpec([1, 9, 11, 5]),
            tf.TensorSpec([1, 9, 11, 1]),
            tf.TensorSpec([1, 9, 11, 2]),
        ]
    )
    def postprocess(logits, heatmap, offset):
        outputs = {"semantic_logits": logits, "center_heatmap": heatmap, "center_offset": offset}
        valid = tf.constant([[30, 41]])
        made = panoptic_deeplab_postprocess(
            outputs, (33, 41), valid, (0, 1, 2, 3, 4), THINGS, NUM_CATEGORIES, True, 0.1, 5, MAX_CENTERS, 10
        )
        return made.segment_ids

    random = np.random.default_rng(1)
    outputs = [random.uniform(size=(1, 9, 11, channels)).astype(np.float32) for channels in (5, 1, 2)]
    (ids,) = run_in_litert(postprocess, *outputs)
    np.testing.assert_array_equal(ids, postprocess(*outputs))


DETECTIONS = [
    tf.TensorSpec([None, 6, 4]),
    tf.TensorSpec([None, 6], tf.int32),
    tf.TensorSpec([None, 6, 28, 28]),
]


def stored_detections():
    return [scene.detections()[name] for name in ("boxes", "box_category", "mask_logits")]


@pytest.mark.parametrize("size", [(64, 96), (100, 110)])
def test_panoptic_logits_at_one_size_give_the_segments_of_the_graph(size):
    @tf.function(input_signature=[tf.TensorSpec([1, 64, 96, 9]), *DETECTIONS])
    def postprocess(logits, boxes, box_category, mask_logits):
        outputs = {"semantic_logits": logits, "boxes": boxes, "box_category": box_category, "mask_logits": mask_logits}
        outputs["scores"] = tf.ones_like(boxes[..., 0])
        valid = tf.constant([[size[0], 90]])
        made = upsnet_postprocess(
            outputs, size, valid, scene.CHANNELS, scene.THINGS, scene.NUM_CATEGORIES, 0.3, scene.STUFF_AREA
        )
        return made.segment_ids

    inputs = [scene.SEMANTIC_LOGITS, *stored_detections()]
    (ids,) = run_in_litert(postprocess, *inputs)
    np.testing.assert_array_equal(ids, postprocess(*inputs))


def test_detections_of_any_size_give_the_best_instances_of_the_graph():
    maps = [tf.TensorSpec([None, None, None, 9]), tf.TensorSpec([None, None, None], tf.bool)]

    @tf.function(input_signature=[maps[0], *DETECTIONS, maps[1]])
    def best(logits, boxes, box_category, mask_logits, valid):
        return best_instance(logits, boxes, box_category, mask_logits, valid, scene.CHANNELS, 0.3).place

    for size in ((64, 96), (50, 110)):
        inputs = [scene.SEMANTIC_LOGITS, *stored_detections(), np.ones((1, *size), bool)]
        (place,) = run_in_litert(best, *inputs)
        np.testing.assert_array_equal(place, best(*inputs))


def test_merging_of_instances_gives_the_segments_of_the_graph():
    @tf.function(
        input_signature=[
            tf.TensorSpec([1, 9, 11, 3]),
            tf.TensorSpec([1, 6, 4]),
            tf.TensorSpec([1, 6]),
            tf.TensorSpec([1, 6], tf.int32),
            tf.TensorSpec([1, 6, 28, 28]),
        ],
        autograph=False,
    )
    def postprocess(logits, boxes, scores, category, masks):
        outputs = {
            "semantic_logits": logits,
            "boxes": boxes,
            "scores": scores,
            "box_category": category,
            "mask_logits": masks,
        }
        valid = tf.constant([[30, 41]])
        return panoptic_fpn_postprocess(outputs, (36, 44), valid, (0, 3, 4), (3, 4), 4, 0.5, 0.5, 10).segment_ids

    random = np.random.default_rng(2)
    corner = random.uniform(0, 20, (1, 6, 2))
    inputs = (
        random.normal(size=(1, 9, 11, 3)).astype(np.float32),
        np.concatenate([corner, corner + random.uniform(4, 20, (1, 6, 2))], axis=-1).astype(np.float32),
        np.linspace(0.95, 0.45, 6, dtype=np.float32)[None],
        np.array([[1, 2, 1, 2, 1, 1]], np.int32),
        random.normal(1, 2, (1, 6, 28, 28)).astype(np.float32),
    )
    (ids,) = run_in_litert(postprocess, *inputs)
    np.testing.assert_array_equal(ids, postprocess(*inputs))
    assert len(np.unique(ids)) > 4


@pytest.mark.slow
def test_keypoints_at_one_size_give_the_segments_of_the_graph():
    names = ("semantic_logits", "keypoint_logits", "short_offset", "middle_offset", "long_offset")
    settings = {"align_corners": False, "radius": 6, "keypoint_threshold": 0.05}
    settings |= {"refinements": 2, "refinement_weight": "probability", "long_refinements": 1}
    settings |= {"long_weight": 0.1, "long_weight_per": "disk"}
    settings |= {"keypoint_window": 3, "keypoint_distance": 5.0, "instance_score": 0.1, "box_overlap": 0.7}

    @tf.function(input_signature=[tf.TensorSpec([1, 9, 11, depth]) for depth in (4, 5, 10, 16, 10)], autograph=False)
    def postprocess(*maps):
        outputs, valid = dict(zip(names, maps, strict=True)), tf.constant([[30, 41]])
        made = deeperlab_postprocess(
            outputs, (36, 44), valid, (1, 2, 3, 4), THINGS, NUM_CATEGORIES, max_instances=20, stuff_area=0, **settings
        )
        return made.segment_ids

    random = np.random.default_rng(3)
    maps = [random.normal(size=(1, 9, 11, depth)).astype(np.float32) for depth in (4, 5, 10, 16, 10)]
    (ids,) = run_in_litert(postprocess, *maps)
    np.testing.assert_array_equal(ids, postprocess(*maps))
    assert len(np.unique(ids)) > 4


@pytest.mark.parametrize("case", CASES)
def test_queries_at_one_size_give_the_segments_of_the_original(case):
    class_logits, masks, told, channels, things = stored(case)
    size, valid = (told["network"],) * 2, np.array([told["scaled"]], np.int32)

    @tf.function(input_signature=[tf.TensorSpec(x.shape) for x in (class_logits, masks)], autograph=False)
    def postprocess(class_logits, masks):
        return merge_queries(class_logits, masks, size, valid, channels, things, **OFFICIAL)._asdict()

    labels, scores, ids = run_in_litert(postprocess, class_logits, masks)
    made = Segments(ids, labels, scores)
    height, width = told["scaled"]
    np.testing.assert_array_equal(found(made)[1][:height, :width], truth(case, "network")[1])
    np.testing.assert_allclose(made.scores, postprocess(class_logits, masks)["scores"], atol=1e-6)


def test_queries_of_any_size_give_the_segments_of_the_graph():
    class_logits, masks, _, channels, things = stored("portrait")
    maps = [tf.TensorSpec(class_logits.shape), tf.TensorSpec([1, None, None, masks.shape[3]])]

    @tf.function(input_signature=[*maps, tf.TensorSpec([1, 2], tf.int32)], autograph=False)
    def postprocess(class_logits, masks, valid):
        size = tuple(4 * side for side in tf.unstack(tf.shape(masks)[1:3]))
        return merge_queries(class_logits, masks, size, valid, channels, things, **OFFICIAL).segment_ids

    inputs = (class_logits, masks[:, :24], np.array([[90, 80]], np.int32))
    (ids,) = run_in_litert(postprocess, *inputs)
    assert ids.shape == (1, 96, 128) and ids.any()
    np.testing.assert_array_equal(ids, postprocess(*inputs))


def test_a_mirrored_view_of_any_size_has_the_outputs_of_the_graph():
    names = ("semantic_logits", "keypoint_logits", "short_offset", "middle_offset", "long_offset")
    depths = (4, 5, 10, 16, 10)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, depth]) for depth in depths], autograph=False)
    def brought_back(*maps):
        height, width = (4 * side for side in tf.unstack(tf.shape(maps[0])[1:3]))
        view, reference = View((height, width), (height - 1, width - 3), True), View((24, 28), (21, 27))
        outputs = {
            name: on_cells_of(part, view, reference, False, False) for name, part in zip(names, maps, strict=True)
        }
        made = keypoint_outputs(keypoint_values(outputs, tf.constant([0.6, 0.7]), True))
        return tf.concat([made[name] for name in names], axis=-1)

    random = np.random.default_rng(4)
    maps = [random.normal(size=(1, 9, 11, depth)).astype(np.float32) for depth in depths]
    (made,) = run_in_litert(brought_back, *maps)
    assert made.shape == (1, 6, 7, sum(depths))
    np.testing.assert_allclose(made, brought_back(*maps), atol=1e-5)
