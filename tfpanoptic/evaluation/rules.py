"""What a person may count otherwise than the official evaluation does; by default nothing.

The rules change truth and prediction of an image before anything is counted, so that every measure follows them. They
are applied in this order:

- pixel areas: the area of a true segment is the number of its pixels, whatever its annotation says;
- void as background: what is void in the truth is background. Predicted segments there are wrong, the background is
  part of the unions, and it is no category of its own: nobody misses it. It is for a truth that annotates things alone,
  as those of nuclei do;
- ignored categories: their pixels are void in the truth, and predicted segments of them are removed;
- least area: true segments of fewer pixels are void, predicted ones of fewer pixels are removed;
- class-agnostic: all segments, things and stuff, are of one category; the crowds of an image are one crowd.

Source: own choice, for what other tools do: `get_fast_pq` of HoVer-Net (Graham et al. 2019) has no void, the
`ignore_label` of many tools is the third, and class-agnostic PQ is that of entity segmentation (Qi et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures.matching import BACKGROUND
from tfpanoptic.segment_map import SegmentMap, extents, relabel, without_segments

ANY = CategoryTable((Category(1, "segment", True, (220, 60, 90), 1),))


@dataclass(frozen=True)
class Rules:
    """The rules that differ from the official ones, as the module describes them.

    Attributes:
        pixel_areas: take areas of the truth from its pixels.
        void_background: take what is void in the truth for background.
        ignored: names of categories, or their ids in the files as texts.
        least_area: of a segment, in pixels.
        class_agnostic: compare no categories.
    """

    pixel_areas: bool = False
    void_background: bool = False
    ignored: tuple[str, ...] = ()
    least_area: int = 0
    class_agnostic: bool = False

    def lines(self, categories: CategoryTable) -> tuple[str, ...]:
        """What is counted otherwise, a line each; none for the official rules, the same for the same rules.

        Args:
            categories: of the files; those to ignore are told by name, in the table's order.

        Raises:
            InputError: a category to ignore is none of them.
        """
        ids = self._ignored_ids(categories)
        ignored = ", ".join(c.name for c in categories if c.id in ids)
        told = (
            (self.pixel_areas, "areas of the truth are counted in its pixels"),
            (self.void_background, "void counts as background: segments predicted there are wrong"),
            (ignored, f"ignored, void in the truth and removed from the prediction: {ignored}"),
            (self.least_area > 1, f"segments of fewer than {self.least_area} pixels are left out, on both sides"),
            (self.class_agnostic, "class-agnostic: categories are not compared"),
        )
        return tuple(line for given, line in told if given)

    def table(self, categories: CategoryTable) -> CategoryTable:
        """The categories of what is counted.

        Raises:
            InputError: a category to ignore is none of them, or all are ignored.
        """
        if self.ignored and len(set(self._ignored_ids(categories))) == len(categories):
            raise InputError("every category is ignored; nothing is left to evaluate")
        return ANY if self.class_agnostic else categories

    def apply(
        self, truth: SegmentMap, prediction: SegmentMap, categories: CategoryTable
    ) -> tuple[SegmentMap, SegmentMap]:
        """Truth and prediction of one image as they are counted, in the categories of `table`.

        Args:
            truth, prediction: of the files.
            categories: of both.
        """
        if self.pixel_areas:
            truth = replace(truth, segments=truth.segments.copy())
            truth.segments["area"] = extents(truth.ids).of(truth.segments["id"]).areas
        if self.void_background:
            truth = replace(truth, ids=relabel(truth.ids, [0], [BACKGROUND], keep=True))
        if self.ignored:
            ids = self._ignored_ids(categories)
            truth, prediction = (
                _without(side, np.isin(side.segments["category"], ids)) for side in (truth, prediction)
            )
        if self.least_area:
            truth, prediction = (_without(side, self._small(side)) for side in (truth, prediction))
        if self.class_agnostic:
            truth, prediction = (_of_one_category(side) for side in (truth, prediction))
        return truth, prediction

    def _small(self, side: SegmentMap) -> np.ndarray:
        areas = extents(side.ids).of(side.segments["id"]).areas
        return (areas > 0) & (areas < self.least_area)  # one without a pixel is an error, which stays

    def _ignored_ids(self, categories: CategoryTable) -> list[int]:
        known = {str(c.source_id): c.id for c in categories} | {c.name: c.id for c in categories}
        for name in self.ignored:
            if name not in known:
                names = ", ".join(c.name for c in list(categories)[:20])
                raise InputError(f"category {name!r} to ignore: expected one of {names}")
        return [known[name] for name in self.ignored]


OFFICIAL = Rules()


def _without(side: SegmentMap, dropped: np.ndarray) -> SegmentMap:
    return without_segments(side, dropped) if dropped.any() else side


def _of_one_category(side: SegmentMap) -> SegmentMap:
    """The map with all its segments of category 1 and its crowds, if there are several, as the first of them."""
    rows = side.segments.copy()
    rows["category"] = 1
    crowds = np.flatnonzero(rows["iscrowd"])
    ids = side.ids
    if len(crowds) > 1:
        ids = relabel(ids, rows["id"][crowds], np.full(len(crowds), rows["id"][crowds[0]]), keep=True)
        rows["area"][crowds[0]] = rows["area"][crowds].sum()
        rows = np.delete(rows, crowds[1:])
    return SegmentMap(ids, rows)
