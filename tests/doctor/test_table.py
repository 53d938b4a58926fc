import pytest

from tfpanoptic.doctor.ceiling import percent
from tfpanoptic.doctor.table import print_census, print_findings


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def finding(**changes):
    plain = {
        "split": "data",
        "level": "error",
        "code": "png-missing",
        "what": "truth PNG not found",
        "count": 4,
        "advice": "unpack it",
    }
    return {**plain, "examples": ["a.png", "b.png", "c.png", "d.png"], **changes}


def test_a_finding_tells_how_often_where_and_what_to_do(capsys):
    print_findings([finding()])
    out = capsys.readouterr().out
    assert "error      4  truth PNG not found (png-missing)" in out
    assert "a.png, b.png, c.png, ..." in out and "to do: unpack it" in out


def test_no_finding_is_told_too(capsys):
    print_findings([])
    assert capsys.readouterr().out == "nothing wrong was found\n"


def test_brackets_of_names_are_no_markup(capsys):
    print_findings([finding(examples=["[bold]x[/nothing].png"], count=1)])
    assert "[bold]x[/nothing].png" in capsys.readouterr().out


def census(**changes):
    cow = {"id": 7, "name": "cow", "isthing": True, "images": 2, "segments": 3, "crowds": 1}
    row = {**cow, "pixel_share": 0.25, "median_area": 20}
    return {
        "images": 3,
        "images_read": 3,
        "segments": 9,
        "crowds": 1,
        "void_share": 0.5,
        "categories": [row],
        **changes,
    }


def test_the_census_is_told_in_percent(capsys):
    print_census(census())
    out = capsys.readouterr().out
    assert "3 images, 9 segments, 1 of them crowds; void: 50.0 % of the pixels\n" in out
    assert [word for word in out.splitlines()[-1].split() if word] == ["cow", "thing", "2", "3", "1", "25.0", "20"]


def test_what_was_not_read_is_told(capsys):
    print_census(census(images_read=1, void_share=None))
    assert "void: - of the pixels; files read of 1 image\n" in capsys.readouterr().out


def test_a_loss_of_nothing_has_no_sign():
    assert [percent(value) for value in (-1e-9, 0.0, 0.1234, None)] == ["0.0", "0.0", "12.3", "-"]
