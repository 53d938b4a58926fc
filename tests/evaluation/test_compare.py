import json
from dataclasses import replace

import numpy as np
import pytest

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.compare import compare
from tfpanoptic.evaluation.measures.attribution import IMPRECISE, MISSED, SPURIOUS
from tfpanoptic.evaluation.state import Evaluation, ImageCounts
from tfpanoptic.evaluation.truth import TruthPrint


def table(names="cdgs", things="cd"):
    return CategoryTable(tuple(Category(i, n, n in things, (0, 0, i), i) for i, n in enumerate(names, start=1)))


TABLE = table()
CAR, DOG, GRASS, SKY = 1, 2, 3, 4


def evaluation(images, categories=TABLE, measures=("pq",), missing=()):
    """Evaluation of {image: [(category, iou, tp, fp, fn)]}; causes are imprecise, spurious and missed."""
    counts = {}
    for name, rows in images.items():
        pq = np.array(rows, np.float64).reshape(-1, 5)
        causes = [
            row
            for c, iou, tp, fp, fn in rows
            for row in ((c, IMPRECISE, iou, tp, 0, 0), (c, SPURIOUS, 0, 0, fp, 0), (c, MISSED, 0, 0, 0, fn))
        ]
        of_image = {"pq": pq, "causes": np.array(causes, np.float64).reshape(-1, 6)}
        counts[name] = ImageCounts(name, {m: of_image[m] for m in measures}, missing=name in missing)
    return Evaluation(categories, measures, images=counts)


def with_truth(evaluation, truths, wrong_areas=0):
    """The evaluation with the fingerprint of each image's truth, in the order of the names."""
    images = {
        name: replace(evaluation.images[name], truth=truth, wrong_areas=wrong_areas)
        for name, truth in zip(sorted(evaluation.images), truths, strict=True)
    }
    return replace(evaluation, images=images)


def random_pair(seed, number=30, gain=0.0, categories=TABLE):
    """Two evaluations of one random truth; B's IoUs are higher by up to twice `gain`."""
    random = np.random.default_rng(seed)
    a, b = {}, {}
    for n in range(number):
        a[f"{n:03d}"], b[f"{n:03d}"] = [], []
        for category in np.flatnonzero(random.uniform(size=len(categories)) < 0.6) + 1:
            true = random.integers(1, 4)
            for side, extra in ((a, 0), (b, gain * random.uniform(0, 2))):
                tp = random.integers(0, true + 1)
                iou = tp * (random.uniform(0.5, 0.9) + extra)
                side[f"{n:03d}"].append((category, iou, tp, random.integers(0, 2), true - tp))
    return a, b


# One car found with IoU 0.8 by both; the other one missed by A, with a wrong one beside it, and found by B with 0.6.
TWO_A = {"x": [(CAR, 0.8, 1, 0, 0)], "y": [(CAR, 0, 0, 1, 1)]}
TWO_B = {"x": [(CAR, 0.8, 1, 0, 0)], "y": [(CAR, 0.6, 1, 0, 0)]}


def test_two_images_worked_out_by_hand():
    found = compare(evaluation(TWO_A), evaluation(TWO_B))
    # PQ of A: 0.8 / (1 + 1/2 + 1/2) = 0.4, of B 1.4 / 2 = 0.7.
    # Draws: x x 0.8 and 0.8, x y 0.4 and 0.7, y y 0 and 0.6: differences 0, 0.3 and 0.6, with chances 1/4, 1/2, 1/4.
    pq = found["all"]["pq"]
    assert (pq["a"], pq["b"], pq["difference"]) == pytest.approx((0.4, 0.7, 0.3))
    assert pq["interval"] == pytest.approx([0, 0.6])
    assert pq["p"] == pytest.approx(2 * 0.25, abs=0.1)  # difference <= 0 in a quarter of the draws
    assert found["per_category"]["c"] == found["things"] == found["all"]
    # SQ: 0.8 and 1.4 / 2. RQ: 1 / 2 and 2 / 2.
    assert found["all"]["sq"]["difference"] == pytest.approx(-0.1)
    assert found["all"]["rq"]["difference"] == pytest.approx(0.5)
    assert found["verdict"] == (
        "no difference can be shown: B - A is +30.00 points of PQ, 95 % interval +0.00 to +60.00, which holds 0"
    )
    # y costs A (1/2 + 1/2) / 2 and B 0.4 / 2; x costs both 0.2 / 2.
    assert [entry["name"] for entry in found["images_moved"]] == ["y"]
    assert found["images_moved"][0] == pytest.approx({"name": "y", "lost_a": 0.5, "lost_b": 0.2, "gained": 0.3})


