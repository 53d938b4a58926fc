import pickle

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


def test_the_mask_of_things_goes_by_category_id_and_leaves_void_out():
    assert CategoryTable.from_coco(COCO).isthing.tolist() == [False, True, False]


def test_the_mask_of_things_cannot_be_changed_and_is_made_once():
    table = CategoryTable.from_coco(COCO)
    with pytest.raises(ValueError, match="read-only"):
        table.isthing[0] = True
    assert table.isthing is table.isthing


def test_a_table_survives_pickling_before_and_after_its_mask_was_asked_for():
    table, fresh = CategoryTable.from_coco(COCO), CategoryTable.from_coco(COCO)
    assert table.isthing.any()
    for each in (table, fresh):
        back = pickle.loads(pickle.dumps(each))
        assert back == each and hash(back) == hash(each)
        assert back.isthing.tolist() == [False, True, False] and not back.isthing.flags.writeable


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
        ([{**COCO[0], "color": [1, 2, 3.5]}], r"color must be three integers 0\.\.255, found \[1, 2, 3\.5\]"),
        ([{**COCO[0], "color": 5}], "color must be three integers 0..255, found 5"),
        ([COCO[0], 7], r"gt\.json: categories\[1\]: expected an object with id, isthing, name, found 7"),
        ([COCO[0], {**COCO[1], "id": "7"}], r"categories\[1\]: id must be an integer 0\.\.2147483647, found '7'"),
        ([{**COCO[0], "id": 1.7}], "id must be an integer 0..2147483647, found 1.7"),
        ([{**COCO[0], "isthing": "0"}], "isthing must be 0 or 1, found '0'"),
        ([{**COCO[0], "isthing": 2}], "isthing must be 0 or 1, found 2"),
        ([{**COCO[0], "name": 5}], "name must be a text of one line, found 5"),
        ([{**COCO[0], "name": ["banner"]}], "name must be a text of one line, found .'banner'."),
    ],
)
def test_wrong_categories_are_named(entries, words):
    with pytest.raises(InputError, match=words) as caught:
        CategoryTable.from_coco(entries, "gt.json")
    assert str(caught.value).startswith("gt.json: ") and "\n" not in str(caught.value)


def test_things_may_be_marked_by_true_and_false():
    table = CategoryTable.from_coco([{**COCO[0], "isthing": False}, {**COCO[1], "isthing": True}])
    assert [c.isthing for c in table] == [True, False]


def test_whole_numbers_pass_in_any_form():
    table = CategoryTable.from_coco([{"id": 7.0, "name": "train", "isthing": 1.0, "color": [4.0, True, 6]}])
    assert table[1] == Category(1, "train", True, (4, 1, 6), 7)
    assert {type(value) for value in (table[1].source_id, *table[1].color)} == {int}
    assert CategoryTable.from_coco([{"id": True, "name": "train", "isthing": 1}])[1].source_id == 1


def test_a_table_larger_than_a_panoptic_map_holds_is_refused_only_where_one_is_made():
    table = CategoryTable.from_coco([{"id": i, "name": str(i), "isthing": 1} for i in range(1, 1_678)])
    assert len(CategoryTable.from_json(table.to_json())) == 1_677
    with pytest.raises(InputError, match=r"own\.json: at most 1676 categories fit a panoptic map, found 1677"):
        table.require_panoptic_map("own.json")
    smaller = CategoryTable(table.categories[:-1])
    assert smaller.require_panoptic_map() is smaller


@pytest.mark.parametrize("content", ["", "{", "{}", "5", "null", "[5]", "[]", '[{"id": 1}]', "[" * 100_000])
def test_a_text_that_is_no_table_is_refused(content):
    with pytest.raises(InputError):
        CategoryTable.from_json(content)


def test_ids_with_gaps_are_refused():
    with pytest.raises(InputError, match="1..1"):
        CategoryTable((Category(2, "cat", True, (0, 0, 0), 2),))


def test_a_category_is_found_by_its_id():
    assert CategoryTable.from_coco(COCO)[2].name == "banner"


def test_category_zero_is_void_and_not_found():
    with pytest.raises(KeyError, match=r"1\.\.2"):
        CategoryTable.from_coco(COCO)[0]
