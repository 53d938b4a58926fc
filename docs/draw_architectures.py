"""Draws docs/images/architecture_*.png: what each architecture is made of, and how it makes instances.

`python docs/draw_architectures.py [FOLDER]`; needs matplotlib, which the extra `viz` has. Shapes are those of the
configurations named in the titles, for an image of 640 x 640 (641 x 641 where the grid asks for the pixel more).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Rectangle

IMAGES = Path(__file__).with_name("images")
# Inches, and the units in which everything is placed.
SIZE, UNITS, DPI = (9.0, 4.68), (100.0, 52.0), 130
INK, CARD = "#1d2530", "#f6f7f9"
# Kind of a box: its colour, that of its edge, and what the legend says.
KINDS = {
    "image": ("#e2e5ea", "#6b7480", "image"),
    "backbone": ("#cfe0f7", "#2f5f9e", "backbone"),
    "decoder": ("#d2ebd5", "#357a42", "decoder, pyramid"),
    "head": ("#fde0bd", "#b06315", "head and what it says"),
    "rule": ("#e7dcf6", "#6a45a3", "rule without weights"),
}
SKY, GROUND, FIRST, SECOND = "#bcd7ea", "#cfc6a8", "#d9584a", "#e0a92e"
# Of a scene, in units: the two things as centre, width, height.
SCENE = (77.5, 6.4, 21.0, 13.0)
THINGS = {FIRST: (85.2, 12.4, 7.6, 9.2), SECOND: (91.6, 11.0, 8.0, 6.4)}


class Drawing:
    """One picture on a light card of its own, so that it reads on a dark page as well.

    Attributes:
        labels: each text with the box that it must fit, in units: left, bottom, width, height.
    """

    def __init__(self, title: str, detail: str):
        self.figure = Figure(figsize=SIZE, dpi=DPI)
        self.canvas = FigureCanvasAgg(self.figure)
        self.figure.patch.set_alpha(0)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, UNITS[0]), ylim=(0, UNITS[1]))
        self.axes.axis("off")
        self.labels: list[tuple[Any, tuple[float, float, float, float]]] = []
        self.shape(
            FancyBboxPatch((0.6, 0.6), 98.8, 50.8, boxstyle="round,pad=0,rounding_size=1.2", fc=CARD, ec="#c9ced6")
        )
        self.text(2, 49, title, (2, 47.4, 40, 3.2), size=12.5, weight="bold", ha="left")
        self.text(97.5, 49, detail, (40, 47.4, 58, 3.2), ha="right")
        self._legend()

    def _legend(self) -> None:
        x = 2.0
        for kind, (_, _, name) in KINDS.items():
            self.frame((x, 1.9, 2.6, 1.7), kind)
            self.text(x + 3.3, 2.75, name, (x + 3.2, 1.7, 19, 2.2), size=8, ha="left")
            x += 7.5 + 0.82 * len(name)

    def shape(self, patch: Any) -> None:
        """Adds a patch."""
        self.axes.add_patch(patch)

    def text(self, x: float, y: float, text: str, within, size: float = 8.5, ha: str = "center", **more: Any) -> None:
        """Adds a line of text, which must lie within left, bottom, width, height."""
        more.setdefault("color", INK)
        self.labels.append((self.axes.text(x, y, text, fontsize=size, ha=ha, va="center", **more), within))

    def frame(self, within, kind: str) -> None:
        """An empty box."""
        left, bottom, width, height = within
        fill, edge, _ = KINDS[kind]
        style = "round,pad=0,rounding_size=0.6"
        line = (0, (3, 1.5)) if kind == "rule" else "solid"
        self.shape(FancyBboxPatch((left, bottom), width, height, boxstyle=style, fc=fill, ec=edge, lw=1.2, ls=line))

    def box(self, within, kind: str, title: str, *lines: str) -> None:
        """A box with a title and lines below it, in its middle."""
        left, bottom, width, height = within
        self.frame(within, kind)
        middle, step = bottom + height / 2, 1.85
        y = middle + step * len(lines) / 2
        self.text(left + width / 2, y, title, within, size=9, weight="bold")
        for number, line in enumerate(lines, start=1):
            self.text(left + width / 2, y - step * number, line, within)

    def arrow(self, *points: tuple[float, float], color: str = INK, width: float = 1.3, short: float = 0) -> None:
        """A line through the points with a head at the last, or so many points of type before it."""
        xs, ys = zip(*points[:-1])
        if len(points) > 2:
            self.axes.plot(xs, ys, color=color, lw=width, solid_capstyle="butt", solid_joinstyle="miter")
        style = "-|>,head_length=3.2,head_width=1.7"
        ends = points[-2:]
        self.shape(FancyArrowPatch(*ends, arrowstyle=style, color=color, lw=width, shrinkA=0, shrinkB=short))

    def rules(self, *boxes: tuple[str, ...], start: tuple[float, float]) -> None:
        """The row of rules, from where the heads end to the scene."""
        gap, left, right = 2.4, 2.0, 75.0
        width = (right - left - gap * (len(boxes) - 1)) / len(boxes)
        self.arrow(start, (start[0], 22.2), (left + width / 2, 22.2), (left + width / 2, 20.0))
        for number, lines in enumerate(boxes):
            x = left + number * (width + gap)
            self.box((x, 6.0, width, 13.8), "rule", *lines)
            self.arrow((x + width, 12.9), (x + width + gap, 12.9))

    def scene(self, filled: bool = True) -> None:
        """Two things before two kinds of stuff."""
        left, bottom, width, height = SCENE
        self.shape(Rectangle((left, bottom), width, height, fc=SKY, ec=INK, lw=1))
        self.shape(Rectangle((left, bottom), width, height * 0.36, fc=GROUND, ec="none"))
        for color, (x, y, w, h) in reversed(THINGS.items()):
            self.shape(Ellipse((x, y), w, h, fc=color if filled else "none", ec=INK, lw=0.8))
        self.shape(Rectangle((left, bottom), width, height, fc="none", ec=INK, lw=1))

    def dot(self, x: float, y: float, color: str = INK, size: float = 0.9) -> None:
        """A point of a scene."""
        self.shape(Ellipse((x, y), size, size, fc=color, ec="white", lw=0.7, zorder=5))

    def misfits(self) -> list[str]:
        """Texts that leave the box which they must fit."""
        turned = self.axes.transData.inverted()
        found = []
        for text, (left, bottom, width, height) in self.labels:
            (x0, y0), (x1, y1) = turned.transform(text.get_window_extent(self.canvas.get_renderer()).get_points())
            if x0 < left or x1 > left + width or y0 < bottom or y1 > bottom + height:
                found.append(text.get_text())
        return found


def top_down(drawing: Drawing, backbone: tuple[str, ...], semantic: tuple[str, ...]) -> None:
    """The network that Panoptic FPN and UPSNet share."""
    drawing.box((2, 32, 9, 7), "image", "image", "640 x 640")
    drawing.box((14, 29, 17, 13), "backbone", *backbone)
    drawing.box((34, 29, 16, 13), "decoder", "feature pyramid", "P2 to P6", "256 channels", "strides 4 to 64")
    drawing.box((54, 37.5, 14, 8), "head", "proposals", "1,000 boxes", "of any thing")
    drawing.box((71, 37.5, 12, 8), "head", "box head", "category", "and box")
    drawing.box((86, 37.5, 12, 8), "head", "mask head", "28 x 28", "for each box")
    drawing.box((54, 25.5, 27, 9), "head", *semantic)
    drawing.arrow((11, 35.5), (14, 35.5))
    drawing.arrow((31, 35.5), (34, 35.5))
    drawing.arrow((50, 39.5), (52, 39.5), (52, 41.5), (54, 41.5))
    drawing.arrow((50, 31.5), (52, 31.5), (52, 30), (54, 30))
    drawing.arrow((68, 41.5), (71, 41.5))
    drawing.arrow((83, 41.5), (86, 41.5))
    drawing.axes.plot([81, 92, 92], [30, 30, 37.5], color=INK, lw=1.3)


def panoptic_fpn() -> Drawing:
    """Panoptic FPN."""
    drawing = Drawing("Panoptic FPN", "panoptic_fpn/resnet50_coco.yaml")
    top_down(
        drawing,
        ("ResNet-50", "maps at strides", "4, 8, 16, 32"),
        ("semantic branch", "160 x 160 x 54 (stride 4)", 'each stuff, and "thing"'),
    )
    drawing.rules(
        ("100 detections", "of overlapping boxes of", "a category the better", "one stays"),
        ("paste masks", "by falling score, where", "none lies yet; drop what", "is more than half covered"),
        ("fill with stuff", "what is left, by the", "semantic branch;", "small areas are void"),
        start=(92, 30),
    )
    drawing.scene()
    for number, (x, y, w, h) in enumerate(THINGS.values(), start=1):
        corner = (x - w / 2 - 0.3, y - h / 2 - 0.3)
        drawing.shape(Rectangle(corner, w + 0.6, h + 0.6, fc="none", ec=INK, lw=1.2, ls=(0, (3, 1.5))))
        drawing.text(x + (0 if number == 1 else 1.6), y, str(number), SCENE, size=10, weight="bold", color="white")
    return drawing


def upsnet() -> Drawing:
    """UPSNet."""
    drawing = Drawing("UPSNet", "upsnet/resnet50_coco.yaml")
    top_down(
        drawing,
        ("ResNet-50", "maps at strides", "4, 8, 16, 32"),
        ("semantic head, deformable", "160 x 160 x 133 (stride 4)", "every stuff and thing"),
    )
    drawing.rules(
        ("100 detections", "score above 0.6; masks", "covered by better ones", "of their kind go"),
        ("one channel each", "stuff: its logit; instance:", "mask logit + logit of its", "category in its box"),
        ("largest at each pixel", "stuff, an instance or", '"unknown", which is void;', "small stuff is void"),
        start=(92, 30),
    )
    drawing.scene()
    x, y = 87.4, 13.0
    drawing.dot(x, y, size=1.2)
    bars = ((SKY, 1.6), (GROUND, 0.9), (FIRST, 4.2), (SECOND, 2.8), ("#8b93a0", 0.6))
    left, bottom = 91.0, 13.3
    drawing.shape(Rectangle((left - 0.5, bottom - 0.5), 7.6, 5.7, fc="white", ec=INK, lw=0.8, zorder=3))
    drawing.axes.plot([x, left - 0.5], [y, bottom + 0.6], color=INK, lw=1.3, zorder=4)
    for number, (color, height) in enumerate(bars):
        drawing.shape(Rectangle((left + 1.35 * number, bottom), 1.1, height, fc=color, ec=INK, lw=0.6, zorder=4))
    return drawing


def dense(drawing: Drawing, side: int, backbone: tuple[str, ...]) -> None:
    """Image and backbone of the bottom-up systems."""
    drawing.box((2, 32, 9, 7), "image", "image", f"{side} x {side}")
    drawing.box((14, 29, 18, 13), "backbone", *backbone)
    drawing.arrow((11, 35.5), (14, 35.5))


def deeperlab() -> Drawing:
    """DeeperLab."""
    drawing = Drawing("DeeperLab", "deeperlab/xception71_coco.yaml")
    dense(drawing, 640, ("Xception-71", "strides 4 and 16"))
    drawing.box(
        (35, 29, 20, 13),
        "decoder",
        "one decoder",
        "atrous pyramid, joined",
        "with stride 4 on the",
        "grid of stride 16",
    )
    drawing.arrow((32, 35.5), (35, 35.5))
    heads = (
        ("semantic", "160 x 160 x 133"),
        ("keypoints", "160 x 160 x 5"),
        ("long offsets", "160 x 160 x 10"),
        ("short offsets", "160 x 160 x 10"),
        ("middle offsets", "160 x 160 x 16"),
    )
    for number, (name, shape) in enumerate(heads):
        y = 42.2 - 4.4 * number
        within = (61, y, 34, 3.7)
        drawing.frame(within, "head")
        drawing.text(62.2, y + 1.85, name, within, size=9, weight="bold", ha="left")
        drawing.text(93.8, y + 1.85, shape, within, ha="right")
        drawing.arrow((55, 35.5), (58, 35.5), (58, y + 1.85), (61, y + 1.85))
        drawing.axes.plot([95, 96.5], [y + 1.85] * 2, color=INK, lw=1.3)
    drawing.axes.plot([96.5, 96.5], [44.05, 26], color=INK, lw=1.3)
    drawing.rules(
        ("votes", "pixels vote by", "their offsets for", "4 corners and", "the centre"),
        ("instances", "from a peak middle", "offsets lead to the", "other four; the", "best are taken"),
        ("grouping", "thing pixels join", "whose five points", "are nearest to", "their own five"),
        ("majority vote", "of its pixels gives", "each instance its", "category; stuff by", "the semantic map"),
        start=(96.5, 26),
    )
    drawing.scene()
    x, y, w, h = THINGS[FIRST]
    corners = [(x + a * w / 2, y + b * h / 2) for a in (-1, 1) for b in (-1, 1)]
    drawing.shape(Rectangle(corners[0], w, h, fc="none", ec=INK, lw=0.8, ls=(0, (2, 2))))
    pixel = (x - 0.9, y + 1.9)
    for point in (*corners, (x, y)):
        drawing.arrow(pixel, point, width=0.9, short=3)
        drawing.dot(*point)
    drawing.dot(*pixel, color="white", size=0.8)
    return drawing


def centers(drawing: Drawing, first: tuple[str, ...], side: int, classes: int) -> None:
    """Decoders, heads and rules of Panoptic-DeepLab, which Axial-DeepLab shares."""
    drawing.box((35, 37.2, 24, 8.3), "decoder", "semantic decoder", *first)
    drawing.box((35, 25.5, 24, 8.3), "decoder", "instance decoder", *first)
    drawing.arrow((32, 37), (33.5, 37), (33.5, 41.3), (35, 41.3))
    drawing.arrow((32, 34), (33.5, 34), (33.5, 29.6), (35, 29.6))
    grid = f"{side} x {side}"
    drawing.box((64, 38.6, 29, 5.6), "head", "category", f"{grid} x {classes} (stride 4)")
    drawing.box((64, 31.8, 29, 5.6), "head", "heatmap of centres", f"{grid} x 1")
    drawing.box((64, 25.0, 29, 5.6), "head", "offset to the own centre", f"{grid} x 2")
    drawing.arrow((59, 41.4), (64, 41.4))
    drawing.arrow((59, 29.6), (61.5, 29.6), (61.5, 34.6), (64, 34.6))
    drawing.arrow((61.5, 29.6), (61.5, 27.8), (64, 27.8))
    for y in (41.4, 34.6, 27.8):
        drawing.axes.plot([93, 95.5], [y, y], color=INK, lw=1.3)
    drawing.axes.plot([95.5, 95.5], [41.4, 25], color=INK, lw=1.3)
    drawing.rules(
        ("centres", "the largest value of", "their neighbourhood,", "above a threshold"),
        ("grouping", "a thing's pixel, moved", "by its offset, joins the", "nearest centre"),
        ("majority vote", "of its pixels gives each", "instance its category;", "stuff by the category"),
        start=(95.5, 25),
    )


def offset_arrows(drawing: Drawing) -> None:
    """Pixels that point at the centres of their things."""
    for x, y, w, h in THINGS.values():
        for a, b in ((-0.3, 0.3), (0.33, 0.22), (0.32, -0.28), (-0.22, -0.36)):
            drawing.arrow((x + a * w, y + b * h), (x + 0.1 * a * w, y + 0.1 * b * h), width=0.9, short=5)
            drawing.dot(x + a * w, y + b * h, color="white", size=0.8)
        drawing.dot(x, y, size=1.3)


def panoptic_deeplab() -> Drawing:
    """Panoptic-DeepLab."""
    drawing = Drawing("Panoptic-DeepLab", "panoptic_deeplab/resnet50_os32_coco.yaml")
    dense(drawing, 641, ("ResNet-50", "stride 32", "(or MobileNet, Xception,", "wide ResNets)"))
    centers(drawing, ("atrous pyramid at stride 32,", "then strides 8 and 4 join"), 161, 134)
    drawing.scene()
    offset_arrows(drawing)
    return drawing


def axial_deeplab() -> Drawing:
    """Axial-DeepLab."""
    drawing = Drawing("Axial-DeepLab", "axial_deeplab/axial_deeplab_s_coco.yaml")
    dense(drawing, 641, ("Axial-ResNet-S", "stride 16", "attention along columns,", "then along rows"))
    centers(drawing, ("1 x 1 projection at stride 16,", "then strides 8 and 4 join"), 161, 134)
    drawing.scene()
    x, y = 82.92, 15.16  # one of the pixels that point
    left, bottom, width, height = SCENE
    for corner, w, h in (((left, y - 0.45), width, 0.9), ((x - 0.45, bottom), 0.9, height)):
        drawing.shape(Rectangle(corner, w, h, fc="#2f5f9e", ec="none", alpha=0.55))
    offset_arrows(drawing)
    drawing.dot(x, y, color="white", size=1.2)
    return drawing


def eomt() -> Drawing:
    """EoMT."""
    drawing = Drawing("EoMT", "eomt/small_640_coco.yaml")
    drawing.box((2, 32, 9, 7), "image", "image", "640 x 640")
    drawing.box(
        (14, 29, 20, 13),
        "backbone",
        "ViT-S, blocks 1 to 9",
        "1,600 patches of 16 x 16",
        "and 5 further tokens,",
        "384 channels",
    )
    drawing.box(
        (37, 29, 19, 13), "backbone", "blocks 10 to 12", "the same blocks, for", "patches and queries", "together"
    )
    drawing.box((37, 44.0, 19, 2.9), "head", "200 learned queries")
    drawing.box((60, 37.5, 17, 8), "head", "class head", "200 x 134, with", '"no object"')
    drawing.box((60, 25.5, 17, 8), "decoder", "2 enlargements", "of the patches,", "stride 16 to 4")
    drawing.box((80, 29.5, 16, 10), "head", "mask logits", "queries by patches", "160 x 160 x 200", "(stride 4)")
    drawing.arrow((11, 35.5), (14, 35.5))
    drawing.arrow((34, 35.5), (37, 35.5))
    drawing.arrow((46.5, 44), (46.5, 42))
    drawing.arrow((56, 37.5), (58, 37.5), (58, 41.5), (60, 41.5))
    drawing.arrow((56, 33.5), (58, 33.5), (58, 29.5), (60, 29.5))
    drawing.arrow((58, 37.5), (58, 35.5), (80, 35.5))
    drawing.arrow((77, 30.5), (80, 31.8))
    drawing.axes.plot([77, 97.8, 97.8], [41.5, 41.5, 24], color=INK, lw=1.3)
    drawing.axes.plot([96, 97.8], [34.5, 34.5], color=INK, lw=1.3)
    return _eomt_rules(drawing)


def _eomt_rules(drawing: Drawing) -> Drawing:
    drawing.rules(
        ("sure queries", "those with a category", "and a score above 0.8,", "things and stuff alike"),
        ("largest at each pixel", "score times probability", "of the mask"),
        ("clean-up", "a query that keeps less", "than 0.8 of its mask goes;", "stuff of a kind is joined"),
        start=(97.8, 24),
    )
    left, bottom, width, height = SCENE
    small = (width - 1.0) / 2, (height - 1.0) / 2
    for number, color in enumerate((SKY, GROUND, FIRST, SECOND)):
        x, y = left + (number % 2) * (small[0] + 1), bottom + (1 - number // 2) * (small[1] + 1)
        drawing.shape(Rectangle((x, y), *small, fc="white", ec=INK, lw=0.9))
        if color == SKY:
            drawing.shape(Rectangle((x, y + small[1] * 0.36), small[0], small[1] * 0.64, fc=color, ec=INK, lw=0.5))
        elif color == GROUND:
            drawing.shape(Rectangle((x, y), small[0], small[1] * 0.36, fc=color, ec=INK, lw=0.5))
        else:
            cx, cy, w, h = THINGS[color]
            place = x + (cx - left) * small[0] / width, y + (cy - bottom) * small[1] / height
            drawing.shape(Ellipse(place, w * small[0] / width, h * small[1] / height, fc=color, ec=INK, lw=0.5))
        drawing.text(x + small[0] - 0.4, y + small[1] - 0.95, f"q{number + 1}", (x, y, *small), size=7, ha="right")
    return drawing


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "panoptic_fpn": panoptic_fpn,
    "upsnet": upsnet,
    "deeperlab": deeperlab,
    "panoptic_deeplab": panoptic_deeplab,
    "axial_deeplab": axial_deeplab,
    "eomt": eomt,
}


def draw(folder: Path) -> None:
    """Writes all pictures into the folder."""
    for name, make in DRAWINGS.items():
        # Without matplotlib's version in the file.
        make().figure.savefig(folder / f"architecture_{name}.png", metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
