import json

import keras
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.weights import load_weights, save_weights

TABLE = CategoryTable.from_coco([{"id": 4, "name": "cat", "isthing": 1}, {"id": 9, "name": "sky", "isthing": 0}])


def network(width=3, name="second"):
    image = keras.Input((2,))
    x = keras.layers.Dense(width, name="first")(image)
    return keras.Model(image, keras.layers.Dense(2, name=name)(keras.layers.BatchNormalization(name="norm")(x)))


def saved(tmp_path, model):
    path = tmp_path / "w.safetensors"
    save_weights(path, model, TABLE, {"head": (0, 1, 2)}, "steps: 1\n")
    return path


def test_a_saved_model_comes_back_bit_by_bit(tmp_path):
    model, other = network(), network()
    load_weights(saved(tmp_path, model), other, TABLE)
    for ours, theirs in zip(model.weights, other.weights):
        np.testing.assert_array_equal(ours, theirs)


def test_arrays_are_keyed_by_variable_path(tmp_path):
    with safe_open(str(saved(tmp_path, network())), "numpy") as file:
        assert {"first/kernel", "norm/moving_mean", "second/bias"} < set(file.keys())


def test_the_header_says_what_the_weights_mean(tmp_path):
    with safe_open(str(saved(tmp_path, network())), "numpy") as file:
        header = file.metadata()
    assert CategoryTable.from_json(header["categories"]) == TABLE
    assert json.loads(header["channels"]) == {"head": [0, 1, 2]}
    assert (header["format_version"], header["config"]) == ("1", "steps: 1\n")


@pytest.mark.parametrize(
    "model, words",
    [(network(width=4), "other shape"), (network(name="third"), "missing .third/kernel.*not known .second/")],
)
def test_weights_of_another_model_are_refused_by_name(tmp_path, model, words):
    before = [np.array(w) for w in model.weights]
    with pytest.raises(InputError, match=words):
        load_weights(saved(tmp_path, network()), model)
    for ours, old in zip(model.weights, before):
        np.testing.assert_array_equal(ours, old)


def test_a_lenient_load_takes_what_fits_and_names_the_rest(tmp_path):
    model, other = network(), network(name="third")
    report = load_weights(saved(tmp_path, model), other, strict=False)
    assert set(report.left) == {"third/kernel", "third/bias"}
    assert set(report.unused) == {"second/kernel", "second/bias"}
    np.testing.assert_array_equal(other.get_layer("first").kernel, model.get_layer("first").kernel)


def test_a_lenient_load_is_told_in_one_line(tmp_path):
    """Two of the first layer and four of the normalisation fit."""
    path = saved(tmp_path, network())
    report = load_weights(path, network(name="third"), strict=False)
    assert str(report) == (
        f"{path}: 6 weights loaded; 2 of the model left as they were (third/kernel, third/bias); "
        "2 of the file not used (second/bias, second/kernel)"
    )
    assert not report.complete and load_weights(path, network(), strict=False).complete


def test_a_file_of_which_nothing_fits_is_refused_by_a_lenient_load_too(tmp_path):
    first, second = keras.Input((3,)), keras.layers.Dense(2, name="other")
    other = keras.Model(first, second(first))
    before = [np.array(w) for w in other.weights]
    with pytest.raises(InputError, match="weights of another model: 2 missing .other/kernel, other/bias.; 8 not known"):
        load_weights(saved(tmp_path, network()), other, strict=False)
    for ours, old in zip(other.weights, before):
        np.testing.assert_array_equal(ours, old)


def test_weights_for_other_categories_are_refused(tmp_path):
    other = CategoryTable.from_coco([{"id": 1, "name": "dog", "isthing": 1}])
    with pytest.raises(InputError, match=r"2 categories \(cat, sky.*the model has 1 \(dog"):
        load_weights(saved(tmp_path, network()), network(), other)


def test_files_that_are_not_weights_are_named(tmp_path):
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "empty.safetensors").touch()
    save_file({"a": np.zeros(2, np.float32)}, str(tmp_path / "foreign.safetensors"))
    found = {
        "text": "not a safetensors file, or a damaged one; expected",
        "empty": "an empty file; expected",
        "none": "no such file; expected",
        "foreign": "not written by",
    }
    for name, words in found.items():
        with pytest.raises(InputError, match=rf"{name}\.safetensors: .*{words}"):
            load_weights(tmp_path / f"{name}.safetensors", network())


def test_a_weight_file_has_the_permissions_of_any_file(tmp_path):
    (tmp_path / "other").touch()
    assert saved(tmp_path, network()).stat().st_mode == (tmp_path / "other").stat().st_mode
