import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.settings.sides import read_sides


@pytest.mark.parametrize(("text", "sides"), [("256", (256, 256)), ("256x384", (256, 384)), (" 1X2 ", (1, 2))])
def test_a_size_is_height_and_width_or_one_side(text, sides):
    assert read_sides("--size", text) == sides


@pytest.mark.parametrize("text", ["", "0", "0x4", "4x", "-4", "4x4x4", "4,4", "big", "2.5"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="--size .*: expected one side or HxW, such as 256 or 256x384"):
        read_sides("--size", text)
