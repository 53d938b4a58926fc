"""What Panoptic FPN and UPSNet do with data at the edge of what they can take."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.architectures.experiments import MODELS
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import SettingError
from tfpanoptic.losses.shares import weighted_shares
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.panoptic_map import category_of, encode, instance_of
from tfpanoptic.settings.config import validate

SIZE = 64


def table(things, stuff):
    names = [f"thing{i}" for i in range(things)] + [f"stuff{i}" for i in range(stuff)]
    return CategoryTable(tuple(Category(i, n, i <= things, (0, 0, 0), i) for i, n in enumerate(names, start=1)))


@pytest.fixture(params=["panoptic_fpn", "upsnet"])
def architecture(request):
    return ARCHITECTURES[request.param]


def config_of(architecture, **changes):
    return architecture.config.model_validate({**MODELS[architecture.name], **changes})


def batch_of(architecture, config, categories, panoptic):
    """A batch from panoptic maps [B, H, W]."""
    rng = np.random.default_rng(0)
    examples = [
        {
            "panoptic": tf.constant(one, tf.int32),
            "seed": tf.constant([i, 7]),
            "valid_size": tf.constant(one.shape),
            "step": tf.constant(0),
        }
        for i, one in enumerate(panoptic)
    ]
    made = [architecture.targets(example, config, categories) for example in examples]
    targets = {name: tf.stack([one[name] for one in made]) for name in made[0]}
    inputs = {
        "image": rng.uniform(0, 255, (*panoptic.shape, 3)).astype("float32"),
        "valid_size": np.tile(np.array([panoptic.shape[1:]], "int32"), (len(panoptic), 1)),
        "seed": np.array([[i, 7] for i in range(len(panoptic))], "int32"),
        **{name: targets[name] for name in ("boxes", "box_category")},
    }
    return {name: tf.constant(value) for name, value in inputs.items()}, targets


def shares_of(architecture, config, categories, panoptic):
    """Each weighted term, and whether all gradients are finite."""
    keras.utils.set_random_seed(0)
    network = architecture.build(config, categories).train
    inputs, targets = batch_of(architecture, config, categories, panoptic)
    with tf.GradientTape() as tape:
        outputs = network(inputs, training=True)
        terms = architecture.loss(outputs, targets, config, categories)
        counts = architecture.all_counts(outputs, targets, config)
        shares = weighted_shares(terms, architecture.loss_weights(config), counts)
        total = sum(shares.values())
    gradients = tape.gradient(total, [weight.value for weight in network.trainable_weights])
    finite = all(np.isfinite(gradient).all() for gradient in gradients if gradient is not None)
    return {name: float(value) for name, value in shares.items()}, finite


def a_map(*instances, stuff=3):
    """Stuff with rectangles (category, number, y1, x1, y2, x2) on it."""
    panoptic = np.full((SIZE, SIZE), encode(stuff, 0), "int32")
    for category, number, y1, x1, y2, x2 in instances:
        panoptic[y1:y2, x1:x2] = encode(category, number)
    return panoptic


def test_images_without_instances_teach_background_and_stuff(architecture):
    config, categories = config_of(architecture), table(2, 2)
    shares, finite = shares_of(architecture, config, categories, np.stack([a_map()] * 2))
    assert finite and all(np.isfinite(value) for value in shares.values())
    assert {name for name, value in shares.items() if value == 0} >= {"anchor_box", "region_box", "mask"}
    assert all(shares[name] > 0 for name in ("anchor_class", "region_class", "semantic"))


def test_an_image_that_is_void_throughout_teaches_no_label(architecture):
    config, categories = config_of(architecture), table(2, 2)
    shares, finite = shares_of(architecture, config, categories, np.zeros((2, SIZE, SIZE), "int32"))
    assert finite and shares["semantic"] == 0 and all(np.isfinite(value) for value in shares.values())


def test_an_instance_of_one_pixel_is_taught(architecture):
    config, categories = config_of(architecture), table(2, 2)
    shares, finite = shares_of(architecture, config, categories, a_map((1, 1, 9, 9, 10, 10))[None])
    assert finite and all(np.isfinite(value) for value in shares.values()) and shares["anchor_box"] > 0


def test_crowds_are_no_instances(architecture):
    config, categories = config_of(architecture), table(2, 2)
    _, targets = batch_of(architecture, config, categories, a_map((1, 0, 4, 4, 30, 30), (2, 1, 40, 40, 50, 60))[None])
    assert np.asarray(targets["box_category"])[0].tolist() == [2] + [0] * (config.instance.max_instances - 1)


def test_data_without_things_are_refused(architecture):
    with pytest.raises(SettingError, match="no category of things"):
        architecture.build(config_of(architecture), table(0, 2))


def test_data_without_stuff():
    architecture = ARCHITECTURES["panoptic_fpn"]
    config, categories = config_of(architecture), table(2, 0)
    panoptic = a_map((1, 1, 4, 4, 30, 30), stuff=0)
    shares, finite = shares_of(architecture, config, categories, panoptic[None])
    assert finite and shares["semantic"] == 0 and shares["mask"] > 0
    network = architecture.build(config, categories).infer
    valid = np.array([[SIZE, SIZE]], "int32")
    outputs = network({"image": np.zeros((1, SIZE, SIZE, 3), "float32"), "valid_size": valid})
    segments = architecture.postprocess(outputs, (SIZE, SIZE), valid, config, categories)
    assert segments.labels.shape == (1, config.postprocess.max_detections)
    with pytest.raises(SettingError, match="no category of stuff"):
        ARCHITECTURES["upsnet"].build(config_of(ARCHITECTURES["upsnet"]), categories)


def test_an_image_smaller_than_the_largest_stride(architecture):
    config, categories = config_of(architecture), table(2, 2)
    network = architecture.build(config, categories).infer
    valid = np.array([[9, 20]], "int32")
    outputs = network({"image": np.zeros((1, 32, 32, 3), "float32"), "valid_size": valid})
    segments = architecture.postprocess(outputs, (32, 32), valid, config, categories)
    ids = np.asarray(segments.segment_ids)
    assert ids.shape == (1, 32, 32) and not ids[:, 9:].any() and not ids[:, :, 20:].any()
    labels = np.asarray(segments.labels)
    things = labels[:, : config.postprocess.max_detections]
    assert (category_of(things[things > 0]) <= 2).all() and (instance_of(things[things > 0]) > 0).all()


@pytest.mark.parametrize("backbone", [{"name": "resnet18", "width_multiplier": 0.0625}, {"name": "mobilenet_v3_small"}])
def test_small_backbones_carry_a_pyramid(architecture, backbone):
    network = architecture.build(config_of(architecture, backbone=backbone), table(1, 1)).infer
    outputs = network({"image": np.zeros((1, 32, 64, 3), "float32"), "valid_size": np.array([[32, 64]], "int32")})
    assert outputs["semantic_logits"].shape == (1, 8, 16, 2)


def test_a_backbone_of_another_output_stride_is_refused(architecture):
    backbone = {"name": "resnet10", "output_stride": 16, "width_multiplier": 0.0625}
    with pytest.raises(SettingError, match=r"model\.backbone\.output_stride.*32.*16"):
        architecture.build(config_of(architecture, backbone=backbone), table(1, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rpn": {"negative": 0.8}}, "negative 0.8 is above positive 0.7"),
        ({"rpn": {"anchor_sizes": [1, 2, 3, 4]}}, "anchor_sizes"),
        ({"rpn": {"anchor_ratios": [0.5, -1]}}, "expected positive sizes and ratios"),
        ({"mask_head": {"size": 27}}, "multiple of 2"),
        ({"box_head": {"sample": 3}}, "foreground_fraction 0.25 of sample 3"),
        ({"max_instances": 0}, "greater than or equal to 1"),
        ({"box_heads": {}}, "box_heads"),
    ],
)
def test_wrong_settings_are_named(architecture, change, message):
    from tfpanoptic.errors import InputError

    settings = {**MODELS[architecture.name], "instance": change}
    with pytest.raises(InputError, match=message):
        validate(architecture.config, settings, "my.yaml")


def test_upsnets_own_defaults_stay_where_another_setting_changes():
    config = config_of(ARCHITECTURES["upsnet"], instance={"rpn": {"sample": 9}})
    assert (config.instance.pooling.sampling_ratio, config.instance.pooling.aligned) == (2, False)
    assert config.instance.rpn.smooth_l1_beta == pytest.approx(1 / 9) and config.instance.box_head.smooth_l1_beta == 1


def test_upsnet_leaves_out_the_loss_inside_boxes_where_its_weight_is_zero():
    architecture = ARCHITECTURES["upsnet"]
    config = config_of(architecture, loss_weights={"roi_semantic": 0.0})
    shares, _ = shares_of(architecture, config, table(2, 2), a_map((1, 1, 4, 4, 30, 30))[None])
    assert "roi_semantic" not in shares and shares["panoptic"] > 0


@pytest.mark.parametrize("merged", [True, False])
def test_the_semantic_branch_of_panoptic_fpn_has_one_channel_for_things_or_one_each(merged):
    architecture, categories = ARCHITECTURES["panoptic_fpn"], table(2, 2)
    config = config_of(architecture, semantic={"merge_things": merged})
    expected = (0, 3, 4) if merged else (1, 2, 3, 4)
    assert architecture.channels(config, categories)["semantic_logits"] == expected
    panoptic = a_map((1, 1, 0, 0, 8, 8), (2, 0, 8, 8, 16, 16), stuff=4)
    panoptic[20:24] = 0
    _, targets = batch_of(architecture, config, categories, panoptic[None])
    channel = np.asarray(targets["semantic"])[0]
    assert channel[0, 0] == 0 and channel[8, 8] == (0 if merged else 1) and channel[60, 60] == (2 if merged else 3)
    assert (channel[20:24] == -1).all()
