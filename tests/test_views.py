"""Views of an image through networks whose outputs are known: they read the truth from colours that are painted."""

import copy
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.architectures.experiments import CROPS, MODELS
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data.input_size import prepare_batch
from tfpanoptic.experiment import Experiment
from tfpanoptic.inference import segment_images, segmenting_function
from tfpanoptic.metrics.panoptic_quality import PanopticQuality
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.views import averaged_outputs

CATEGORIES = CategoryTable.from_coco(
    [
        {"id": 1, "name": "thing", "isthing": 1},
        {"id": 2, "name": "sky", "isthing": 0},
        {"id": 3, "name": "sea", "isthing": 0},
    ]
)
EVERY = {"flip": True, "scales": [0.75, 1, 1.5]}
# Axial-DeepLab has the functions of Panoptic-DeepLab.
BOTTOM_UP = ("panoptic_deeplab", "deeperlab")


def experiment(name="panoptic_deeplab", align_corners=True, test_time=None, **input_policy):
    model = copy.deepcopy(MODELS[name]) | {"align_corners": align_corners}
    if name != "deeperlab":
        model["targets"] = {"sigma": 3.0}
        model["postprocess"] |= {"center_threshold": 0.2}
    crop = [64 + align_corners] * 2
    return Experiment.from_dict(
        {
            "data": {"name": "nuclei"},
            "input": input_policy,
            "augment": {"crop": crop},
            "model": model,
            "test_time": test_time or {},
        }
    )


def scene(height, width):
    """A panoptic map: sky above sea, and three things that are not alike."""
    panoptic = np.full((height, width), 20_000, np.int32)
    panoptic[height // 2 :] = 30_000
    panoptic[6:26, 5:23] = 10_001
    panoptic[18:46, 32:50] = 10_002
    panoptic[34:50, 8:28] = 10_003
    return panoptic


LABELS = np.array([10_001, 10_002, 10_003, 20_000, 30_000], np.int32)
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], np.uint8)


def painted(panoptic):
    """uint8 `[1, H, W, 3]`, each segment in its colour."""
    return COLORS[np.searchsorted(LABELS, panoptic)][None]


def truth_of(image):
    """The panoptic map of a painted image, resized or not."""
    distance = ((image[:, :, None].astype(np.float32) - COLORS) ** 2).sum(-1)
    return LABELS[distance.argmin(-1)]


