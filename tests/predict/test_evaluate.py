from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.data.dataset import Dataset, ImageRecord
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.predict.evaluate import evaluate_images, evaluate_with_pictures, matched_categories, matched_dataset
from tfpanoptic.segment_map import segment_rows
from tfpanoptic.segmenter import PanopticSegmenter


@pytest.fixture(scope="module")
def segmenter(tiny_run):
    return PanopticSegmenter.from_preset(tiny_run)


@pytest.fixture(scope="module")
def dataset(segmenter):
    dataset = segmenter.experiment.load_data("val")
    return replace(dataset, records=dataset.records[:6])


def test_pictures_do_not_change_the_numbers(segmenter, dataset, tmp_path):
    numbers = evaluate_with_pictures(segmenter, dataset, tmp_path, limit=2)
    assert numbers == segmenter.evaluate_panoptic(dataset, limit=2)
    assert (
        numbers == summarize(evaluate_images(segmenter, replace(dataset, records=dataset.records[:2]), ("pq",)))["pq"]
    )


def test_the_first_four_images_are_drawn(segmenter, dataset, tmp_path):
    evaluate_with_pictures(segmenter, dataset, tmp_path / "pictures")
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert [path.stem for path in pictures] == sorted(r.image_path.stem for r in dataset.records[:4])
    assert all(Image.open(path).format == "PNG" for path in pictures)


def test_a_dataset_without_a_category_of_the_model_is_refused(segmenter, dataset, tmp_path):
    other = replace(segmenter.categories[1], name="cat")
    with pytest.raises(InputError, match="not this model's categories"):
        evaluate_images(segmenter, replace(dataset, categories=CategoryTable((other,))))
    folder = dataset.records[0].image_path.parents[1]
    text = (folder / "panoptic.json").read_text()
    for category in segmenter.categories:
        text = text.replace(f'"{category.name}"', f'"no {category.name}"')
    (tmp_path / "gt.json").write_text(text)
    with pytest.raises(InputError, match=r"gt\.json: no category in common: the truth has no "):
        matched_dataset(segmenter.categories, folder / "images", tmp_path / "gt.json", folder / "panoptic")


def test_categories_of_any_dataset_are_matched_by_name():
    def table(*names):
        return CategoryTable(tuple(Category(i, name, name == "car", (i, i, i), i) for i, name in enumerate(names, 1)))

    segments = segment_rows([5, 6, 7], [1, 2, 3], areas=[4, 4, 4])
    record = ImageRecord(Path("a.jpg"), Path("a.png"), "a.jpg", 1, 4, 4, segments)
    dataset = Dataset("streets", "val", table("road", "car", "sky"), (record,))
    matched = matched_categories(dataset, table("car", "tree", "road"), "streets val")
    # What the model has first, in its order; sky, which it lacks, behind them.
    assert [c.name for c in matched.categories] == ["car", "tree", "road", "sky"]
    assert matched.records[0].segments["category"].tolist() == [3, 1, 4]
    assert (matched.truth_only, matched.table_only) == (("sky",), ("tree",))
    assert record.segments["category"].tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="streets val: no category in common"):
        matched_categories(dataset, table("cell"), "streets val")
