import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.settings.config import validate
from tfpanoptic.settings.input_size import InputConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"short_side": 8, "long_side": 8}, "at most one of short_side, long_side and size"),
        (
            {"max_long_side": 8, "long_side": 9},
            "max_long_side limits short_side or the image's own size, not long_side",
        ),
        ({"size": [0, 8]}, "size must be two positive numbers"),
        ({"pad_to": [0, 32]}, "pad_to must be two positive numbers"),
        ({"stride": 32}, "unknown key input.stride"),
    ],
)
def test_a_wrong_policy_is_told_in_one_line(settings, message):
    with pytest.raises(InputError, match=message):
        validate(InputConfig, settings, "a.yaml", "input")
