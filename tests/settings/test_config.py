import pytest
from pydantic import Field

from tfpanoptic.errors import InputError
from tfpanoptic.settings.config import StrictConfig, read_yaml, validate


class Inner(StrictConfig):
    rate: float = Field(0.1, gt=0)


class Outer(StrictConfig):
    steps: int
    inner: Inner = Inner()


def write(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_overrides_change_nested_values(tmp_path):
    path = write(tmp_path, "steps: 3\ninner: {rate: 1.0}\n")
    assert read_yaml(path, ["inner.rate=0.5", "new.key=[1, 2]"]) == {
        "steps": 3,
        "inner": {"rate": 0.5},
        "new": {"key": [1, 2]},
    }


@pytest.mark.parametrize(
    "text, override, words",
    [
        ("steps: [", [], "not valid YAML"),
        ("- 1\n", [], "expected a mapping"),
        ("steps: 1\n", ["steps"], "expected key.path=value"),
        ("steps: 1\n", ["steps.more=2"], "steps is a value"),
        ("steps: 1\n", ["steps=["], "not valid YAML"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, text, override, words):
    with pytest.raises(InputError, match=words) as error:
        read_yaml(write(tmp_path, text), override)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "data, words",
    [
        ({"steps": 1, "stesp": 2}, "unknown key stesp; known here: steps, inner"),
        ({"steps": 1, "inner": {"rat": 2}}, r"unknown key inner.rat; known here: rate"),
        ({}, "steps is missing"),
        ({"steps": True}, "steps: expected a number, found True"),
        ({"steps": "many"}, "steps: .*found 'many'"),
        ({"steps": 1, "inner": {"rate": -1}}, r"inner.rate: .*greater than 0, found -1"),
    ],
)
def test_a_mistake_names_file_key_and_value(data, words):
    with pytest.raises(InputError, match=words) as error:
        validate(Outer, data, "run.yaml")
    assert str(error.value).startswith("run.yaml: ") and "\n" not in str(error.value)


def test_exponents_without_a_dot_are_numbers(tmp_path):
    # YAML 1.1 reads 1e-3 as text; people write it all the same.
    assert validate(Outer, read_yaml(write(tmp_path, "steps: 1\ninner: {rate: 1e-3}\n")), "x").inner.rate == 0.001