@pytest.fixture
def eager():
    """Functions run line by line: the oracle is no graph."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


class Oracle:
    """A network that reads the truth from the colours and says what perfect heads would; padding is sky."""

    def __init__(self, made):
        self.made, self.seen = made, []

    def __call__(self, inputs, training):
        image, (height, width) = np.asarray(inputs["image"])[0], np.asarray(inputs["valid_size"])[0]
        self.seen.append((image.shape[:2], (height, width)))
        panoptic = np.full(image.shape[:2], 20_000, np.int32)
        panoptic[:height, :width] = truth_of(image[:height, :width])
        record = self.made.architecture
        outputs = record.oracle.perfect_outputs(panoptic, self.made.model, CATEGORIES)
        return {name: tf.constant(values) for name, values in outputs.items()}


def quality(made, panoptic):
    """PQ, SQ and RQ of perfect heads."""
    segments = segment_images(Oracle(made), painted(panoptic), made, CATEGORIES)
    labels = np.concatenate([[0], np.asarray(segments.labels)[0]])
    metric = PanopticQuality(CATEGORIES)
    metric.update_state(panoptic[None], labels[np.asarray(segments.segment_ids)].astype(np.int32))
    return {name: float(value) for name, value in metric.result().items()}


@pytest.mark.parametrize(
    ("name", "align_corners", "size", "policy"),
    [
        ("panoptic_deeplab", True, (65, 65), {}),
        ("panoptic_deeplab", True, (57, 70), {"pad_to": [81, 113]}),
        ("panoptic_deeplab", False, (57, 71), {}),
        ("panoptic_deeplab", False, (56, 61), {"long_side": 90}),
        ("deeperlab", False, (64, 64), {}),
        ("deeperlab", True, (56, 61), {"long_side": 90, "pad_to": [97, 97]}),
    ],
)
def test_perfect_views_find_the_segments_that_the_image_itself_does(eager, name, align_corners, size, policy):
    panoptic = scene(*size)
    alone = quality(experiment(name, align_corners, **policy), panoptic)
    assert alone["rq"] == 1
    for test_time in ({"flip": True}, {"scales": [1.5]}, EVERY):
        together = quality(experiment(name, align_corners, test_time, **policy), panoptic)
        # Nothing is missed and nothing made up; borders that are read between cells are not so sharp.
        assert together["rq"] == 1 and together["sq"] > alone["sq"] - 0.03


def test_perfect_mirrored_views_lose_nothing_where_cells_lie_on_cells(eager):
    panoptic = scene(64, 64)
    made = [experiment("panoptic_deeplab", False, test_time) for test_time in ({}, {"flip": True})]
    assert quality(made[1], panoptic) == pytest.approx(quality(made[0], panoptic), abs=0.002)


def test_views_have_the_sizes_of_the_policy_times_their_scale(eager):
    made = experiment("panoptic_deeplab", True, {"flip": True, "scales": [0.5, 2]}, long_side=65, pad_to=[65, 81])
    oracle = Oracle(made)
    _, size, valid_size = averaged_outputs(oracle, painted(scene(60, 120)), made)
    # 60 x 120 becomes 33 x 65 (32.5 rounds up). Half of the distance between its corners: 16 and 32 and 1 pixel more.
    small, large = ((33, 49), (17, 33)), ((129, 161), (65, 129))
    assert [(shape, tuple(map(int, valid))) for shape, valid in oracle.seen] == [small, small, large, large]
    assert tuple(map(int, size)) == (65, 81) and np.asarray(valid_size).tolist() == [[33, 65]]


def test_without_views_the_network_sees_the_image_once_as_ever():
    for scales in ([1.0], [1]):
        oracle = Oracle(experiment(test_time={"scales": scales}))
        segment_images(oracle, painted(scene(64, 64)), oracle.made, CATEGORIES)
        assert oracle.seen == [((65, 65), (64, 64))]


def test_without_views_the_graph_has_none_of_their_operations():
    made = experiment("panoptic_deeplab")
    network = made.architecture.build(made.model, CATEGORIES).infer

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)], autograph=False)
    def alone(images):
        prepared, valid_size = prepare_batch(images, made.input, made.grid)
        outputs = network({"image": prepared, "valid_size": valid_size}, training=False)
        size = tuple(tf.unstack(tf.shape(prepared)[1:3]))
        return made.architecture.postprocess(outputs, size, valid_size, made.model, CATEGORIES)

    def operations(function):
        return Counter(operation.type for operation in function.graph.get_operations())

    plain, more = operations(segmenting_function(network, made, CATEGORIES)), operations(alone.get_concrete_function())
    views = experiment("panoptic_deeplab", test_time={"flip": True})
    flipped = operations(segmenting_function(network, views, CATEGORIES))
    for kind in ("Conv2D", "ReverseV2", "Softmax", "Log", "ResizeBilinear", "StatefulPartitionedCall"):
        assert plain[kind] == more[kind], kind
    # The network is one function, called twice.
    assert (flipped["Conv2D"], flipped["StatefulPartitionedCall"], flipped["ReverseV2"]) == (0, 2, 1)


@pytest.fixture(scope="module", params=BOTTOM_UP)
def segmenter(request):
    """A real network with random weights."""
    keras.utils.set_random_seed(0)
    name = request.param
    settings = {"data": {"name": "nuclei"}, "augment": {"crop": CROPS[name]}, "model": MODELS[name]}
    made = Experiment.from_dict(settings | {"test_time": {"flip": True}})
    return PanopticSegmenter(made, made.load_categories())


def random_image(height, width):
    return np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)


def test_a_mirrored_image_has_the_mirrored_outputs(segmenter):
    height, width = CROPS[segmenter.experiment.model.name]
    image = random_image(height, width + 16)
    outputs, mirrored = (
        averaged_outputs(segmenter.infer_network, seen, segmenter.experiment)[0] for seen in (image, image[:, :, ::-1])
    )
    for name in ("semantic_logits", "center_heatmap", "keypoint_logits"):
        if name in outputs:
            ours, theirs = np.asarray(mirrored[name])[:, :, ::-1], np.asarray(outputs[name])
            if name == "keypoint_logits":
                ours = ours[..., [1, 0, 3, 2, 4]]
            np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs.std() + 1e-5, err_msg=name)


def test_images_of_a_batch_have_the_outputs_that_they_have_alone(segmenter):
    images = np.concatenate([random_image(50, 70), random_image(50, 70)[:, ::-1]])
    together = averaged_outputs(segmenter.infer_network, images, segmenter.experiment)
    assert np.asarray(together[2]).tolist() == [[50, 70]] * 2
    for place in (0, 1):
        alone = averaged_outputs(segmenter.infer_network, images[place : place + 1], segmenter.experiment)
        for name, values in alone[0].items():
            np.testing.assert_allclose(together[0][name][place], values[0], rtol=1e-3, atol=1e-4, err_msg=name)
