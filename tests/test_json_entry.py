import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.json_entry import finite_number, flag, integer


@pytest.mark.parametrize(("value", "whole"), [(3, 3), (3.0, 3), (True, 1), (False, 0), (0.0, 0), (-0.0, 0)])
def test_a_whole_number_is_an_integer_in_any_form(value, whole):
    found = integer({"id": value}, "id", 0, 9)
    assert found == whole and type(found) is int


@pytest.mark.parametrize("value", [1.5, 10, -1, "1", None, [1], {}, float("nan"), float("inf"), 1e308, 10**400])
def test_what_is_no_integer_in_the_range_is_named(value):
    with pytest.raises(InputError, match=r"id must be an integer 0\.\.9, found "):
        integer({"id": value}, "id", 0, 9)


@pytest.mark.parametrize("value", [0, 0.0, False, 1, 1.0, True])
def test_a_flag_is_0_or_1_in_any_form(value):
    assert flag({"iscrowd": value}, "iscrowd") is bool(value)


@pytest.mark.parametrize("value", [2, 0.5, "0", None, [], float("nan"), -1])
def test_what_is_no_flag_is_named(value):
    with pytest.raises(InputError, match="iscrowd must be 0 or 1, found "):
        flag({"iscrowd": value}, "iscrowd")


def test_a_number_may_have_a_fraction_and_has_a_range():
    assert finite_number({"area": 1.5}, "area", low=0) == 1.5 and finite_number({"area": True}, "area") == 1.0
    for value in (-0.5, "1", None, float("nan"), float("inf"), 10**400, [1.0]):
        with pytest.raises(InputError, match="area must be a finite number of at least 0, found "):
            finite_number({"area": value}, "area", low=0)
