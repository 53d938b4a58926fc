"""Fonts for names in any language."""

from PIL import ImageFont

from tfpanoptic.visualize import font as font_module
from tfpanoptic.visualize.font import drawable, font_for


def test_names_in_ascii_need_no_installed_font(monkeypatch):
    monkeypatch.setattr(font_module, "_WIDER_FONTS", ("no such font.ttf",))
    assert font_for((400, 400), ["cat"]).getlength("cat") > 0


def test_names_grow_with_the_picture():
    assert font_for((1000, 2000)).size > font_for((500, 500)).size


def test_letters_that_the_font_lacks_lose_their_accents():
    assert drawable("b\u00e2timent \u6838", ImageFont.load_default(12)) == "batiment ?"


def test_a_missing_font_is_passed_over(monkeypatch):
    monkeypatch.setattr(font_module, "_WIDER_FONTS", ("no such font.ttf",))
    assert drawable("caf\u00e9", font_for((400, 400), ["caf\u00e9"])) == "cafe"
