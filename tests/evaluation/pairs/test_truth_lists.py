import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.counting import evaluate_files
from tfpanoptic.evaluation.measures import FAST
from tfpanoptic.evaluation.pairs.coco import read_coco_files
from tfpanoptic.evaluation.rules import Rules
from tfpanoptic.evaluation.summary import summarize

BY_PIXELS = Rules(pixel_areas=True)


@pytest.mark.parametrize("area", ["missing", -1, 10**7, 2400.5, None, "12", float("nan"), [3]])
def test_pixel_areas_help_where_those_of_the_json_cannot_be_used(files, area):
    files.write_pixel_areas()
    expected = summarize(evaluate_files(read_coco_files(*files.paths()), FAST))["pq"]
    segment = files.gt["annotations"][3]["segments_info"][0]
    segment["area"] = area
    if area == "missing":
        del segment["area"]
    with pytest.raises(InputError, match="segments_info.0.: .*area.*; --pixel-areas counts its pixels instead"):
        read_coco_files(*files.paths())
    found = evaluate_files(read_coco_files(*files.paths(), pixel_areas=True), FAST, rules=BY_PIXELS)
    assert summarize(found)["pq"] == expected


def test_what_is_no_area_is_told_without_pixel_areas(files):
    files.gt["annotations"][3]["segments_info"][0].update(category_id=4)
    files.gt["annotations"][4]["segments_info"][0].update(iscrowd="area must be")
    for pixel_areas in (False, True):
        with pytest.raises(InputError) as error:
            read_coco_files(*files.paths(), pixel_areas=pixel_areas)
        assert "unknown category_id 4" in str(error.value) and "--pixel-areas" not in str(error.value)


def test_a_wrong_image_id_of_the_truth_is_to_be_corrected(files):
    files.gt["annotations"][3]["image_id"] = 5
    with pytest.raises(InputError) as error:
        read_coco_files(*files.paths())
    message = str(error.value)
    assert "1 images of the truth without an annotation, first image 03.jpg" in message
    assert "1 annotations of the truth without an image" in message and "image id 5" in message
    assert message.count("correct their ids, or, if they are left out on purpose, --subset passes") == 2


@pytest.mark.parametrize(("kept", "counts"), [("images", "16 images and 0"), ("annotations", "0 images and 16")])
def test_a_subset_of_nothing_is_told_with_what_the_truth_lists(files, kept, counts):
    files.gt.update({key: [] for key in ("images", "annotations") if key != kept})
    with pytest.raises(InputError, match=f"gt.json: no image to evaluate: it lists {counts} annotations, and no ann"):
        read_coco_files(*files.paths(), subset=True)
