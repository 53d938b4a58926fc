"""The font of the names in a picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from PIL import ImageFont

# Pillow's own font is on every machine but knows ASCII only; these are sought where a name needs more.
_WIDER_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "msyh.ttc",
)


def font_for(size: tuple[int, ...], texts: Iterable[str] = ()) -> ImageFont.FreeTypeFont:
    """A font that has the letters of `texts`, readable in a picture of `size` (height, width).

    Pillow's own font where no installed one has them all: pass texts through `drawable` then.
    """
    points = max(11, round(0.02 * (size[0] * size[1]) ** 0.5))  # own choice, by eye
    letters = {letter for text in texts for letter in text if not letter.isascii()}
    for name in _WIDER_FONTS if letters else ():
        try:
            font = ImageFont.truetype(name, points)
        except OSError:
            continue
        if _has(font, letters):
            return font
    return ImageFont.load_default(points)  # type: ignore[return-value]


def drawable(text: str, font: ImageFont.FreeTypeFont) -> str:
    """The text as the font can draw it: letters that it lacks lose their accents, or become '?'."""
    if _has(font, {letter for letter in text if not letter.isascii()}):
        return text
    plain = unicodedata.normalize("NFKD", text)
    return "".join("?" if not c.isascii() else c for c in plain if not unicodedata.combining(c))


def _has(font: ImageFont.FreeTypeFont, letters: set[str]) -> bool:
    """Whether the font draws each letter as something else than its box for unknown ones."""
    unknown = bytes(font.getmask("\U0010ffff"))
    return all(bytes(font.getmask(letter)) != unknown for letter in letters)
