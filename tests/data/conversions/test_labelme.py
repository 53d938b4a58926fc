"""JSONs as labelme writes them; masks are compared with those that Pillow draws by labelme's calls."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tfpanoptic.errors import InputError

HEIGHT, WIDTH = 30, 40


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


@pytest.fixture
def write(tmp_path, photo):
    """(shapes, name, keys of the JSON) -> the folder."""
    folder = tmp_path / "labelme"

    def call(*shapes, name="a", photos=True, **more):
        content = {
            "version": "5.4.1",
            "flags": {},
            "shapes": list(shapes),
            "imagePath": f"{name}.jpg",
            "imageData": None,
            "imageHeight": HEIGHT,
            "imageWidth": WIDTH,
        }
        folder.mkdir(exist_ok=True)
        if photos:
            photo(folder / f"{name}.jpg", HEIGHT, WIDTH)
        (folder / f"{name}.json").write_text(json.dumps({**content, **more}))
        return folder

    return call


def drawn(draw):
    image = Image.new("L", (WIDTH, HEIGHT))
    draw(ImageDraw.Draw(image))
    return np.asarray(image) > 0


def test_shapes_have_the_pixels_that_labelme_gives_them(write, convert):
    polygon = [[1.4, 2.2], [12.7, 3.1], [8.3, 11.9]]
    circle = [[30.0, 8.0], [33.0, 12.0]]  # of radius 5
    folder = write(
        shape("cat", polygon), shape("dog", [[9.0, 25.0], [3.0, 20.0]], "rectangle"), shape("cat", circle, "circle")
    )
    found = convert("labelme", folder)
    expected = drawn(lambda d: d.polygon([tuple(p) for p in polygon], outline=1, fill=1)) * 1
    expected[20:26, 3:10] = 2  # both corners are part of it
    expected[drawn(lambda d: d.ellipse([25, 3, 35, 13], outline=1, fill=1))] = 3
    assert np.array_equal(found.ids("a.jpg"), expected)
    assert found.names("a.jpg") == {1: "cat", 2: "dog", 3: "cat"}
    assert [(c["id"], c["name"], c["isthing"]) for c in found.json["categories"]] == [(1, "cat", 1), (2, "dog", 1)]
    assert found.segments("a.jpg")


def test_a_mask_lies_in_the_box_of_its_points(write, convert):
    values = np.array([[True, False, True], [True, True, True]])
    content = io.BytesIO()
    Image.fromarray(values).save(content, "PNG")
    mask = base64.b64encode(content.getvalue()).decode()
    found = convert("labelme", write(shape("cat", [[5, 7], [7, 8]], "mask", mask=mask)))
    assert np.array_equal(found.ids("a.jpg")[7:9, 5:8], values) and found.segments("a.jpg") == [("cat", 5)]
    with pytest.raises(InputError, match=r"a.json: .*mask is 2 x 3 \(height x width\), the box of its points 3 x 3"):
        convert("labelme", write(shape("cat", [[5, 7], [7, 9]], "mask", mask=mask)), {"overwrite": True})


def box(label, left, top, right, bottom, **more):
    return shape(label, [[left, top], [right, bottom]], "rectangle", **more)


def test_shapes_of_one_group_are_one_object(write, convert):
    folder = write(
        box("cat", 0, 0, 1, 1, group_id=1), box("cat", 5, 5, 6, 6, group_id=1), box("dog", 8, 8, 9, 9, group_id=1)
    )
    found = convert("labelme", folder)
    assert found.segments("a.jpg") == [("cat", 8), ("dog", 4)]


def test_later_shapes_lie_on_top_unless_smaller_ones_shall(write, convert):
    folder = write(box("cat", 2, 2, 3, 3), box("dog", 0, 0, 9, 9))
    found = convert("labelme", folder)
    assert found.segments("a.jpg") == [("dog", 100)] and found.changes == {"covered": 1}
    found = convert("labelme", folder, {"overwrite": True}, overlap="smaller")
    assert found.segments("a.jpg") == [("cat", 4), ("dog", 96)]


def test_stuff_crowds_void_and_the_rest(write, convert):
    folder = write(
        box("road", 0, 20, 39, 29), box("road", 0, 0, 39, 1),
        box("cat", 5, 5, 9, 9, flags={"crowd": True, "hard": True}),
        box("__ignore__", 0, 10, 39, 11), box("_background_", 0, 12, 39, 12),
        flags={"night": True},
    )  # fmt: skip
    found = convert("labelme", folder, stuff=("road",), rest="other")
    rest = HEIGHT * WIDTH - 12 * 40 - 25 - 80
    assert found.segments("a.jpg") == [("cat*", 25), ("other", rest), ("road", 480)]
    assert (found.ids("a.jpg")[10:12] == 0).all() and (found.ids("a.jpg") == 0).sum() == 80
    assert found.images["a.jpg"]["flags"] == {"night": True} and found.changes == {"flag-dropped": 1}


def test_shapes_without_an_area_are_dropped_and_counted(write, convert):
    folder = write(
        shape("cat", [[1, 1], [9, 9]], "line"), shape("cat", [[1, 1]], "point"), shape("cat", [[1, 1], [9, 9]]),
        box("cat", 50, 50, 60, 60), box("cat", -9, 2, 3, 4), box("dog", 20, 20, 21, 21),
    )  # fmt: skip
    (folder / "classes.json").write_text('["cat"]')
    found = convert("labelme", folder)
    assert found.segments("a.jpg") == [("cat", 12), ("dog", 4)]
    assert found.changes == {"json-other": 1, "shape-kind": 2, "few-points": 1, "outside": 1, "clipped": 1}


def test_the_photo_is_the_file_or_what_the_json_holds(write, convert, photo, tmp_path):
    content = photo(tmp_path / "elsewhere/b.jpg", HEIGHT, WIDTH)
    folder = write(box("cat", 1, 1, 2, 2), name="b", photos=False, imagePath="..\\elsewhere\\b.jpg")
    data = photo(tmp_path / "c.png", HEIGHT, WIDTH)
    write(box("cat", 1, 1, 2, 2), name="c", photos=False, imagePath="c.bmp", imageData=base64.b64encode(data).decode())
    found = convert("labelme", folder)
    assert (found.folder / "images/b.jpg").read_bytes() == content
    assert (found.folder / "images/c.png").read_bytes() == data
    assert found.segments("b.jpg") == found.segments("c.png") == [("cat", 4)]


@pytest.mark.parametrize(
    "shapes, more, words",
    [
        ([{"label": "cat"}], {}, r"a.json: shapes\[0\]: lacks points"),
        ([shape("", [[1, 1], [2, 2], [3, 1]])], {}, r"shapes\[0\]: label must be a text"),
        ([shape("cat", [[1, 1], [2, "2"], [3, 1]])], {}, r"shapes\[0\]: points must be pairs of finite numbers"),
        ([shape("cat", [[1, 1], [9e9, 2], [3, 1]])], {}, r"shapes\[0\] .* must lie near the image of 30 x 40"),
        ([box("cat", 1, 1, 2, 2)], {"imageWidth": 41}, r"a.jpg: 30 x 40 .*its truth 30 x 41"),
        ([box("cat", 1, 1, 2, 2)], {"imagePath": None}, "a.json: imagePath must be a text of one line, found None"),
        ([box("cat", 1, 1, 2, 2)], {"imagePath": "b\0.jpg"}, "a.json: imagePath must be a text of one line"),
        ([shape("cat", [[1, 1], [10**400, 2], [3, 1]])], {}, r"shapes\[0\]: points must be pairs of finite numbers"),
        ([shape("cat", [[1, 1], [2, 2], [3, 1]], ["polygon"])], {}, r"shapes\[0\]: shape_type must be a text"),
        ([box("cat", 1, 1, 2, 2)], {"imagePath": "b.jpg"}, "labelme/b.jpg: no such file"),
        ([box("cat", 1, 1, 2, 2)], {"imagePath": "b.jpg", "imageData": "%"}, "a.json: imageData is no base64"),
        ([], {}, "no shape has a label"),
        ([], {"shapes": None}, "no JSON of labelme in it"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(shapes, more, words, write, convert):
    folder = write(*shapes, **more)
    with pytest.raises(InputError, match=words):
        convert("labelme", folder)


def test_labels_outside_the_given_categories_are_named(write, convert, tmp_path):
    (tmp_path / "c.yaml").write_text("5: cat\n9: {name: road, thing: false}\n")
    folder = write(box("cat", 1, 1, 2, 2))
    found = convert("labelme", folder, categories=tmp_path / "c.yaml")
    assert [(c["id"], c["isthing"]) for c in found.json["categories"]] == [(5, 1), (9, 0)]
    write(box("cow", 1, 1, 2, 2), name="b")
    with pytest.raises(InputError, match=r"b.json shapes\[0\] \(cow\): label 'cow' is not in .*c.yaml"):
        convert("labelme", folder, {"overwrite": True}, categories=tmp_path / "c.yaml")


def test_names_of_given_categories_that_are_no_text_are_named(write, convert, tmp_path):
    (tmp_path / "c.json").write_text('[{"id": 1, "name": "cat"}, {"id": 2, "name": ["dog"]}]')
    with pytest.raises(InputError, match=r"c.json: .*name must be a text"):
        convert("labelme", write(box("cat", 1, 1, 2, 2)), categories=tmp_path / "c.json")
