import json
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tfpanoptic.architecture import CategoryLayer
from tfpanoptic.categories import CategoryTable
from tfpanoptic.category_match import Outputs
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.weights import LoadReport, load_weights, save_weights


def table(*names):
    """Categories in this order; things have a capital letter."""
    return CategoryTable.from_coco(
        [{"id": i, "name": name.lower(), "isthing": int(name[0].isupper())} for i, name in enumerate(names, start=1)]
    )


TABLE = table("Cat", "sky")
LAYERS = (CategoryLayer("logits", "head"), CategoryLayer("deltas", "head", outputs_each=2, void=False))


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
    load_weights(saved(tmp_path, model), other, Outputs(TABLE, {}))
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
    assert "licence" not in header


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


def test_a_load_that_takes_hardly_anything_is_told_as_such():
    paths = tuple(f"layer{number}/kernel" for number in range(100))
    assert "1 weights loaded, HARDLY ANY: is the file of another network?" in str(
        LoadReport("a", paths[:1], paths[1:], ())
    )
    assert "HARDLY" not in str(LoadReport("a", paths[:20], paths[20:], ()))


def test_a_file_of_which_nothing_fits_is_refused_by_a_lenient_load_too(tmp_path):
    first, second = keras.Input((3,)), keras.layers.Dense(2, name="other")
    other = keras.Model(first, second(first))
    before = [np.array(w) for w in other.weights]
    with pytest.raises(InputError, match="weights of another model: 2 missing .other/kernel, other/bias.; 8 not known"):
        load_weights(saved(tmp_path, network()), other, strict=False)
    for ours, old in zip(other.weights, before):
        np.testing.assert_array_equal(ours, old)


def with_heads(categories, void_first=True, seed=0):
    """A network with logits of all categories and void, two deltas of each category, and what these stand for."""
    keras.utils.set_random_seed(seed)
    ids = (0, *categories.ids) if void_first else (*categories.ids, 0)
    image = keras.Input((2,))
    x = keras.layers.Dense(3, name="first")(image)
    logits = keras.layers.Dense(len(ids), name="logits", bias_initializer="random_normal")(x)
    deltas = keras.layers.Dense(2 * len(categories), name="deltas", bias_initializer="random_normal")(x)
    return keras.Model(image, [logits, deltas]), Outputs(categories, {"head": ids})


def saved_heads(tmp_path, *names, **options):
    model, outputs = with_heads(table(*names), **options)
    save_weights(tmp_path / "w.safetensors", model, outputs.categories, outputs.channels)
    return model, tmp_path / "w.safetensors"


def column(model, layer, place):
    """Kernel and bias of one output."""
    return np.concatenate([np.array(weight)[..., [place]] for weight in model.get_layer(layer).weights], axis=None)


@pytest.mark.parametrize("strict", [True, False])
def test_outputs_of_categories_in_another_order_are_matched_by_name(tmp_path, strict):
    """File: void cat sky tree; model: tree cat sky void. Deltas stand side by side, two a category, none of void."""
    theirs, path = saved_heads(tmp_path, "Cat", "sky", "tree")
    ours, outputs = with_heads(table("tree", "Cat", "sky"), void_first=False, seed=1)
    report = load_weights(path, ours, outputs, LAYERS, strict)
    for place, source in enumerate([3, 1, 2, 0]):
        np.testing.assert_array_equal(column(ours, "logits", place), column(theirs, "logits", source))
    for place, source in enumerate([4, 5, 0, 1, 2, 3]):
        np.testing.assert_array_equal(column(ours, "deltas", place), column(theirs, "deltas", source))
    assert report.complete and not report.plain and "another order" in str(report)


