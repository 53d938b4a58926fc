import pytest

from tfpanoptic.data.conversions.source import safe_name


@pytest.mark.parametrize(
    "given, name",
    [
        ("a.jpg", "a.jpg"),
        ("train2017/a.jpg", "train2017/a.jpg"),
        ("sub\\a.jpg", "sub/a.jpg"),
        ("../../a.jpg", "a.jpg"),
        ("/data/photos/a.jpg", "a.jpg"),
        ("C:\\photos\\a.jpg", "a.jpg"),
    ],
)
def test_names_stay_below_the_folder(given, name):
    assert safe_name(given) == name
