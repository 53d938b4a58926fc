import pytest

from tfpanoptic.evaluation.pairs.distinct_names import distinct_names


@pytest.mark.parametrize(
    ("names", "marks", "expected"),
    [
        (["a", "b"], ["(1)", "(2)"], ["a", "b"]),
        (["a", "b", "a"], ["(1)", "(2)", "(3)"], ["a (1)", "b", "a (3)"]),
        (["a", "a", "a (2)"], ["(1)", "(2)", "(3)"], ["a (1)", "a (2) (2)", "a (2)"]),
        (["a (2)", "a", "a"], ["(1)", "(2)", "(3)"], ["a (2)", "a (2) (2)", "a (3)"]),
        (
            ["a", "a (1)", "a", "a (1)"],
            ["(1)", "(1)", "(3)", "(4)"],
            ["a (1) (1)", "a (1) (1) (1)", "a (3)", "a (1) (4)"],
        ),
    ],
)
def test_repeated_names_get_marks_until_each_is_one_of_its_kind(names, marks, expected):
    found = distinct_names(names, marks)
    assert found == expected and len(set(found)) == len(names)
