import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import (
    Grid,
    InputPolicy,
    fitting_size,
    network_size,
    padded_size,
    require_bounded,
    require_fitting,
    resized_size,
    resizes,
    scaled_side,
)

SHORT = InputConfig(short_side=800, max_long_side=1333)
LONG = InputConfig(long_side=641)
COCO = InputConfig(long_side=641, pad_to=(641, 641))
PLUS_ONE = Grid(32, plus_one=True, align_corners=True)


@pytest.mark.parametrize(
    ("config", "size", "expected"),
    [
        (InputConfig(), (427, 640), (427, 640)),
        (LONG, (480, 640), (481, 641)),  # 480 * 641 / 640 = 480.75
        (LONG, (640, 427), (641, 428)),  # 427 * 641 / 640 = 427.67
        (SHORT, (480, 640), (800, 1067)),  # 640 * 800 / 480 = 1066.67
        (SHORT, (300, 900), (444, 1333)),  # 900 * 800 / 300 = 2400 is too long; 300 * 1333 / 900 = 444.33
        (SHORT, (900, 300), (1333, 444)),
        (InputConfig(short_side=100), (50, 500), (100, 1000)),
        (InputConfig(max_long_side=1000), (4000, 3000), (1000, 750)),
        (InputConfig(max_long_side=1000), (600, 1000), (600, 1000)),
        (InputConfig(max_long_side=1000), (6, 8), (6, 8)),  # others keep their size
        (InputConfig(long_side=100), (1, 1000), (1, 100)),  # 0.1 rounds to 0, a side has at least a pixel
        (InputConfig(size=(512, 1024)), (7, 9), (512, 1024)),
    ],
)
def test_the_resized_size(config, size, expected):
    assert resized_size(*size, config) == expected


@pytest.mark.parametrize(
    ("grid", "side", "expected"),
    [
        (Grid(32), 640, 640),
        (Grid(32), 641, 672),
        (Grid(32), 1, 32),
        (Grid(32, plus_one=True), 641, 641),
        (Grid(32, plus_one=True), 642, 673),
        (Grid(32, plus_one=True), 640, 641),
        (Grid(32, plus_one=True), 1, 33),
    ],
)
def test_sides_are_padded_to_the_grid(grid, side, expected):
    assert network_size(side, side, InputConfig(), grid) == (expected, expected)


@pytest.mark.parametrize(
    ("config", "grid", "size", "expected"),
    [
        # Resized 481 x 641: the stride alone would give 481 = 15 * 32 + 1.
        (COCO, PLUS_ONE, (480, 640), (641, 641)),
        (COCO, PLUS_ONE, (640, 427), (641, 641)),
        (COCO, PLUS_ONE, (3, 3), (641, 641)),
        # Nothing is resized; 100 -> 128 and 96 stays, 97 -> 128, 200 -> 224 = 7 * 32 beyond the 160.
        (InputConfig(pad_to=(96, 160)), Grid(32), (90, 100), (96, 160)),
        (InputConfig(pad_to=(96, 160)), Grid(32), (97, 100), (128, 160)),
        (InputConfig(pad_to=(96, 160)), Grid(32), (96, 200), (96, 224)),
    ],
)
def test_inputs_are_padded_to_a_least_size(config, grid, size, expected):
    assert network_size(*size, config, grid) == expected


@pytest.mark.parametrize("config", [InputConfig(), LONG, SHORT, COCO, InputConfig(size=(64, 96))])
def test_ints_and_tensors_give_the_same_size(config):
    for height, width in np.random.default_rng(0).integers(1, 3000, (50, 2)).tolist():
        in_graph = network_size(tf.constant(height), tf.constant(width), config, PLUS_ONE)
        assert tuple(int(side) for side in in_graph) == network_size(height, width, config, PLUS_ONE)


@pytest.mark.parametrize(
    ("grid", "size", "words"),
    [
        (Grid(32), (640, 641), r"sides of k \* 32, found \[640, 641\]; nearest are \[640, 640\] or \[640, 672\]"),
        (Grid(32, plus_one=True), (640, 641), r"sides of k \* 32 \+ 1, .*nearest are \[609, 641\] or \[641, 641\]"),
        (Grid(32), (5, 32), r"nearest are \[32, 32\]$"),
    ],
)
def test_a_size_that_the_grid_does_not_fit_is_an_error_with_the_nearest_that_do(grid, size, words):
    with pytest.raises(SettingError, match=words) as error:
        require_fitting("augment.crop", size, grid)
    assert error.value.path == "augment.crop" and str(error.value).startswith("augment.crop: ")