def test_another_truth_with_as_many_segments_is_refused():
    a = with_truth(evaluation(TWO_A), [TruthPrint("x", "1"), TruthPrint("y", "2")])
    b = with_truth(evaluation(TWO_B), [TruthPrint("x", "1"), TruthPrint("other", "2")])
    with pytest.raises(InputError, match="the true segments of 1 of 2 images are not the same, first y;"):
        compare(a, b)
    assert compare(a, with_truth(b, [image.truth for image in a.in_order()]))["notes"] == []


def test_other_areas_in_the_annotation_are_named():
    a = with_truth(evaluation(TWO_A), [TruthPrint("x", "1"), TruthPrint("y", "2")], wrong_areas=3)
    b = with_truth(evaluation(TWO_B), [TruthPrint("x", "1"), TruthPrint("y", "3")])
    with pytest.raises(InputError, match="the areas .* of 1 of 2 images .* first y .3 wrong in A and 0 wrong in B"):
        compare(a, b)


def test_one_truth_with_wrong_areas_is_compared_and_said():
    """A true segment whose area is too small can match twice, so the numbers of true segments differ."""
    truths = [TruthPrint("x", "1")]
    a = with_truth(evaluation({"x": [(CAR, 1.2, 2, 0, 0)]}), truths, wrong_areas=1)
    b = with_truth(evaluation({"x": [(CAR, 0.8, 1, 0, 0)]}), truths, wrong_areas=1)
    (note,) = compare(a, b)["notes"]
    assert note.startswith("1 segments of the truth have an area in the annotation that is not the number")


def test_a_state_without_a_fingerprint_is_compared_by_numbers_and_said():
    a, b = evaluation(TWO_A), with_truth(evaluation(TWO_B), [TruthPrint("x", "1"), TruthPrint("y", "2")])
    (note,) = compare(a, b)["notes"]
    assert note.startswith("the truth of 2 images was compared by its numbers of segments alone")
    three = evaluation({**TWO_B, "y": [(CAR, 0.6, 1, 0, 1)]})
    with pytest.raises(InputError, match="image y has 1 true segments of 'c' in A and 2 in B.*the same truth$"):
        compare(a, three)
    with pytest.raises(InputError, match="image y has .* can match twice: correct the areas"):
        compare(a, with_truth(three, [TruthPrint()] * 2, wrong_areas=1))


def test_a_constant_gain_is_shown_however_different_the_images_are():
    random = np.random.default_rng(0)
    iou = random.uniform(0.5, 0.9, 20)
    a, b = ({f"{n:02d}": [(CAR, iou[n] + gain, 1, 0, 0)] for n in range(20)} for gain in (0, 0.01))
    found = compare(evaluation(a), evaluation(b))
    assert found["all"]["pq"]["interval"] == pytest.approx([0.01, 0.01])
    assert found["all"]["pq"]["p"] == pytest.approx(2 / 1001)  # no draw at or below 0: 2 (0 + 1) / (1000 + 1)
    assert found["verdict"] == "B is better by 1.00 points of PQ, 95 % interval 1.00 to 1.00"
    backwards = compare(evaluation(b), evaluation(a))
    assert backwards["verdict"] == "A is better by 1.00 points of PQ, 95 % interval 1.00 to 1.00"


@pytest.mark.parametrize("seed", range(5))
def test_an_evaluation_does_not_differ_from_itself(seed):
    images = evaluation(random_pair(seed)[0], measures=("pq", "causes"))
    found = compare(images, images)
    for entry in (found["all"], found["stuff"], *found["per_category"].values()):
        for quality in ("pq", "sq", "rq"):
            assert (entry[quality]["difference"], entry[quality]["interval"], entry[quality]["p"]) == (0, [0, 0], 1)
    assert found["categories_moved"] == found["images_moved"] == []
    assert all(cause["gained"] == 0 for cause in found["causes_moved"])
    assert found["verdict"].startswith("no difference can be shown")


