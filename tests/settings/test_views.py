import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.views import ViewsConfig


def test_the_default_is_the_image_itself():
    assert ViewsConfig().views == ((1.0, False),) and not ViewsConfig().augments


@pytest.mark.parametrize("settings", [{"flip": True}, {"scales": [0.5]}, {"scales": [1, 2]}])
def test_any_other_setting_augments(settings):
    assert ViewsConfig(**settings).augments


def test_every_scale_has_a_mirrored_view():
    views = ViewsConfig(flip=True, scales=(0.5, 1)).views
    assert views == ((0.5, False), (0.5, True), (1.0, False), (1.0, True))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scales": 1.25}, r"scales: expected a list, as \[1, 2\], found 1.25"),
        ({"scales": []}, r"scales: .*found \[\]"),
        ({"scales": [1, 0]}, "scales.1: .*greater than or equal to 0.1, found 0"),
        ({"scales": [-1]}, "scales.0: .*greater than or equal to 0.1, found -1"),
        ({"scales": [0.01]}, r"^[^;]*scales\.0: .*found 0\.01$"),
        ({"scales": [11]}, "scales.0: .*less than or equal to 10, found 11"),
        ({"scales": [1, 2, 1.0]}, r"scales: .*expected scales that differ .*, found \[1, 2, 1.0\]"),
        ({"scales": [1, 1.0001]}, "scales: .*differ by a thousandth"),
        ({"scales": [True]}, "scales.0: .*found True"),
        ({"scales": [float("inf")]}, "scales.0: .*found inf"),
        ({"scales": 2}, "scales: .*found 2"),
        ({"flip": 3}, "flip: .*found 3"),
        ({"flips": True}, "unknown key flips; known here: flip, scales"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(settings, words):
    with pytest.raises(InputError, match=words) as error:
        validate(ViewsConfig, settings, "c.yaml")
    assert "\n" not in str(error.value)


def test_it_is_told_in_words():
    assert str(ViewsConfig(flip=True, scales=(0.75, 1, 1.25))) == "6 views: scales 0.75, 1, 1.25, as it is and mirrored"
