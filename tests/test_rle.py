import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfpanoptic.errors import InputError
from tfpanoptic.rle import checked_rle, encode_mask

masks = pytest.importorskip("pycocotools.mask")

# Runs along the columns of 3 x 4: two zeros, four ones, six zeros.
MASK = np.array([[0, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]], bool)
COUNTS = [2, 4, 6]


def decoded(segmentation, size):
    return masks.decode(checked_rle(segmentation, size)).astype(bool)


def test_runs_go_down_the_columns():
    np.testing.assert_array_equal(decoded({"size": [3, 4], "counts": COUNTS}, (3, 4)), MASK)
    np.testing.assert_array_equal(masks.decode(encode_mask(MASK)), MASK)


def test_compressed_runs_are_those_of_pycocotools():
    # Of lengths up to 15 each is one character from "0".
    assert encode_mask(MASK)["counts"] == b"246"
    np.testing.assert_array_equal(decoded({"size": [3, 4], "counts": "246"}, (3, 4)), MASK)


@pytest.mark.parametrize("seed", range(20))
def test_what_pycocotools_writes_is_accepted_as_it_is(seed):
    random = np.random.default_rng(seed)
    mask = random.uniform(size=(60, 90)) < random.choice([0, 0.001, 0.05, 0.5, 0.999])
    mask[10 : random.integers(10, 60), : random.integers(0, 90)] = True
    written = encode_mask(mask)
    text = {"size": written["size"], "counts": written["counts"].decode()}
    assert checked_rle(text, (60, 90)) == written


def test_empty_runs_inside_are_written_anew():
    # pycocotools stops where two runs in a row are empty, so that these masks would not overlap themselves.
    segmentation = {"size": [3, 4], "counts": [0, 0, 2, 0, 0, 4, 6]}
    assert checked_rle(segmentation, (3, 4)) == encode_mask(MASK)


def test_a_polygon_covers_the_pixels_between_its_corners():
    square = [1, 1, 3, 1, 3, 3, 1, 3]
    expected = np.zeros((4, 5), bool)
    expected[1:3, 1:3] = True
    np.testing.assert_array_equal(decoded([square], (4, 5)), expected)
    other = [float(value + 1) for value in square]  # its pixels are those of 2..3; the union counts
    expected[2:4, 2:4] = True
    np.testing.assert_array_equal(decoded([square, other], (4, 5)), expected)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "must be polygons or RLE with size and counts, found None"),
        ({"counts": "246"}, "must be polygons or RLE"),
        ({"size": [4, 3], "counts": "246"}, r"has size \[4, 3\], its image \[3, 4\]"),
        ({"size": [3, 4], "counts": "245"}, "do not add up to its image's 12 pixels: '245'"),
        ({"size": [3, 4], "counts": "24N8"}, "do not add up"),  # 2, 4, -2, 12
        ({"size": [3, 4], "counts": ""}, "no compressed RLE, or cut short"),
        ({"size": [3, 4], "counts": "24P"}, "no compressed RLE, or cut short"),  # P says that more follows
        ({"size": [3, 4], "counts": "24 "}, "no compressed RLE"),
        ({"size": [3, 4], "counts": "24é"}, "no compressed RLE"),
        ({"size": [3, 4], "counts": "24\ud800"}, "no compressed RLE"),
        ({"size": [3, 4], "counts": "PPPPPPP0"}, "a length above any image"),
        ({"size": [3, 4], "counts": [2, 4, 5]}, "do not add up"),
        ({"size": [3, 4], "counts": [2, -4, 14]}, "must be a text or a list of lengths"),
        ({"size": [3, 4], "counts": [2.5, 9.5]}, "must be a text or a list of lengths"),
        ({"size": [3, 4], "counts": []}, "do not add up"),
        ({"size": [3, 4], "counts": [1 << 80]}, "must be a text or a list of lengths"),
        ([], "found an empty list"),
        ([1, 1, 2, 2, 3, 3], "needs pairs of x and y, three or more, found 1"),
        ([[1, 1, 2, 2]], "needs pairs of x and y, three or more"),
        ([[1, 1, 2, 2, 3, 3, 4]], "needs pairs of x and y"),
        ([[1, 1, 2, 2, 3, float("nan")]], "numbers near the image, found nan"),
        ([[1, 1, 2, 2, 1e9, 3]], "numbers near the image, found 1000000000.0"),
        ([[1, 1, 2, 2, 3, "3"]], "numbers near the image, found '3'"),
    ],
)
def test_what_is_no_mask_of_the_image_is_refused(segmentation, message):
    with pytest.raises(InputError, match=message):
        checked_rle(segmentation, (3, 4))


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
characters = st.text(st.characters(min_codepoint=46, max_codepoint=113), max_size=12)
rle = st.fixed_dictionaries(
    {
        "size": st.just([3, 4]) | st.lists(values, max_size=3),
        "counts": characters | st.lists(st.integers(-1, 12)) | values,
    }
)
polygons = st.lists(
    st.lists(st.integers(-4, 8) | st.floats(-4, 8) | values, min_size=4, max_size=8) | values, max_size=3
)


@settings(max_examples=400, deadline=None)
@given(rle | polygons | values)
def test_any_segmentation_is_a_mask_of_the_image_or_refused_in_one_line(segmentation):
    try:
        mask = decoded(segmentation, (3, 4))
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert mask.shape == (3, 4)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=6))
def test_runs_that_add_up_are_the_same_mask_in_both_forms(counts):
    counts = [*counts, max(0, 12 - sum(counts))]
    if sum(counts) != 12:
        with pytest.raises(InputError):
            checked_rle({"size": [3, 4], "counts": counts}, (3, 4))
        return
    expected = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(4, 3).T
    # From the fourth length on the difference to the last but one; -16 to 15 are one character.
    written = [count - (counts[k - 2] if k > 2 else 0) for k, count in enumerate(counts)]
    text = "".join(chr(48 + (value & 31)) for value in written)
    np.testing.assert_array_equal(decoded({"size": [3, 4], "counts": counts}, (3, 4)), expected)
    np.testing.assert_array_equal(decoded({"size": [3, 4], "counts": text}, (3, 4)), expected)


def test_without_pycocotools_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(InputError, match=r"masks as RLE need pycocotools: pip install pycocotools"):
        encode_mask(MASK)