@pytest.mark.parametrize("seed", range(5))
def test_swapping_them_turns_the_signs(seed):
    a, b = (evaluation(images, measures=("pq", "causes")) for images in random_pair(seed, gain=0.03))
    there, back = compare(a, b, top=99), compare(b, a, top=99)
    for group in ("all", "things", "stuff"):
        for quality in ("pq", "sq", "rq"):
            one, other = there[group][quality], back[group][quality]
            assert (one["a"], one["difference"], one["p"]) == (other["b"], -other["difference"], other["p"])
            assert one["interval"] == pytest.approx([-end for end in reversed(other["interval"])])
    for moved, key in (("categories_moved", "difference"), ("images_moved", "gained"), ("causes_moved", "gained")):
        assert {e["name"]: e[key] for e in there[moved]} == {e["name"]: -e[key] for e in back[moved]}


@pytest.mark.parametrize("seed", range(5))
def test_the_gains_of_images_and_of_causes_add_up_to_the_difference(seed):
    a, b = (evaluation(images, measures=("pq", "causes")) for images in random_pair(seed, gain=0.03))
    found = compare(a, b, top=99)
    for moved in ("images_moved", "causes_moved"):
        assert sum(entry["gained"] for entry in found[moved]) == pytest.approx(found["all"]["pq"]["difference"])


def test_equal_ones_are_called_different_about_as_rarely_as_p_says():
    # Both are drawn in the same way, so p is below 0.05 by chance alone, in 5 % of 200.
    low = 0
    for seed in range(200):
        a, b = random_pair(seed, number=40, categories=table("c"))
        found = compare(evaluation(a, table("c")), evaluation(b, table("c")), resamples=200)
        low += found["all"]["pq"]["p"] < 0.05
    assert 2 <= low <= 22  # 10 give or take three standard deviations of 3.1, and the narrowness of few images


def test_what_moved_most_comes_first():
    a = {"x": [(CAR, 0.8, 1, 0, 0), (DOG, 0.6, 1, 0, 0), (SKY, 0.7, 1, 0, 0)], "y": [(CAR, 0.8, 1, 0, 0)]}
    b = {"x": [(CAR, 0.7, 1, 0, 0), (DOG, 0.9, 1, 0, 0), (SKY, 0.7, 1, 0, 0)], "y": [(CAR, 0.8, 1, 0, 0)]}
    found = compare(evaluation(a), evaluation(b))
    # Dogs gain 0.9 - 0.6; cars lose (0.8 - 0.7) / 2; the sky stays.
    moved = {entry["name"]: entry["difference"] for entry in found["categories_moved"]}
    assert list(moved) == ["d", "c"] and moved == pytest.approx({"d": 0.3, "c": -0.05})
    assert found["categories_moved"][0]["interval"] is None and found["categories_moved"][0]["images"] == 1
    assert [entry["name"] for entry in compare(evaluation(a), evaluation(b), top=1)["categories_moved"]] == ["d"]
    assert [entry["name"] for entry in found["images_moved"]] == ["x"]


def test_causes_need_those_of_both():
    with_causes, without = evaluation(TWO_A, measures=("pq", "causes")), evaluation(TWO_B)
    assert compare(with_causes, without)["causes_moved"] is None
    moved = compare(with_causes, evaluation(TWO_B, measures=("pq", "causes")))["causes_moved"]
    # A: missed 1/2 / 2, spurious the same, imprecise 0.2 / 2. B: imprecise 0.6 / 2 alone.
    told = {entry["name"]: (entry["lost_a"], entry["lost_b"], entry["gained"]) for entry in moved}
    assert told["missed"] == told["spurious"] == pytest.approx((0.25, 0, 0.25))
    assert told["imprecise"] == pytest.approx((0.1, 0.3, -0.2)) and told["merged"] == (0, 0, 0)
    assert next(iter(told)) == "missed"


