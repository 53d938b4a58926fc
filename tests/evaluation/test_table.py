import numpy as np

from tfpanoptic.categories import CategoryTable
from tfpanoptic.evaluation.measures.panoptic_quality import PanopticCounts, summarize
from tfpanoptic.evaluation.table import print_summary


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
