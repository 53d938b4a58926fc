"""From an EoMT of some categories to one of others: what is kept, what is new, and what is said of it."""

import copy

import numpy as np
import pytest
import yaml

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.segmenter import PanopticSegmenter

SETTINGS = {
    "data": {"name": "nuclei"},
    "augment": {"crop": [64, 64]},
    "model": {
        "name": "eomt",
        "backbone": {"name": "vit_tiny", "width": 8, "depth": 2, "heads": 2, "positions": [4, 4]},
        "queries": 5,
        "query_blocks": 1,
    },
}


def table(**kinds: bool) -> CategoryTable:
    """Name -> thing or not."""
    rows = enumerate(kinds.items(), start=1)
    return CategoryTable(tuple(Category(number, name, thing, (0, 0, 0), number) for number, (name, thing) in rows))


# Of these the nuclei have one, in another place: their table is nucleus, a thing, and background, stuff.
SOURCE = table(cat=True, sky=False, nucleus=True)
APART = table(cat=True, sky=False)


def settings(**changes) -> dict:
    made = copy.deepcopy(SETTINGS)
    for key, value in changes.items():
        (made["model"]["backbone"] if key in made["model"]["backbone"] else made["model"])[key] = value
    return made


def made(categories: CategoryTable, **changes) -> PanopticSegmenter:
    """A model whose weights are all different numbers."""
    model = PanopticSegmenter(Experiment.from_dict(settings(**changes)), categories)
    random = np.random.default_rng(len(categories))
    for weight in model.weights:
        weight.assign(random.normal(size=weight.shape))
    return model


def loaded(model: PanopticSegmenter, source: PanopticSegmenter, path, strict=False):
    """The report of a load, and the weights before and after it."""
    source.save_weights_file(path)
    before = {weight.path: np.asarray(weight) for weight in model.weights}
    report = model.load_weights_file(path, strict=strict)
    return report, before, {weight.path: np.asarray(weight) for weight in model.weights}


HEAD = ("class_head/bias", "class_head/kernel")


def test_all_but_the_class_head_is_kept(tmp_path):
    source, model = made(APART), made(table(nucleus=True, background=False))
    report, before, after = loaded(model, source, tmp_path / "w.safetensors")
    stored = {weight.path: np.asarray(weight) for weight in source.weights}
    assert set(report.loaded) == set(stored) - set(HEAD) and set(report.left) == set(HEAD) and not report.partly
    for name, value in after.items():
        np.testing.assert_array_equal(value, before[name] if name in HEAD else stored[name], err_msg=name)
    assert (report.categories.left, report.categories.unused) == (("nucleus", "background"), ("cat", "sky"))
    line = str(report)
    assert "2 of the model left as they were (class_head/" in line and "\n" not in line


def test_outputs_of_equal_names_and_of_no_object_are_kept(tmp_path):
    source, model = made(SOURCE), made(table(nucleus=True, background=False))
    report, before, after = loaded(model, source, tmp_path / "w.safetensors")
    assert set(report.partly) == set(HEAD) and not report.left and not report.unused
    for name in HEAD:
        theirs = np.asarray(next(weight for weight in source.weights if weight.path == name))
        # Theirs: cat, sky, nucleus, no object; ours: nucleus, background, no object.
        np.testing.assert_array_equal(after[name][..., 0], theirs[..., 2])
        np.testing.assert_array_equal(after[name][..., 1], before[name][..., 1])
        np.testing.assert_array_equal(after[name][..., 2], theirs[..., 3])
    categories = report.categories
    assert (categories.taken, categories.left, categories.unused) == (("nucleus",), ("background",), ("cat", "sky"))


def test_a_thing_and_stuff_of_one_name_are_not_the_same(tmp_path):
    report, before, after = loaded(made(table(cat=False, sky=False)), made(APART), tmp_path / "w.safetensors")
    assert report.categories.other_kind == ("cat",) and report.categories.taken == ("sky",)
    np.testing.assert_array_equal(after["class_head/kernel"][:, 0], before["class_head/kernel"][:, 0])


@pytest.mark.parametrize(
    "change, name, shapes",
    [
        ({"queries": 7}, "queries/table", "(5, 8), expected (7, 8)"),
        ({"positions": [8, 8]}, "tokens/positions", "(16, 8), expected (64, 8)"),
    ],
)
def test_another_number_of_queries_or_positions_is_named(change, name, shapes, tmp_path):
    source, model = made(APART), made(APART, **change)
    with pytest.raises(InputError) as error:
        loaded(model, source, tmp_path / "w.safetensors", strict=True)
    assert f"{name} is {shapes}" in str(error.value) and "\n" not in str(error.value)
    report, before, after = loaded(model, source, tmp_path / "w.safetensors")
    assert report.left == (name,) and name in str(report)
    np.testing.assert_array_equal(after[name], before[name])


def test_a_model_of_a_configuration_says_what_it_starts_from(tmp_path, capsys):
    path = tmp_path / "w.safetensors"
    made(SOURCE).save_weights_file(path)
    training = {"steps": 10, "initial_weights": str(path), "initial_weights_strict": False}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**settings(), "training": training}))
    model = PanopticSegmenter.from_yaml(tmp_path / "c.yaml")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(str(path))]
    assert len(lines) == 1 and f"{len(model.weights) - 2} weights loaded; 2 in part (class_head/" in lines[0]
    assert "1 by name and kind (nucleus), 1 as initialised (background), 2 of the file not used (cat, sky)" in lines[0]