def test_only_the_images_of_both_count():
    a = evaluation({**TWO_A, "only": [(CAR, 0, 0, 9, 0)]}, missing=("y", "only"))
    found = compare(a, evaluation({**TWO_B, "p": [], "q": []}))
    assert found["images"] == {"both": 2, "only_a": 1, "only_b": 2, "missing_a": 1, "missing_b": 0}
    assert found["all"] == compare(evaluation(TWO_A), evaluation(TWO_B))["all"]


def test_categories_are_matched_by_name():
    a, b = random_pair(0)
    turned = {name: [(5 - row[0], *row[1:]) for row in rows] for name, rows in b.items()}
    found, expected = compare(evaluation(a), evaluation(turned, table("sgdc"))), compare(evaluation(a), evaluation(b))
    assert found["per_category"] == expected["per_category"]
    for group in ("all", "things", "stuff"):
        assert found[group]["pq"]["interval"] == pytest.approx(expected[group]["pq"]["interval"])
    assert [image["name"] for image in found["images_moved"]] == [image["name"] for image in expected["images_moved"]]


def test_a_category_of_wrong_segments_in_one_alone_is_named():
    b = {**TWO_B, "y": [*TWO_B["y"], (SKY, 0, 0, 1, 0)]}
    found = compare(evaluation(TWO_A), evaluation(b))
    assert found["only_wrong_in"] == {"a": [], "b": ["s"]}
    sky = found["per_category"]["s"]["pq"]
    assert sky == {"a": None, "b": 0, "difference": None, "interval": None, "p": None}
    assert found["all"]["pq"]["b"] == pytest.approx(0.7 / 2)  # it takes part in B's mean


def test_one_image_has_a_difference_without_an_interval():
    found = compare(evaluation({"x": TWO_A["y"]}), evaluation({"x": TWO_B["y"]}))
    assert found["all"]["pq"]["interval"] is None and found["all"]["pq"]["p"] is None
    assert found["verdict"] == (
        "no difference can be shown: B - A is +60.00 points of PQ, and one image gives no interval"
    )


def test_without_any_segment_there_is_nothing_to_compare():
    empty, wrong = {"x": [], "y": []}, {"x": [(CAR, 0, 0, 1, 0)], "y": []}
    for a, b in ((empty, empty), (empty, wrong), (wrong, empty)):
        found = compare(evaluation(a, measures=("pq", "causes")), evaluation(b, measures=("pq", "causes")))
        assert found["verdict"].startswith("nothing can be compared")


def test_the_result_survives_json():
    found = compare(*(evaluation(images, measures=("pq", "causes")) for images in random_pair(0)), resamples=100)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("a", "b", "settings", "message"),
    [
        (evaluation(TWO_A), evaluation({"z": []}), {}, "no image is in both: the first of A is x, the first of B is z"),
        (evaluation(TWO_A), evaluation({}), {}, "the first of B is none at all"),
        (evaluation(TWO_A), evaluation(TWO_B, table("cdgx")), {}, "category 's': only A has it"),
        (evaluation(TWO_A, table("cdg")), evaluation(TWO_B, table("cdgsx")), {}, "'s' and 1 more: only B has it"),
        (evaluation(TWO_A), evaluation(TWO_B, table(things="cds")), {}, "'s' is stuff in A and a thing in B"),
        (
            evaluation(TWO_A),
            evaluation({**TWO_B, "y": [(CAR, 0.6, 1, 0, 2)]}),
            {},
            "image y has 1 true segments of 'c' in A and 3 in B; expected two evaluations against the same truth",
        ),
        (evaluation(TWO_A), evaluation(TWO_B, measures=("causes",)), {}, "B has no counters of 'pq', only of causes"),
        (evaluation(TWO_A), evaluation(TWO_B), {"resamples": 1}, "resamples: expected 100..10000, found 1"),
        (evaluation(TWO_A), evaluation(TWO_B), {"top": -1}, "top: expected 0 or more, found -1"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, settings, message):
    with pytest.raises(InputError, match=message) as error:
        compare(a, b, **settings)
    assert "\n" not in str(error.value)
