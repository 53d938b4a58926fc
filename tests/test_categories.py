import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError

COCO = [
    {"id": 92, "name": "banner", "isthing": 0, "color": [1, 2, 3]},
    {"id": 7, "name": "train", "isthing": 1, "color": [4, 5, 6]},
]


def test_ids_follow_the_order_of_the_files_ids():
    table = CategoryTable.from_coco(COCO)
    assert [(c.id, c.source_id, c.name) for c in table] == [(1, 7, "train"), (2, 92, "banner")]


def test_things_and_stuff_are_told_apart():
    table = CategoryTable.from_coco(COCO)
    assert (table.thing_ids, table.stuff_ids) == ((1,), (2,))


def test_json_gives_the_table_back():
    table = CategoryTable.from_coco(COCO)
    assert CategoryTable.from_json(table.to_json()) == table


def test_coco_gives_the_table_back():
    table = CategoryTable.from_coco(COCO)
    assert CategoryTable.from_coco(table.to_coco()) == table


def test_categories_without_a_color_get_different_ones():
    table = CategoryTable.from_coco([{"id": i, "name": str(i), "isthing": 1} for i in range(1, 9)])
    assert len({c.color for c in table}) == 8


@pytest.mark.parametrize(
    "entries, words",
    [
        ([{"id": 1, "name": "cat"}], "instances JSON"),
        ([{"id": 1, "isthing": 1}], "lacks name"),
        ([], "at least one category"),
        ([{**COCO[0], "name": "train"}, COCO[1]], "name used twice: train"),
        ([COCO[0], COCO[0]], "used twice"),
        ([{**COCO[0], "color": [1, 2, 300]}], "color must be three integers"),
    ],
)
def test_wrong_categories_are_named(entries, words):
    with pytest.raises(InputError, match=words):
        CategoryTable.from_coco(entries, "gt.json")


def test_ids_with_gaps_are_refused():
    with pytest.raises(InputError, match="1..1"):
        CategoryTable((Category(2, "cat", True, (0, 0, 0), 2),))


def test_a_category_is_found_by_its_id():
    assert CategoryTable.from_coco(COCO)[2].name == "banner"


def test_category_zero_is_void_and_not_found():
    with pytest.raises(KeyError, match=r"1\.\.2"):
        CategoryTable.from_coco(COCO)[0]
