from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.architectures import experiments
from tfpanoptic.errors import InputError
from tfpanoptic.predict import tiles
from tfpanoptic.predict.tiles import TiledSegmenter, large_images, require_own_size, require_tile, spans
from tfpanoptic.segment_map import relabel
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.input_size import InputConfig
from tfpanoptic.settings.sizes import MOST_TILED_PIXELS, Grid

GRID = Grid(16)


@pytest.fixture(scope="module")
def segmenter(tiny_run):
    return PanopticSegmenter.from_preset(tiny_run)


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(1).integers(0, 256, (100, 150, 3), dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 100, 127, 1000])
@pytest.mark.parametrize("tile, overlap, step", [(64, 16, 16), (64, 0, 1), (64, 63, 1), (70, 20, 16), (65, 9, 32)])
def test_tiles_cover_an_axis_share_enough_and_decide_each_pixel_once(length, tile, overlap, step):
    found = spans(length, tile, overlap, step)
    assert [span.first for span in found] == [0, *(span.last for span in found[:-1])] and found[-1].last == length
    for span in found:
        assert span.start <= span.first < span.last <= span.stop and span.start % step == 0
        assert span.stop - span.start == tile or span == found[-1]
    assert found[-1].stop - found[-1].start > tile - step or length < tile
    for one, next_one in pairwise(found):
        shared = one.stop - next_one.start
        assert shared >= overlap
        assert abs((one.last - next_one.start) - (one.stop - one.last)) <= 1  # the cut is the middle


def test_tiles_are_spread_evenly():
    # 7 steps of 16 remain for two more tiles, at most 3 steps apart for an overlap of 16: 3, 3 and 1, or evenly 2s.
    assert [span.start for span in spans(64 + 7 * 16, 64, 16, 16)] == [0, 48, 96, 112]
    assert [span.start for span in spans(64 + 5 * 16, 64, 16, 16)] == [0, 48, 80]
    assert [span.start for span in spans(64 + 4 * 16, 64, 16, 16)] == [0, 32, 64]


def test_a_photo_no_larger_than_a_tile_gives_what_the_model_gives(segmenter, photo):
    expected, found = segmenter.segment_map(photo), TiledSegmenter(segmenter, 150).segment_map(photo)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.segments, expected.segments)


def test_a_larger_photo_has_a_result_of_its_size_and_name(segmenter, photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.png")
    result = TiledSegmenter(segmenter, 64, 16).segment(tmp_path / "a.png")
    assert result.segmentation.shape == (100, 150) and result.name == "a.png"
    assert result.segments_info


def categories_of(segment_map):
    rows = segment_map.segments
    return relabel(segment_map.ids, rows["id"], rows["category"])


def test_a_network_that_sees_a_few_pixels_gives_what_it_gives_of_the_whole_photo():
    # Two convolutions of 3 x 3 and enlarging from a quarter of the size: less than 8 pixels, which a cut is away from
    # the borders of tiles that share 16.
    model = experiments.segmenter("toy")
    noise = np.random.default_rng(2).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    photo = np.asarray(Image.fromarray(noise).resize((179, 131)))
    whole, tiled = model.segment_map(photo), TiledSegmenter(model, 64, 16).segment_map(photo)
    assert len(whole.segments) == 2
    np.testing.assert_array_equal(categories_of(tiled), categories_of(whole))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(experiments.MODELS) - {"toy"}))
def test_every_architecture_works_in_tiles(name, photo):
    tiled = TiledSegmenter(experiments.segmenter(name), 64, 16)
    result = tiled.segment_map(photo)
    assert result.shape == (100, 150)
    assert set(np.unique(result.ids)) - {0} == set(result.segments["id"].tolist())


def test_stuff_needs_its_pixels_in_the_photo_and_not_in_a_tile(segmenter, tiny_run, photo):
    found = categories_of(TiledSegmenter(segmenter, 64, 16).segment_map(photo)) == 2
    area = int(found.sum())
    parts = [found[y.start : y.stop, x.start : x.stop] for y in spans(100, 64, 16, 16) for x in spans(150, 64, 16, 16)]
    assert 0 < max(part.sum() for part in parts) < area
    model = PanopticSegmenter.from_preset(tiny_run, [f"model.postprocess.stuff_area={area}"])
    np.testing.assert_array_equal(categories_of(TiledSegmenter(model, 64, 16).segment_map(photo)) == 2, found)


@pytest.mark.parametrize(
    "tile, overlap, config, words",
    [
        (0, 0, {}, "tile: expected at least 16 pixels, .* found 0"),
        (-5, None, {}, "tile: expected at least 16 .* found -5"),
        (15, 0, {}, "tile: expected at least 16 .* found 15"),
        (10_000, 0, {}, "tile: expected at most 5656 pixels, .* found 10000"),
        (64, 64, {}, "overlap: expected 0 to 48 pixels for tiles of 64, found 64"),
        (64, -1, {}, "overlap: expected 0 to 48 .* found -1"),
        (64, 0, {"long_side": 640}, "tile: input.long_side=640 would resize tiles of 64; expected 640"),
        (64, 0, {"short_side": 80, "max_long_side": 90}, "tile: input.short_side=80 .*; expected 80"),
        (64, 0, {"size": [50, 50]}, r"tile: input.size=\(50, 50\) .*; expected 50"),
        (64, 0, {"size": [50, 64]}, "tile: input.size=.* expected no tiles, which are square"),
    ],
)
def test_tiles_that_a_network_cannot_see_one_by_one_are_refused(tile, overlap, config, words):
    with pytest.raises(InputError, match=words):
        require_tile(tile, overlap, GRID, InputConfig(**config))


def test_the_overlap_is_a_quarter_unless_it_is_given():
    assert require_tile(64, None, GRID, InputConfig()) == 16
    assert require_tile(16, None, GRID, InputConfig()) == 0
    assert require_tile(64, 20, GRID, InputConfig(long_side=64)) == 20


@pytest.mark.parametrize(
    "config, words",
    [
        ({"max_long_side": 200}, "a.jpg: input.max_long_side=200 .* 100 x 300.*; input.max_long_side=300 allows that"),
        ({"short_side": 128}, "a.jpg: a photo of 100 x 300 fills only 100 x 128 .* at least 128"),
    ],
)
def test_a_photo_that_would_be_resized_is_refused(config, words):
    with pytest.raises(InputError, match=words):
        require_own_size("a.jpg", (100, 300), 128, InputConfig(**config))


@pytest.mark.parametrize("config", [{}, {"max_long_side": 300}, {"long_side": 128}])
def test_a_photo_that_keeps_its_size_may_have_tiles(config):
    require_own_size("a.jpg", (100, 300), 128, InputConfig(**config))


def test_files_that_pillow_refuses_are_opened_up_to_a_limit(segmenter, photo, tmp_path, monkeypatch):
    Image.fromarray(photo).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="a.png: has more than 0 megapixels, which Pillow refuses; .* --tile .* 1000"):
        segmenter.segment(tmp_path / "a.png")
    assert TiledSegmenter(segmenter, 160).segment(tmp_path / "a.png").name == "a.png"
    assert Image.MAX_IMAGE_PIXELS == 1000
    monkeypatch.setattr(tiles, "MOST_TILED_PIXELS", 14_999)  # the photo has 15,000
    with pytest.raises(InputError, match="a.png: has more than 0 megapixels"):
        TiledSegmenter(segmenter, 160).segment(tmp_path / "a.png")
    monkeypatch.undo()
    with large_images():
        assert 2 * Image.MAX_IMAGE_PIXELS == MOST_TILED_PIXELS
