import io
import json
import shutil
import subprocess
import sys
from importlib.metadata import entry_points

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.image_kinds import saved
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export.saved_model import export_saved_model, open_saved_model
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.version import __version__


@pytest.fixture(scope="module")
def signatures(exported):
    loaded = tf.saved_model.load(str(exported[1]))
    return {**loaded.signatures, "alive": loaded}


@pytest.fixture(scope="module")
def images():
    """Two of one odd size."""
    images = np.random.default_rng(0).integers(0, 256, (2, 70, 93, 3), dtype=np.uint8)
    images[:, 20:40, 30:60] //= 4
    return images


@pytest.fixture(scope="module")
def photos(images):
    """Files of different kinds and sizes, one of them turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pictures = [Image.fromarray(image) for image in (images[0], images[1][:50], images[1])]
    return [saved(pictures[0], "PNG"), saved(pictures[1], "JPEG", exif=exif), saved(pictures[2].convert("L"), "PNG")]


SERVE = """
import sys, types
for name in ("keras", "tfpanoptic"):
    sys.modules[name] = None
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1]).signatures
given = np.load(sys.argv[2], allow_pickle=True)
served = model["serving_default"](image=tf.constant(given["images"]))
answered = model["serve_bytes"](image_bytes=tf.constant(list(given["photos"])))
outputs = model["logits"](image=tf.constant(given["images"]))
np.savez(sys.argv[3], **{f"{signature}.{name}": value.numpy()
    for signature, values in (("images", served), ("bytes", answered), ("logits", outputs))
    for name, value in values.items()})
"""


@pytest.fixture(scope="module")
def served(exported, images, photos, tmp_path_factory):
    """What the signatures give in a process that has TensorFlow and neither Keras nor this package."""
    folder = tmp_path_factory.mktemp("served")
    np.savez(folder / "in.npz", images=images, photos=np.array(photos, object))
    files = [str(exported[1]), str(folder / "in.npz"), str(folder / "out.npz")]
    subprocess.run([sys.executable, "-c", SERVE, *files], check=True)
    return np.load(folder / "out.npz", allow_pickle=True)


def assert_served(panoptic, rows, expected):
    """Compares what was served of an image with the model's own result."""
    np.testing.assert_array_equal(panoptic, expected.segmentation)
    rows = rows[rows[:, 0] > 0]
    assert len(rows) == len(expected.segments_info) > 0
    for row, segment in zip(rows, expected.segments_info):
        x, y, width, height = segment["bbox"]
        assert row[0] == segment["id"] and row[1] == segment["category_id"] and row[2] == segment["isthing"]
        assert row[3] == pytest.approx(segment["score"], abs=1e-5)
        assert row[4:].tolist() == [segment["area"], y, x, y + height, x + width]


def test_a_batch_of_images_gives_what_segment_gives_of_each(exported, images, served):
    for number, image in enumerate(images):
        expected = exported[0].segment(image)
        assert_served(served["images.panoptic"][number], served["images.segments"][number], expected)


def test_files_of_different_sizes_give_what_segment_gives_of_each_upright(exported, photos, served):
    assert [exported[0].segment(photo).segmentation.shape for photo in photos] == [(70, 93), (93, 50), (70, 93)]
    for number, photo in enumerate(photos):
        with Image.open(io.BytesIO(served["bytes.panoptic_png_bytes"][number])) as png:
            assert png.format == "PNG" and png.mode == "RGB"
            red, green, blue = np.asarray(png).astype(np.int32).transpose(2, 0, 1)
        panoptic = red + 256 * green + 65536 * blue
        assert_served(panoptic, served["bytes.segments"][number], exported[0].segment(photo))