@pytest.mark.parametrize(("grid", "size"), [(Grid(32), (640, 32)), (Grid(32, plus_one=True), (641, 33))])
def test_a_size_that_the_grid_fits_is_none(grid, size):
    require_fitting("augment.crop", size, grid)


@pytest.mark.parametrize(
    ("side", "scale", "grid", "expected"),
    [
        (1025, 0.5, PLUS_ONE, 513),  # 1024 / 2 + 1
        (2049, 1.75, PLUS_ONE, 3585),
        (10, 0.75, PLUS_ONE, 8),  # 9 * 0.75 + 1 = 7.75
        (10, 0.75, Grid(32), 8),  # 7.5 rounds up
        (10, 1.3, Grid(32), 13),
        (3, 1 / 3, Grid(32), 1),
        (1, 0.1, Grid(32), 1),
        (1, 0.1, PLUS_ONE, 1),
        (641, 1.0, Grid(32), 641),
        (641, 1, PLUS_ONE, 641),
    ],
)
def test_the_side_of_a_view(side, scale, grid, expected):
    assert scaled_side(side, scale, grid) == expected
    assert int(scaled_side(tf.constant(side), scale, grid)) == expected


@pytest.mark.parametrize(
    ("scale", "size", "expected"),
    [
        (0.5, (241, 321), (321, 321)),  # 641 at half the scale
        (1.0, (481, 641), (641, 641)),
        (1.5, (721, 961), (961, 961)),
        (0.75, (361, 481), (481, 481)),
        (0.8, (385, 513), (513, 513)),
        (0.8, (385, 514), (513, 545)),
    ],
)
def test_what_inputs_have_at_least_grows_with_the_scale(scale, size, expected):
    assert padded_size(*size, COCO, PLUS_ONE, scale) == expected


def test_an_image_beyond_the_limit_is_named_with_the_ways_out():
    with pytest.raises(InputError, match=r"a\.jpg: 5000 x 7000 .* 32 million .*max_long_side=4000.*max_long_side=7000"):
        require_bounded("a.jpg", (5000, 7000), InputConfig())


@pytest.mark.parametrize(
    "size, config",
    [
        ((4000, 8000), InputConfig()),
        ((5000, 7000), InputConfig(max_long_side=7000)),
        ((5000, 7000), InputConfig(short_side=800)),
    ],
)
def test_an_image_within_the_limit_or_with_a_rule_for_its_size_is_taken(size, config):
    require_bounded("a.jpg", size, config)


def test_a_policy_as_plain_numbers_gives_the_sizes_of_its_configuration():
    """By the names of its keys, for that is how an export takes them over."""
    for config in (SHORT, LONG, COCO, InputConfig(size=(64, 96)), InputConfig(deep_grey="file_range")):
        policy = InputPolicy(**config.model_dump())
        assert vars(policy) == config.model_dump() and resizes(policy) == resizes(config)
        assert network_size(427, 640, policy, PLUS_ONE) == network_size(427, 640, config, PLUS_ONE)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((60, 100), (60, 100)),  # it fits as it is
        ((64, 128), (64, 128)),
        ((10, 256), (5, 128)),  # the width is halved
        ((65, 100), (64, 98)),  # 100 * 64 / 65 = 98.46
        ((100, 129), (64, 83)),  # the height limits; 129 * 64 / 100 = 82.56
        ((128, 256), (64, 128)),
        ((3, 256), (2, 128)),  # 1.5 rounds up
        ((1, 1000), (1, 128)),  # 0.128 rounds to 0, a side has at least a pixel
        ((1000, 1), (64, 1)),
    ],
)
def test_the_size_at_which_an_image_fits_a_canvas(size, expected):
    assert fitting_size(*size, (64, 128)) == expected


def test_an_image_that_is_shrunk_never_passes_the_canvas():
    for height, width in np.random.default_rng(0).integers(1, 5000, (200, 2)).tolist():
        fitted = fitting_size(height, width, (65, 97))
        assert fitted[0] <= 65 and fitted[1] <= 97
        assert (fitted[0] == 65 or fitted[1] == 97) or fitted == (height, width)
