from dataclasses import replace

import pytest
from PIL import Image

from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.predict.evaluate import evaluate_images, evaluate_with_pictures, matched_dataset
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