def test_a_lenient_load_takes_the_outputs_of_the_categories_that_both_have(tmp_path):
    """As many categories, so shapes fit: cat and sky are known, tree is new, dog is not used."""
    theirs, path = saved_heads(tmp_path, "Dog", "sky", "Cat")
    ours, outputs = with_heads(table("Cat", "tree", "sky"), seed=1)
    before = column(ours, "logits", 2), column(ours, "deltas", 3)
    report = load_weights(path, ours, outputs, LAYERS, strict=False)
    for place, source in ((0, 0), (1, 3), (3, 2)):
        np.testing.assert_array_equal(column(ours, "logits", place), column(theirs, "logits", source))
    np.testing.assert_array_equal(column(ours, "logits", 2), before[0])
    np.testing.assert_array_equal(column(ours, "deltas", 3), before[1])
    np.testing.assert_array_equal(column(ours, "deltas", 4), column(theirs, "deltas", 2))
    assert set(report.loaded) == {"first/kernel", "first/bias"} and not report.left and not report.unused
    assert set(report.partly) == {f"{layer}/{kind}" for layer in ("logits", "deltas") for kind in ("kernel", "bias")}
    assert report.categories[:3] == (("cat", "sky"), ("tree",), ("dog",))
    assert "2 by name and kind (cat, sky), 1 as initialised (tree), 1 of the file not used (dog)" in str(report)


@pytest.mark.parametrize("names", [("Bird", "Cow"), ("cat", "Sky")])
def test_a_head_without_a_known_category_stays_as_it_is(tmp_path, names):
    """Other names; or the same ones, but a thing there and stuff here."""
    _, path = saved_heads(tmp_path, "Cat", "sky")
    ours, outputs = with_heads(table(*names), seed=1)
    before = [np.array(w) for layer in ("logits", "deltas") for w in ours.get_layer(layer).weights]
    report = load_weights(path, ours, outputs, LAYERS, strict=False)
    after = [np.array(w) for layer in ("logits", "deltas") for w in ours.get_layer(layer).weights]
    for new, old in zip(after, before):
        np.testing.assert_array_equal(new, old)
    assert len(report.left) == len(report.unused) == 4 and report.categories.taken == ()


def test_a_head_of_another_width_is_not_told_as_taken(tmp_path):
    _, path = saved_heads(tmp_path, "Cat", "sky")
    image = keras.Input((2,))
    x = keras.layers.Dense(5, name="other")(keras.layers.Dense(3, name="first")(image))
    ours = keras.Model(image, keras.layers.Dense(3, name="logits")(x))
    report = load_weights(path, ours, Outputs(table("sky", "Cat"), {"head": (0, 1, 2)}), LAYERS[:1], strict=False)
    # The bias has no other axis than the outputs, so it fits.
    assert set(report.left) == {"other/kernel", "other/bias", "logits/kernel"}
    assert set(report.loaded) == {"first/kernel", "first/bias", "logits/bias"}


@pytest.mark.parametrize(
    "names, words",
    [
        (("Dog",), r"2 categories \(cat, sky\), the model has 1 \(dog\)"),
        (("Cat", "Sky"), "category sky is stuff in these weights, the model has it as a thing"),
        (("Cat", "sky", "tree"), r"2 categories \(cat, sky\), the model has 3"),
    ],
)
def test_weights_for_other_categories_are_refused(tmp_path, names, words):
    _, path = saved_heads(tmp_path, "Cat", "sky")
    ours, outputs = with_heads(table(*names))
    with pytest.raises(InputError, match=words):
        load_weights(path, ours, outputs, LAYERS)


def test_a_full_disk_is_failed_work_and_leaves_nothing_half_written(tmp_path, monkeypatch):
    def full(arrays, path, metadata):
        Path(path).write_text("half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("tfpanoptic.weights.save_file", full)
    with pytest.raises(WorkFailed, match=r"w.safetensors: cannot be written .*No space left"):
        saved(tmp_path, network())
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_weights_are_named(tmp_path):
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "empty.safetensors").touch()
    (tmp_path / "folder.safetensors").mkdir()
    save_file({"a": np.zeros(2, np.float32)}, str(tmp_path / "foreign.safetensors"))
    found = {
        "text": "not a safetensors file, or a damaged one; expected",
        "empty": "an empty file; expected",
        "none": "no such file; expected",
        "folder": "a folder; expected a file of weights, as best.safetensors",
        "foreign": "not written by",
    }
    for name, words in found.items():
        with pytest.raises(InputError, match=rf"{name}\.safetensors: .*{words}"):
            load_weights(tmp_path / f"{name}.safetensors", network())


def test_a_weight_file_has_the_permissions_of_any_file(tmp_path):
    (tmp_path / "other").touch()
    assert saved(tmp_path, network()).stat().st_mode == (tmp_path / "other").stat().st_mode