def test_logits_are_the_outputs_of_the_network(exported, images, served):
    segmenter = exported[0]
    # The grid of the model is of 16 pixels.
    padded = np.zeros((2, 80, 96, 3), np.float32)
    padded[:, :70, :93] = images
    sizes = np.array([[70, 93]] * 2, np.int32)
    expected = segmenter.infer_network({"image": padded, "valid_size": sizes})
    for name, values in expected.items():
        np.testing.assert_allclose(served[f"logits.{name}"], values, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(served["logits.valid_size"], sizes)
    np.testing.assert_array_equal(served["logits.input_size"], [[80, 96]] * 2)


def test_a_batch_of_nothing_gives_nothing(signatures):
    none = tf.zeros([0, 32, 48, 3], tf.uint8)
    for name, given in (
        ("serving_default", {"image": none}),
        ("serve_bytes", {"image_bytes": tf.zeros([0], tf.string)}),
        ("logits", {"image": none}),
    ):
        for key, value in signatures[name](**given).items():
            assert value.shape[0] == 0, (name, key)


def test_a_bad_file_in_a_batch_is_named(signatures, photos):
    with pytest.raises(tf.errors.InvalidArgumentError, match="image 1 of the batch, counted from 0: not a JPEG or PNG"):
        signatures["serve_bytes"](image_bytes=tf.constant([photos[0], b"no image", photos[1]]))


@pytest.mark.parametrize("shape", [(1, 0, 5, 3), (1, 5, 0, 3), (2, 4001, 4000, 3)])
@pytest.mark.parametrize("signature", ["serving_default", "logits"])
def test_images_without_pixels_or_with_too_many_are_refused(signatures, signature, shape):
    with pytest.raises(tf.errors.InvalidArgumentError) as refused:
        signatures[signature](image=tf.zeros(shape, tf.uint8))
    for words in (
        "expected uint8 [B, H, W, 3] with pixels",
        "at most 32000000",
        "found [" + ", ".join(map(str, shape)),
    ):
        assert words in str(refused.value)


WRONG = {
    "float": ("serving_default", {"image": tf.zeros([1, 8, 8, 3])}, "expected to be a uint8 tensor but is a float"),
    "rank": (
        "serving_default",
        {"image": tf.zeros([8, 8, 3], tf.uint8)},
        r"image \[8,8,3\] .* expected shape \[\?,\?,\?,3\]",
    ),
    "alpha": (
        "logits",
        {"image": tf.zeros([1, 8, 8, 4], tf.uint8)},
        r"image \[1,8,8,4\] .* expected shape \[\?,\?,\?,3\]",
    ),
    "no batch": ("serve_bytes", {"image_bytes": tf.constant("x")}, r"image_bytes \[\] .* expected shape \[\?\]"),
    "no string": ("serve_bytes", {"image_bytes": tf.constant([1])}, "expected to be a string tensor but is a int32"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_type_or_shape_is_refused(signatures, case):
    signature, given, words = WRONG[case]
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        signatures[signature](**given)


@pytest.mark.parametrize("signature, name", [("serving_default", "image"), ("serve_bytes", "image_bytes")])
def test_saved_model_cli_runs_it(exported, images, photos, signature, name, tmp_path, monkeypatch, capsys):
    given = {"image": images[:1], "image_bytes": np.array(photos[:1], object)}[name]
    np.save(tmp_path / "in.npy", given, allow_pickle=True)
    (command,) = entry_points(group="console_scripts", name="saved_model_cli")
    model = ["--dir", str(exported[1]), "--tag_set", "serve", "--signature_def", signature]
    inputs, out = ["--inputs", f"{name}={tmp_path / 'in.npy'}"], ["--outdir", str(tmp_path)]
    for arguments in (["show", *model], ["run", *model, *inputs, *out]):
        monkeypatch.setattr(sys, "argv", ["saved_model_cli", *arguments])
        with pytest.raises(SystemExit) as ended:
            command.load()()
        assert not ended.value.code
    assert f"inputs['{name}']" in capsys.readouterr().out
    segments = np.load(tmp_path / "segments.npy")
    assert (segments[0, :, 0] > 0).sum() == len(exported[0].segment(images[0]).segments_info)


def test_categories_and_configuration_are_assets(exported):
    segmenter, folder = exported
    assets = {path.name: path.read_text() for path in (folder / "assets").iterdir()}
    assert assets["categories.json"] == segmenter.categories.to_json()
    assert assets["config.yaml"] == segmenter.experiment.to_yaml()
    assert json.loads(assets["segments.json"])["columns"][:2] == ["id", "category_id"]


def test_versions_and_the_licence_are_assets(exported):
    origin = json.loads((exported[1] / "assets/origin.json").read_text())
    assert origin["tfpanoptic"] == __version__ and origin["packages"]["keras"] == keras.__version__
    assert origin["architecture"] == "panoptic_deeplab" and origin["licence"] == "unknown"


def _change(folder, **entries):
    path = folder / "assets/origin.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def _cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


SPOILED = {
    "missing": (lambda folder: shutil.rmtree(folder), "no such folder; expected a SavedModel"),
    "empty": (lambda folder: (shutil.rmtree(folder), folder.mkdir()), "no saved_model.pb; expected a SavedModel"),
    "another's": (lambda folder: (folder / "assets/origin.json").unlink(), "assets/origin.json: cannot be read"),
    "no categories": (lambda folder: (folder / "assets/categories.json").unlink(), "categories.json: cannot be read"),
    "no JSON": (lambda folder: (folder / "assets/origin.json").write_text("{"), "assets: damaged"),
    "no table": (lambda folder: (folder / "assets/categories.json").write_text("[]"), "assets: damaged"),
    "newer": (lambda folder: _change(folder, format_version=99, tfpanoptic="9.9"), "of version 99, .* tfpanoptic 9.9"),
    "graph": (lambda folder: (folder / "saved_model.pb").write_bytes(b"no graph"), "damaged .*; expected a SavedModel"),
    "cut weights": (lambda folder: _cut(next(folder.glob("variables/*.data*"))), "damaged .*; expected a SavedModel"),
    "no weights": (lambda folder: shutil.rmtree(folder / "variables"), "damaged .*; expected a SavedModel"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_no_whole_saved_model_of_ours_is_refused_in_one_line(exported, case, tmp_path):
    spoil, words = SPOILED[case]
    folder = shutil.copytree(exported[1], tmp_path / "model")
    spoil(folder)
    with pytest.raises(InputError, match=words) as refused:
        open_saved_model(folder)
    assert "\n" not in str(refused.value) and str(folder) in str(refused.value)


def test_a_number_of_threads_is_no_error_where_tensorflow_runs_already(exported):
    tf.constant(1) + 1
    assert callable(open_saved_model(exported[1], threads=1))


def test_a_category_id_beyond_float32_is_refused(exported, tiny_experiment, tmp_path):
    from tfpanoptic.categories import CategoryTable

    table = CategoryTable.from_coco(
        [{"id": 2**24, "name": "nucleus", "isthing": 1}, {"id": 2, "name": "background", "isthing": 0}]
    )
    with pytest.raises(InputError, match="nucleus has the dataset id 16777216"):
        export_saved_model(PanopticSegmenter(tiny_experiment, table), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_that_exists_is_not_replaced(exported, tmp_path):
    with pytest.raises(InputError, match="--overwrite"):
        export_saved_model(*exported)
    Image.new("RGB", (2, 2)).save(tmp_path / "mine.png")
    with pytest.raises(InputError, match="holds something else"):
        export_saved_model(exported[0], tmp_path, overwrite=True)


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(exported, tmp_path, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nnode: SaveV2")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(WorkFailed, match=r"sm: cannot be written \(No space left on device\)$"):
        export_saved_model(exported[0], tmp_path / "sm")
    assert not list(tmp_path.iterdir())
