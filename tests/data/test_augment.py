import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.data.augment import augment
from tfpanoptic.errors import InputError
from tfpanoptic.settings.augmentation import AugmentConfig
from tfpanoptic.settings.config import validate

EVERYTHING = AugmentConfig(
    crop=(24, 40),
    min_scale=0.4,
    max_scale=2.5,
    scale_distribution="log",
    flip_vertical=True,
    quarter_turns=True,
    brightness=0.2,
    contrast=0.3,
    saturation=0.4,
    hue=0.1,
)
NOTHING = {"flip_horizontal": False}


def seed(number: int) -> tf.Tensor:
    return tf.constant([7, number], tf.int64)


def views(image: np.ndarray, panoptic: np.ndarray, config: AugmentConfig, count: int = 30, **arguments):
    """(view, labels, valid size) of the seeds 0..count - 1, made in a `Dataset.map`."""
    image, panoptic = tf.constant(image), tf.constant(panoptic)
    data = tf.data.Dataset.range(count).map(lambda n: augment(image, panoptic, tf.stack([7, n]), config, **arguments))
    return data.as_numpy_iterator()


def position_scene(height: int, width: int):
    """An image whose red is the row and green the column, and a map that numbers the pixels from 1."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([y, x, np.zeros_like(y)], -1).astype(np.float32)
    return image, (y * width + x + 1).astype(np.int32)


def random_scene(height: int, width: int, number: int = 0):
    random = np.random.default_rng(number)
    labels = random.choice(np.array([0, 10_000, 20_001, 20_002, 30_000], np.int32), (height, width))
    return random.integers(0, 256, (height, width, 3)).astype(np.uint8), labels


def test_without_changes_the_image_comes_back():
    image, panoptic = random_scene(20, 30)
    view, view_panoptic, valid_size = augment(image, panoptic, seed(0), AugmentConfig(crop=(20, 30), **NOTHING))
    np.testing.assert_array_equal(view, image)
    np.testing.assert_array_equal(view_panoptic, panoptic)
    assert valid_size.numpy().tolist() == [20, 30]


@pytest.mark.parametrize("aligned", [True, False])
def test_no_label_appears_that_was_not_there(aligned):
    image, panoptic = random_scene(33, 21)
    for _, view, _ in views(image, panoptic, EVERYTHING, align_corners=aligned):
        assert set(np.unique(view)) <= {0, *np.unique(panoptic)}


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("size", [None, (50, 20)])
def test_image_and_map_show_the_same_places(aligned, size):
    # On a linear ramp interpolation is exact, so red and green are the place the image was sampled at, and the
    # label is the number of the nearest pixel.
    image, panoptic = position_scene(19, 31)
    config = EVERYTHING.model_copy(update={"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0})
    for view, labels, (height, width) in views(image, panoptic, config, size=size, align_corners=aligned):
        rows, columns = np.divmod(labels[:height, :width] - 1, 31)
        assert np.abs(view[:height, :width, 0] - rows).max() <= 0.5 + 1e-4
        assert np.abs(view[:height, :width, 1] - columns).max() <= 0.5 + 1e-4


def painted(panoptic: np.ndarray) -> np.ndarray:
    """An image that shows each label in a colour of its own."""
    return np.stack([panoptic % 100, panoptic // 100 % 100, panoptic // 10_000], -1).astype(np.float32)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("rule", [{}, {"scale_step": 0.1, "scale_distribution": "uniform"}, {"short_sides": [16, 48]}])
def test_the_view_of_a_painted_map_is_the_painted_view(aligned, rule):
    # Blocks of crowds and instances: where all labels within four pixels are one, so are those that the colour is
    # interpolated from, as no scale is above four.
    _, blocks = random_scene(5, 6)
    panoptic = blocks.repeat(8, 0).repeat(8, 1)
    settings = {
        **EVERYTHING.model_dump(),
        **dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0),
        **rule,
    }
    inner = 0
    for view, labels, (height, width) in views(painted(panoptic), panoptic, AugmentConfig(**settings)):
        if min(height, width) < 9:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(labels[:height, :width], (9, 9))
        constant = windows.min((2, 3)) == windows.max((2, 3))
        view, labels = view[4 : height - 4, 4 : width - 4], labels[4 : height - 4, 4 : width - 4]
        np.testing.assert_allclose(view[constant], painted(labels)[constant], atol=2e-3)
        inner += constant.sum()
    assert inner > 1500


def test_labels_of_crowds_and_instances_stay_as_they_are():
    image, panoptic = random_scene(33, 41)
    config = EVERYTHING.model_copy(update={"min_scale": 0.9, "max_scale": 1.1, "crop": (64, 64)})
    for _, labels, _ in views(image, panoptic, config, 8):
        assert set(np.unique(labels)) == {0, 10_000, 20_001, 20_002, 30_000}


@pytest.mark.parametrize("aligned", [True, False])
def test_an_instance_has_its_size_times_the_scale(aligned):
    panoptic = np.full((40, 48), 30_000, np.int32)
    panoptic[10:30, 12:36] = 20_007
    config = AugmentConfig(crop=(96, 120), min_scale=0.3, max_scale=2.4)
    for _, labels, (height, width) in views(painted(panoptic), panoptic, config, 15, align_corners=aligned):
        rows, columns = np.nonzero(labels == 20_007)
        sides = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == sides[0] * sides[1]
        # With aligned corners the distances between pixels are what is scaled.
        per_row, per_column = (height - aligned) / (40 - aligned), (width - aligned) / (48 - aligned)
        assert abs(sides[0] - 20 * per_row) < 1 and abs(sides[1] - 24 * per_column) < 1


def test_views_much_smaller_than_the_crop_are_padded():
    image, panoptic = random_scene(33, 21)
    config = AugmentConfig(crop=(32, 32), min_scale=0.1, max_scale=2.0)
    for view, labels, (height, width) in views(image + np.uint8(1), np.maximum(panoptic, 1), config):
        scale = height / 33 if height < 32 else width / 21
        assert height == min(32, round(33 * scale)) and abs(width - min(32, 21 * scale)) <= 1
        assert (labels[:height, :width] > 0).all() and labels[height:].max(initial=0) == 0
        assert labels[:, width:].max(initial=0) == 0
        assert view[height:].max(initial=0) == 0 and view[:, width:].max(initial=0) == 0


def test_short_sides_take_the_place_of_the_size_of_the_input_policy():
    image, panoptic = random_scene(20, 30)
    config = AugmentConfig(crop=(100, 100), short_sides=(40, 60), max_long_side=80)
    sizes = {tuple(valid) for _, _, valid in views(image, panoptic, config, size=(10, 15))}
    # 60 / 20 * 30 = 90 is above 80, so the shorter side is 80 / 30 * 20 = 53.3.
    assert sizes == {(40, 60), (53, 80)}


@pytest.mark.parametrize("policy", ["simple_classification_policy_magnitude_scale_0.2", "eomt"])
def test_colour_policies_leave_padding_and_labels_alone(policy):
    image, panoptic = random_scene(20, 30)
    config = AugmentConfig(crop=(32, 32), color_policy=policy, **NOTHING)
    seen = []
    for view, labels, _ in views(image, panoptic, config):
        assert view.shape == (32, 32, 3) and view.min() >= 0 and view.max() <= 255
        assert not view[20:].any() and not view[:, 30:].any()
        np.testing.assert_array_equal(labels[:20, :30], panoptic)
        seen.append(view.tobytes())
    assert len(set(seen)) > 5


def test_seeds_of_more_changes_leave_those_of_the_others():
    # A run that is resumed with a later version goes on with the views that it would have had.
    few, more = (tf.random.experimental.stateless_split(seed(3), count) for count in (5, 7))
    np.testing.assert_array_equal(few, more[:5])


def test_a_view_is_a_function_of_the_seed():
    image, panoptic = random_scene(33, 41)
    first, again, other = (augment(image, panoptic, seed(number), EVERYTHING) for number in (3, 3, 4))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0].numpy() != other[0].numpy()).any()


def test_a_pipeline_gives_what_an_eager_call_gives():
    image, panoptic = random_scene(33, 41)
    for number, view in enumerate(views(image, panoptic, EVERYTHING, count=6)):
        for in_graph, eager in zip(view, augment(image, panoptic, seed(number), EVERYTHING), strict=True):
            np.testing.assert_allclose(in_graph, eager, atol=2e-4)


def test_a_small_view_lies_at_the_top_left_and_the_rest_is_padding():
    image, panoptic = random_scene(20, 30)
    config = AugmentConfig(crop=(32, 32), min_scale=0.5, max_scale=0.5, **NOTHING)
    view, labels, valid_size = augment(image, panoptic, seed(0), config)
    assert valid_size.numpy().tolist() == [10, 15]
    assert (view[10:].numpy() == 0).all() and (view[:, 15:].numpy() == 0).all()
    assert (labels[10:].numpy() == 0).all() and (labels[:, 15:].numpy() == 0).all()


def test_a_mirrored_small_view_stays_at_the_top_left():
    image, panoptic = random_scene(20, 30)
    config = AugmentConfig(crop=(32, 32), flip_vertical=True)
    mirrored = [panoptic[::v, ::h] for v in (1, -1) for h in (1, -1)]
    seen = set()
    for _, labels, _ in views(image, panoptic, config):
        matches = [k for k, expected in enumerate(mirrored) if (labels[:20, :30] == expected).all()]
        assert len(matches) == 1
        seen.update(matches)
    assert seen == {0, 1, 2, 3}


def test_quarter_turns_alone_turn_and_never_mirror():
    image, panoptic = random_scene(16, 16)
    config = AugmentConfig(crop=(16, 16), quarter_turns=True, **NOTHING)
    turned = [np.rot90(panoptic, k) for k in range(4)]
    seen = set()
    for _, labels, _ in views(image, panoptic, config):
        matches = [k for k, expected in enumerate(turned) if (labels == expected).all()]
        assert len(matches) == 1
        seen.update(matches)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("aligned", "expected"),
    [
        (True, [0, 2, 4, 6]),  # i * (2 - 1) / (4 - 1) = 0, 1/3, 2/3, 1
        (False, [0, 1.5, 4.5, 6]),  # (i + 0.5) / 2 - 0.5 = -0.25, 0.25, 0.75, 1.25, cut to 0..1
    ],
)
def test_doubling_two_pixels(aligned, expected):
    image = np.array([[[0.0], [6.0]]], np.float32).repeat(3, -1)
    config = AugmentConfig(crop=(2, 4), min_scale=2, max_scale=2, **NOTHING)
    view, labels, _ = augment(image, np.array([[1, 2]], np.int32), seed(0), config, align_corners=aligned)
    np.testing.assert_allclose(view[0, :, 0], expected, atol=1e-5)
    assert labels[0].numpy().tolist() == [1, 1, 2, 2]


def test_the_scale_multiplies_the_size_of_the_input_policy():
    image, panoptic = random_scene(20, 30)
    config = AugmentConfig(crop=(100, 100), min_scale=0.5, max_scale=0.5, **NOTHING)
    _, _, valid_size = augment(image, panoptic, seed(0), config, size=(80, 120))
    assert valid_size.numpy().tolist() == [40, 60]


def test_the_crop_reaches_every_part_of_the_image():
    image, panoptic = position_scene(12, 12)
    config = AugmentConfig(crop=(4, 4), **NOTHING)
    corners = {int(labels[0, 0]) for _, labels, _ in views(image, panoptic, config, count=120)}
    rows, columns = np.divmod(np.array(sorted(corners)) - 1, 12)
    assert set(rows) == set(columns) == set(range(9))


def test_log_scales_halve_as_often_as_they_double():
    image, panoptic = random_scene(64, 64)
    config = AugmentConfig(crop=(256, 256), min_scale=0.25, max_scale=4, scale_distribution="log", **NOTHING)
    heights = np.array([valid_size[0] for _, _, valid_size in views(image, panoptic, config, count=200)])
    # 200 fair coins: five standard deviations are 35.
    assert abs((heights < 64).sum() - 100) < 36
    assert heights.min() < 24 and heights.max() > 170


def test_colour_changes_leave_the_labels_alone():
    image, panoptic = random_scene(20, 30)
    config = AugmentConfig(crop=(20, 30), brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5, **NOTHING)
    view, labels, _ = augment(image, panoptic, seed(1), config)
    np.testing.assert_array_equal(labels, panoptic)
    assert np.abs(view - image).max() > 10


def test_colours_stay_within_0_to_255():
    image, panoptic = random_scene(20, 30)
    config = AugmentConfig(crop=(20, 30), brightness=1, contrast=0.9, saturation=1, hue=0.5, **NOTHING)
    for view, _, _ in views(image, panoptic, config):
        assert view.min() >= 0 and view.max() <= 255


def test_hue_and_saturation_leave_grey_as_it_is():
    grey = np.random.default_rng(0).integers(0, 256, (20, 30, 1)).repeat(3, -1).astype(np.uint8)
    config = AugmentConfig(crop=(20, 30), saturation=1, hue=0.5, **NOTHING)
    view, _, _ = augment(grey, np.ones((20, 30), np.int32), seed(2), config)
    np.testing.assert_allclose(view, grey, atol=0.01)


def test_hue_and_saturation_keep_the_luma():
    image = np.random.default_rng(0).uniform(100, 150, (20, 30, 3)).astype(np.float32)
    config = AugmentConfig(crop=(20, 30), saturation=0.5, hue=0.5, **NOTHING)
    view = augment(image, np.ones((20, 30), np.int32), seed(2), config)[0].numpy()
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs(view - image).max() > 1
    np.testing.assert_allclose(view @ luma, image @ luma, atol=0.01)


def test_contrast_keeps_the_mean():
    image = np.random.default_rng(0).uniform(100, 150, (20, 30, 1)).repeat(3, -1).astype(np.float32)
    config = AugmentConfig(crop=(20, 30), contrast=0.5, **NOTHING)
    view, _, _ = augment(image, np.ones((20, 30), np.int32), seed(2), config)
    assert abs(np.mean(view) - image.mean()) < 0.01 and abs(np.std(view) - image.std()) > 0.1


def test_brightness_adds_at_most_its_share_of_255():
    image = np.full((4, 4, 3), 100, np.uint8)
    config = AugmentConfig(crop=(4, 4), brightness=0.2, **NOTHING)
    shifts = [view[0, 0, 0] - 100 for view, _, _ in views(image, np.ones((4, 4), np.int32), config, count=60)]
    assert -51 <= min(shifts) < -35 and 35 < max(shifts) <= 51


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": [0, 8]}, "two positive numbers"),
        ({"crop": [8, 8], "min_scale": 2.0}, "min_scale 2.0 is above max_scale 1.0"),
        ({"crop": [8, 8], "hue": 0.7}, "augment.hue"),
        ({}, "augment.crop is missing"),
        ({"crop": [8, 8], "rotate": True}, "unknown key augment.rotate"),
    ],
)
def test_a_wrong_configuration_is_told_in_one_line(settings, message):
    with pytest.raises(InputError, match=message):
        validate(AugmentConfig, settings, "a.yaml", "augment")
