import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.image_kinds import HEIGHT, KINDS, WIDTH
from tfpanoptic.categories import CategoryTable
from tfpanoptic.data import examples as examples_module
from tfpanoptic.data.dataset import Dataset, ImageRecord, read_record_image, read_segment_map
from tfpanoptic.data.examples import decoded_bytes, file_reader, memory_reader
from tfpanoptic.errors import InputError
from tfpanoptic.segment_map import segment_rows, to_panoptic_map


@pytest.fixture
def large(monkeypatch):
    """Every dataset of this test counts as a large one, whose headers are not read at once."""
    monkeypatch.setattr(examples_module, "MOST_HEADERS_AT_ONCE", 0)


@pytest.mark.parametrize("most_at_once", [0, 25_000])
@pytest.mark.parametrize("reader", [file_reader, memory_reader])
def test_images_and_maps_equal_those_read_outside_the_graph(several, reader, most_at_once, monkeypatch):
    monkeypatch.setattr(examples_module, "MOST_HEADERS_AT_ONCE", most_at_once)
    dataset = several.read()
    examples = tf.data.Dataset.range(len(dataset)).map(reader(dataset))
    for record, (image, panoptic) in zip(dataset.records, examples, strict=True):
        np.testing.assert_array_equal(image, read_record_image(record))
        np.testing.assert_array_equal(panoptic, to_panoptic_map(read_segment_map(record), dataset.categories)[0])


def test_labels_are_category_times_ten_thousand_plus_instance(coco):
    # ground is category 1, cell 2; the crowd has instance 0.
    _, panoptic = file_reader(coco.read())(tf.constant(0, tf.int64))
    expected = [[20_001] * 6, [10_000] * 6, [10_000] * 4 + [20_000] * 2, [0] * 4 + [20_000] * 2]
    np.testing.assert_array_equal(panoptic, expected)


@pytest.mark.parametrize("most_at_once", [0, 25_000])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_read_as_outside_the_graph(coco, orientation, most_at_once, monkeypatch):
    monkeypatch.setattr(examples_module, "MOST_HEADERS_AT_ONCE", most_at_once)
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = (4, 6) if orientation < 5 else (6, 4)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(coco.images / "0.jpg", exif=exif)
    coco.content["images"][0]["file_name"] = "0.jpg"
    dataset = coco.read()
    image, _ = file_reader(dataset)(tf.constant(0, tf.int64))
    np.testing.assert_array_equal(image, read_record_image(dataset.records[0]))


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A dataset with a file of each kind of image, without a segment."""
    folder = tmp_path_factory.mktemp("kinds")
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / "void.png")
    records = []
    for number, (kind, content) in enumerate(KINDS.items()):
        path = folder / f"{number}.{kind.split()[0]}"
        path.write_bytes(content())
        record = ImageRecord(path, folder / "void.png", path.name, number, HEIGHT, WIDTH, segment_rows([], []))
        records.append(record)
    return Dataset("kinds", "train", CategoryTable.from_coco([{"id": 1, "name": "cell", "isthing": 1}]), tuple(records))


@pytest.fixture(scope="module")
def read_in_the_graph(kinds):
    """Deep grey -> the images of `kinds` as the training reads them."""
    images = {}
    for rule in ("high_byte", "file_range"):
        examples = tf.data.Dataset.range(len(kinds)).map(file_reader(kinds, rule))
        images[rule] = [image for image, _ in examples.as_numpy_iterator()]
    return images


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("rule", ["high_byte", "file_range"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_has_the_pixels_that_it_has_outside_the_graph(kinds, read_in_the_graph, kind, rule):
    number = list(KINDS).index(kind)
    expected = read_record_image(kinds.records[number], rule)
    np.testing.assert_array_equal(read_in_the_graph[rule][number], expected)


def test_images_that_pillow_decodes_are_counted_in_one_line(several, capsys):
    for number in (1, 2):
        pixels = Image.open(several.images / f"{number}.png")
        pixels.quantize(8).save(several.images / f"{number}.bmp")
        several.content["images"][number]["file_name"] = f"{number}.bmp"
    dataset = several.read()
    file_reader(dataset)
    told = f"{dataset.name} {dataset.split}: 2 of {len(dataset)} images are decoded with Pillow (2 .bmp); "
    assert capsys.readouterr().err.startswith(told)


def test_a_segment_that_the_annotation_lacks_stops_the_pipeline_and_names_the_file(coco):
    del coco.content["annotations"][0]["segments_info"][0]
    examples = tf.data.Dataset.range(1).map(file_reader(coco.read()))
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(str(coco.panoptic / "0.png"))):
        next(iter(examples))


def test_a_segment_that_the_png_lacks_stops_the_pipeline_and_names_the_file(coco):
    segments = coco.content["annotations"][0]["segments_info"]
    segments.append({**segments[0], "id": 99})
    examples = tf.data.Dataset.range(1).map(file_reader(coco.read()))
    with pytest.raises(tf.errors.InvalidArgumentError, match="lacks a segment that its annotation lists"):
        next(iter(examples))
    with pytest.raises(InputError, match=r"0\.png: lacks segment 99"):
        memory_reader(coco.read())


def test_the_memory_reader_names_such_a_file_in_one_line(coco):
    del coco.content["annotations"][0]["segments_info"][0]
    with pytest.raises(InputError, match=r"0\.png: holds segment 70000"):
        memory_reader(coco.read())


def test_the_memory_reader_names_a_damaged_file(several):
    damaged = several.images / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(InputError, match=re.escape(str(damaged))):
        memory_reader(several.read())


def test_a_wrong_header_is_told_before_the_first_example(several):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(several.images / "5.png")
    with pytest.raises(InputError, match=re.escape(f"{several.images / '5.png'}: the file is 9 x 9")):
        file_reader(several.read())


def test_a_wrong_header_of_a_large_dataset_is_told_with_its_example(several, large):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(several.images / "5.png")
    dataset = several.read()
    examples = iter(tf.data.Dataset.range(len(dataset)).map(file_reader(dataset)))
    for _ in range(5):
        next(examples)
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(f"{several.images / '5.png'}: the file is 9")):
        next(examples)
    with pytest.raises(InputError, match=re.escape(str(several.images / "5.png"))):
        memory_reader(dataset)


def test_a_large_dataset_has_each_header_read_once_when_its_image_is_asked_for(several, large, monkeypatch):
    seen = []
    read = examples_module.read_orientation
    monkeypatch.setattr(
        examples_module, "read_orientation", lambda record: seen.append(record.file_name) or read(record)
    )
    reader = file_reader(several.read())
    assert seen == []
    for number in (4, 2, 4):
        reader(tf.constant(number, tf.int64))
    assert seen == ["4.png", "2.png"]


def test_more_instances_than_a_map_can_hold_are_an_error_that_names_the_file(coco):
    record = coco.read().records[0]
    many = segment_rows(np.arange(1, 10_001), np.full(10_000, 2))
    object.__setattr__(record, "segments", many)
    dataset = coco.read()
    object.__setattr__(dataset, "records", (record,))
    with pytest.raises(InputError, match=r"panoptic/0\.png: more than 9999 instances of cell"):
        file_reader(dataset)


def test_decoded_bytes_count_three_of_colour_and_four_of_label(coco):
    assert decoded_bytes(coco.read()) == 4 * 6 * 7
