"""Categories 3 (cell, a thing) and 12 (ground)."""

import json

import numpy as np
import pytest
from PIL import Image

from tfpanoptic.errors import InputError

SEMANTIC = np.array([[3, 3, 0, 3], [12, 12, 12, 3], [12, 9, 3, 3]])
INSTANCE = np.array([[1, 1, 0, 300], [5, 6, 6, 300], [5, 0, 0, 0]])
EXPECTED = [("cell", 2), ("cell", 2), ("cell*", 2), ("ground", 4)]


@pytest.fixture
def folder(tmp_path, photo):
    photo(tmp_path / "maps/images/a.jpg", 3, 4)
    (tmp_path / "categories.yaml").write_text(
        "3: {name: cell, thing: true, color: [9, 8, 7]}\n12: {name: ground, thing: false}\n"
    )
    return tmp_path / "maps"


def save(folder, name, values, dtype=np.uint8, palette=False):
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(dtype))
    if palette:
        image = image.convert("P") if image.mode != "L" else image
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    image.save(folder / name)


@pytest.fixture
def options(folder):
    return {"categories": folder.parent / "categories.yaml", "void": (9,)}


@pytest.mark.parametrize("palette", [False, True])
def test_two_images_a_photo_are_segments(palette, folder, options, convert):
    save(folder / "semantic", "a.png", SEMANTIC, palette=palette)
    save(folder / "instance", "a.png", INSTANCE, np.uint16)
    found = convert("label-maps", folder, **options)
    assert found.segments("a.jpg") == EXPECTED
    assert np.array_equal(found.ids("a.jpg") == 0, np.isin(SEMANTIC, (0, 9)))
    assert found.changes == {"crowd": 1}  # the cell without a number
    assert [(c["id"], c["isthing"]) for c in found.json["categories"]] == [(3, 1), (12, 0)]
    assert found.json["categories"][0]["color"] == [9, 8, 7]
    assert found.json["info"] == {"image_ids": "counted"}


def test_maps_may_lie_in_two_folders_of_any_name(folder, options, convert):
    save(folder, "a.png", SEMANTIC, np.uint16)
    save(folder.parent / "numbers", "a.tif", INSTANCE, np.uint16)
    found = convert("label-maps", folder, instances=folder.parent / "numbers", **options)
    assert found.segments("a.jpg") == EXPECTED


def test_instances_are_connected_components_on_request(folder, options, convert):
    save(folder, "a.png", SEMANTIC)
    found = convert("label-maps", folder, components=True, **options)
    # The four cells at the right touch at a side or a corner, the two at the left do not.
    assert found.segments("a.jpg") == [("cell", 2), ("cell", 4), ("ground", 4)]
    with pytest.raises(InputError, match="maps/a.png: has one channel, category ids; .* --components"):
        convert("label-maps", folder, {"overwrite": True}, **options)


def test_stuff_alone_needs_no_instances(folder, options, convert):
    save(folder, "a.png", SEMANTIC)
    found = convert("label-maps", folder, stuff=("cell",), **options)
    assert found.segments("a.jpg") == [("cell", 6), ("ground", 4)]


def test_an_instance_image_alone_has_one_category(folder, convert):
    save(folder, "a.png", INSTANCE, np.uint16)
    found = convert("label-maps", folder, instance_only="nucleus")
    assert found.segments("a.jpg") == [("nucleus", n) for n in (2, 2, 2, 2)]
    found = convert("label-maps", folder, {"overwrite": True}, instance_only="nucleus", void=(5,), rest="background")
    assert found.segments("a.jpg") == [("background", 6), ("nucleus", 2), ("nucleus", 2), ("nucleus", 2)]
    assert [c["isthing"] for c in found.json["categories"]] == [1, 0]


def test_a_binary_mask_is_said_to_be_one_instance(folder, convert):
    save(folder, "a.png", np.array([[255, 0, 255, 0]] * 3))
    found = convert("label-maps", folder, instance_only="nucleus")
    assert found.segments("a.jpg") == [("nucleus", 6)] and found.changes == {"one-instance": 1}
    found = convert("label-maps", folder, {"overwrite": True}, instance_only="nucleus", components=True)
    assert found.segments("a.jpg") == [("nucleus", 3), ("nucleus", 3)] and found.changes == {}


def test_what_is_wrong_is_named(folder, options, convert, photo):
    save(folder / "semantic", "a.png", np.where(SEMANTIC == 9, 77, SEMANTIC))
    save(folder / "semantic", "b.png", SEMANTIC)
    save(folder / "instance", "a.png", INSTANCE[:2])
    with pytest.raises(InputError, match="semantic/b.png: no image of this name in .*instance"):
        convert("label-maps", folder, **options)
    save(folder / "instance", "b.png", INSTANCE[:2])
    with pytest.raises(InputError, match="images/b.jpg: no such file; .*--skip-missing"):
        convert("label-maps", folder, **options)
    skip = {"skip_missing": True}
    with pytest.raises(InputError, match=r"semantic/a.png: value 77 is of no category; expected one of \[3, 12\]"):
        convert("label-maps", folder, skip, **options)
    save(folder / "semantic", "a.png", SEMANTIC)
    with pytest.raises(InputError, match=r"instance/a.png: 2 x 4 \(height x width\), .* 3 x 4"):
        convert("label-maps", folder, skip, **options)
    save(folder / "instance", "a.png", INSTANCE)
    photo(folder / "images/a.jpg", 3, 5)
    with pytest.raises(InputError, match=r"images/a.jpg: 3 x 5 .*its truth 3 x 4"):
        convert("label-maps", folder, skip, **options)
    photo(folder / "images/a.png", 3, 4)
    with pytest.raises(InputError, match="images/a.png: a second photo of this name, after a.jpg"):
        convert("label-maps", folder, skip, **options)
    with pytest.raises(InputError, match="--categories: expected a JSON list"):
        convert("label-maps", folder)


@pytest.mark.parametrize(
    "content, words",
    [
        ("3: cell\n12: ground\n", "categories.yaml: .*isthing"),
        ("3: {name: cell, thing: 2}\n", "isthing must be 0 or 1, found 2"),
        ("3: [cell]\n", r"categories.yaml: 3: expected a name, or name, thing"),
        ("three: {name: cell, thing: true}\n", "id must be an integer"),
        ("3: {name: cell, thing: true}\n4: {name: cell, thing: true}\n", "name used twice: cell"),
        ("- cell\n", "expected a mapping"),
    ],
)
def test_wrong_categories_are_named(content, words, folder, options, convert):
    options["categories"].write_text(content)
    save(folder, "a.png", SEMANTIC)
    with pytest.raises(InputError, match=words):
        convert("label-maps", folder, components=True, **options)


def test_categories_may_be_a_json_and_stuff_a_list_of_names(folder, convert):
    path = folder / "categories.json"
    path.write_text(json.dumps({"categories": [{"id": 3, "name": "cell"}, {"id": 12, "name": "ground"}]}))
    save(folder, "a.png", SEMANTIC)
    found = convert("label-maps", folder, components=True, categories=path, stuff=("ground",), void=(9,))
    assert [(c["name"], c["isthing"]) for c in found.json["categories"]] == [("cell", 1), ("ground", 0)]


def test_a_category_that_does_not_say_what_it_is_is_named(folder, options, convert):
    save(folder, "a.png", SEMANTIC)
    options["categories"].write_text("3: cell\n12: {name: ground, thing: false}\n")
    with pytest.raises(InputError, match=r"categories\.yaml: category 'cell' does not say .* thing: true or false"):
        convert("label-maps", folder, components=True, **options)
