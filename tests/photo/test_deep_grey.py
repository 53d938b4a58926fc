import numpy as np
import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.photo import deep_grey
from tfpanoptic.photo.deep_grey import as_bytes

# 12 bits in a file of 16, as microscopes write them.
TWELVE_BITS = np.array([0, 255, 256, 2048, 4095], np.uint16)


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.setattr(deep_grey, "_said", set())


def test_the_high_byte_is_kept():
    assert as_bytes(TWELVE_BITS, "high_byte", "a.tif").tolist() == [0, 0, 1, 8, 15]


def test_the_range_of_a_file_becomes_all_levels():
    # 1024 / 2048 * 255 = 127.5, which is rounded up.
    values = np.array([1000, 2024, 3048], np.uint16)
    assert as_bytes(values, "file_range", "a.tif").tolist() == [0, 128, 255]


@pytest.mark.parametrize("values", [np.full((2, 2), 7, np.uint16), np.zeros((0, 2), np.uint16)])
def test_a_file_of_one_value_is_black_in_its_range(values):
    assert not as_bytes(values, "file_range", "a.tif").any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(bad):
    with pytest.raises(InputError, match=r"a\.tif: holds values that are not finite"):
        as_bytes(np.array([0.0, bad]), "file_range", "a.tif")


def test_a_file_of_which_few_levels_are_left_is_named_once_with_the_way_out(capsys):
    for name in ("a.tif", "b.tif"):
        as_bytes(TWELVE_BITS, "high_byte", name)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("a.tif: values 0 to 4095 of 16 bits; of 256 grey levels 16 are left")
    assert "input.deep_grey=file_range" in line


@pytest.mark.parametrize(
    "values, rule", [([0, 65535], "high_byte"), ([300, 300], "high_byte"), ([0, 4095], "file_range")]
)
def test_nothing_is_said_where_levels_are_left(values, rule, capsys):
    as_bytes(np.array(values, np.uint16), rule, "a.tif")
    assert capsys.readouterr().err == ""
