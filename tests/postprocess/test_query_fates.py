import numpy as np
import pytest

from tests.postprocess.mask_scenes import CASES, CHANNELS, OFFICIAL, queries, stored
from tfpanoptic.postprocess.mask_classification import merge_queries
from tfpanoptic.postprocess.query_fates import query_fates

ROWS = slice(None)


def fates(logits, valid=(4, 8), **settings):
    valid_size = np.array([valid], "int32")
    made = query_fates(*logits, (4, 8), valid_size, CHANNELS, **{**OFFICIAL, **settings})
    return {rule: int(count[0]) for rule, count in made.items()}


def test_each_query_falls_at_one_rule():
    made = queries(
        (1, 0.95, ROWS, slice(0, 4)),
        (2, 0.9, ROWS, slice(2, 7)),  # the first wins two of its five columns
        (2, 0.7, ROWS, slice(4, 8)),  # its score is too low
        (3, 0.9),  # it has no mask
        (2, 0.85, ROWS, slice(0, 2)),  # the first wins all of it
    )
    assert fates(made) == {"no_object": 1, "score": 1, "mask_threshold": 1, "overlap": 2, "kept": 1}
    assert fates(made, overlap=0.5) == {"no_object": 1, "score": 1, "mask_threshold": 1, "overlap": 1, "kept": 2}
    # With the third the second wins two columns of five.
    assert fates(made, score=0.6, overlap=0.5)["score"] == 0


def test_a_mask_in_the_padding_alone_is_empty():
    made = queries((1, 0.95, slice(2, 4), ROWS))
    assert fates(made, valid=(2, 8)) == {"no_object": 5, "score": 0, "mask_threshold": 1, "overlap": 0, "kept": 0}


def test_queries_of_joined_stuff_are_kept():
    made = queries((3, 0.95, ROWS, slice(0, 4)), (3, 0.95, ROWS, slice(4, 8)))
    assert fates(made)["kept"] == 2


@pytest.mark.parametrize("case", CASES)
def test_candidates_of_the_stored_cases_are_those_of_the_original(case):
    class_logits, masks, told, channels, things = stored(case)
    arguments = (class_logits, masks, (told["network"],) * 2, np.array([told["scaled"]], "int32"), channels)
    made = {rule: int(count[0]) for rule, count in query_fates(*arguments, **OFFICIAL).items()}
    assert sum(made.values()) == class_logits.shape[1]
    assert made["mask_threshold"] + made["overlap"] + made["kept"] == told["scores_kept"]
    labels = np.asarray(merge_queries(*arguments, things, **OFFICIAL).labels)
    assert made["kept"] >= (labels > 0).sum() == len(told["segments"]["network"])


def test_all_queries_of_an_unsure_model_fall_at_the_score():
    """A model that has hardly learned: the best class of each has 0.4."""
    made = queries(*((place % 4 + 1, 0.4, ROWS, place) for place in range(6)))
    assert fates(made) == {"no_object": 0, "score": 6, "mask_threshold": 0, "overlap": 0, "kept": 0}
    assert fates(made, score=0.3)["kept"] == 6
