import numpy as np
import pytest

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts, summarize
from tfpanoptic.evaluation.table import _print_ignored, print_summary


def test_numbers_are_in_percent_and_names_are_printed_as_they_are(capsys):
    table = CategoryTable.from_coco(
        [{"id": 1, "name": "road[/]", "isthing": 0}, {"id": 2, "name": "car", "isthing": 1}]
    )
    # One road matched with IoU 0.8 and one missed: PQ = 0.8 / 1.5 = 53.3 %; no car anywhere.
    counts = PanopticCounts(np.array([0, 0.8, 0]), *(np.array([0, n, 0]) for n in (1, 0, 1)))
    print_summary(summarize(counts, table))
    lines = capsys.readouterr().out.splitlines()
    road = next(line for line in lines if "road[/]" in line)
    assert road.split()[1:] == ["53.3", "80.0", "66.7", "1", "0", "1"]
    car = next(line for line in lines if line.split()[:1] == ["car"])
    assert car.split()[1:4] == ["-", "-", "-"]


HINT = " (--void-background counts those in void as wrong)"


@pytest.mark.parametrize(
    ("void", "crowds", "ignored", "line"),
    [
        (
            0.0,
            1,
            1,
            "1 true segment is a crowd; 1 of 9 predicted segments lies mostly in a crowd and counts as nothing",
        ),
        (
            None,
            2,
            2,
            "2 true segments are crowds; 2 of 9 predicted segments lie mostly in a crowd and count as nothing",
        ),
        (
            0.25,
            0,
            3,
            f"25.0 % of the truth is void; 3 of 9 predicted segments lie mostly in void and count as nothing{HINT}",
        ),
    ],
)
def test_void_is_spoken_of_only_where_it_is(capsys, void, crowds, ignored, line):
    _print_ignored({"void": void, "crowds": crowds, "segments": 9, "ignored": ignored})
    assert capsys.readouterr().out == f"passed over: {line}\n"
