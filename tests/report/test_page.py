import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.scenes import CAR, GRASS, TABLE, clean, random_pair, segments
from tests.report.pages import Page, evaluated, percent, random_set, written
from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.bootstrap import lost_by_image
from tfpanoptic.evaluation.measures.attribution import CAUSES
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.report.causes import STYLES, error_words
from tfpanoptic.report.plots import nice_step
from tfpanoptic.segment_map import SegmentMap, segment_rows

HOSTILE = (
    '<script>alert(1)</script>"',
    "'><img src=x onerror=alert(1)>",
    "</style></svg>&amp;",
    "half \ud800 of a pair",
)


def test_rules_that_are_not_the_official_ones_are_in_the_headline(tmp_path):
    evaluation, _ = random_set(measures=("pq",))
    words = "not the official rules: void counts as background"
    assert words not in Page(written(tmp_path / "r.html", evaluation)).text
    other = replace(evaluation, rules=("void counts as background",))
    assert words in Page(written(tmp_path / "r.html", other)).text


def test_headline_tells_pq_its_interval_and_every_measure(tmp_path):
    evaluation, _ = random_set(measures=("pq", "miou", "covering", "boundary"))
    summary = summarize(evaluation)
    text = Page(written(tmp_path / "r.html", evaluation)).text
    low, high = summary["pq_interval"]["all"]["pq"]
    assert f"PQ {percent(summary['pq']['all']['pq'])}95 % interval {percent(low)}–{percent(high)}" in text
    for label, number in (
        ("PQ things", summary["pq"]["things"]["pq"]),
        ("PQ stuff", summary["pq"]["stuff"]["pq"]),
        ("SQ", summary["pq"]["all"]["sq"]),
        ("RQ", summary["pq"]["all"]["rq"]),
        ("Boundary PQ", summary["boundary"]["all"]["pq"]),
        ("mIoU", summary["miou"]["miou"]),
        ("PC", summary["covering"]["pc"]),
    ):
        assert f"{label}{percent(number)}" in text


def test_category_table_holds_the_summary(tmp_path):
    evaluation, _ = random_set()
    summary = summarize(evaluation)
    rows = Page(written(tmp_path / "r.html", evaluation)).tables["categories"]
    assert {row["category"]["text"] for row in rows} == {category.name for category in TABLE}
    for row in rows:
        entry = summary["pq"]["per_category"][row["category"]["text"]]
        for key in ("pq", "sq", "rq"):
            assert row[key]["text"] == percent(entry[key])
            assert float(row[key]["value"]) == pytest.approx(entry[key], rel=1e-8)
        assert [row[key]["text"] for key in ("tp", "fp", "fn")] == [str(entry[key]) for key in ("tp", "fp", "fn")]
        assert row["iou"]["text"] == percent(summary["miou"]["per_category"][row["category"]["text"]])
        causes = summary["causes"]["per_category"][row["category"]["text"]]["causes"]
        assert row["cause"]["text"] == STYLES[max(causes, key=lambda cause: causes[cause]["lost"])].label
    costs = [float(row["lost"]["value"]) for row in rows]
    assert costs == sorted(costs, reverse=True)
    assert sum(costs) == pytest.approx(1 - summary["pq"]["all"]["pq"], rel=1e-7)


def test_sizes_and_pairs_hold_the_summary(tmp_path):
    evaluation, _ = random_set()
    summary = summarize(evaluation)["size"]
    tables = Page(written(tmp_path / "r.html", evaluation)).tables
    for row in tables["sizes"]:
        assert row["pq"]["text"] == percent(summary[row["size"]["text"]]["all"]["pq"])
    ids = {category.name: category.id for category in TABLE} | {"void": 0}
    counted = evaluation.rows("miou")
    for row in tables["pairs"]:
        pair = [ids[row[key]["text"]] for key in ("truth", "prediction")]
        assert float(row["pixels"]["value"]) == counted[(counted[:, :2] == pair).all(axis=1), 2].sum()


def test_every_cause_tells_its_points_and_the_fix(tmp_path):
    evaluation, _ = random_set()
    summary = summarize(evaluation)
    text = Page(written(tmp_path / "r.html", evaluation)).text
    pq, causes = summary["pq"]["all"]["pq"], summary["causes"]["all"]["causes"]
    for cause in CAUSES:
        label, entry = STYLES[cause].label, causes[cause]
        if entry["lost"] == 0:
            assert re.search(f"No point is lost to: [a-z, ]*{label.lower()}", text)
            continue
        gain = f"{100 * (entry['if_fixed'] - pq):+.1f}"
        told = f"{label}{percent(entry['lost'])} points if fixed, PQ {percent(entry['if_fixed'])} ({gain})"
        assert told.replace(" ", "") in text.replace(" ", "")


def test_worst_images_stand_in_the_order_of_what_they_cost(tmp_path):
    """Image b: one of two cars missed; its D is 2 x 1 + 0.5 over both images and categories.

    Cars: TP 3 (IoU 1), FN 1: PQ 3 / 3.5; grass: TP 2, IoU 1 and 24 / 28. Image b costs the car
    0.5 / 3.5 / 2 = 7.14 points and the grass (4 / 28) / 2 / 2 = 3.57, together 10.7, all that is lost.
    """
    ids = np.full((4, 8), 1)
    ids[0, :4], ids[3, :4] = 2, 3
    truth = segments(ids, {1: GRASS, 2: CAR, 3: CAR})
    missed = segments(np.where(ids == 3, 1, ids), {1: GRASS, 2: CAR})
    text = Page(written(tmp_path / "r.html", evaluated({"a": (truth, truth), "b": (truth, missed)}))).text
    assert "1bcosts 10.7 points, 100.0 % of all that is lostPQ of this image 76.2" in text
    assert "2 TP, 0 FP, 1 FN1 missedc: 1 missed" in text
    assert "costs 0.0 points" not in text

    evaluation, _ = random_set()
    text = Page(written(tmp_path / "r.html", evaluation)).text
    lost = lost_by_image(evaluation)
    places = [text.index(f"{rank}{name}costs") for rank, name in enumerate(sorted(lost, key=lost.get)[::-1], start=1)]
    assert places == sorted(places)


def test_errors_are_counted_in_words():
    assert list(error_words({"missed": (0, 1), "merged": (1, 2), "spurious": (3, 0), "split": (0, 0)}).values()) == [
        "3 spurious",
        "2 merged",
        "1 missed",
    ]


def test_hostile_names_stay_text(tmp_path):
    categories = CategoryTable(tuple(Category(i, HOSTILE[i - 1], i <= 2, (0, 0, i), i) for i in (1, 2, 3, 4)))
    pairs = {f"{text}.png": random_pair(seed) for seed, text in enumerate(HOSTILE)}
    columns = {name: {HOSTILE[0]: name[:20]} for name in pairs}
    evaluation = evaluated(pairs, categories=categories, columns=columns)
    content = written(tmp_path / "r.html", evaluation, lambda name: (None, *pairs[name]), HOSTILE[2])
    page = Page(content)
    assert content.count("<script>") == 1 and "<img" not in content and content.count("</style>") == 1
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on") or key == "style"]
    for text in HOSTILE:
        assert text.replace("\ud800", "?") in page.text


def test_page_refers_to_nothing_outside_itself(tmp_path):
    evaluation, scenes = random_set()
    content = written(tmp_path / "r.html", evaluation, scenes)
    page = Page(content)
    links = [value for _, found in page.elements for key, value in found.items() if key in ("href", "src")]
    assert links and all(value.startswith(("#", "data:image/")) for value in links)
    assert not [tag for tag, _ in page.elements if tag in ("link", "iframe", "object", "img")]
    assert re.findall(r"url\((.)", content) == ["#"] * content.count("url(")
    assert content.count("http") == 1 and "@import" not in content  # http-equiv
    policy = page.all("meta")[1]["content"]
    for tag in ("style", "script"):
        inside = re.search(f"<{tag}>(.*)</{tag}>", content, re.DOTALL)[1]
        checksum = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{checksum}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_report_without_scenes_has_no_pictures_and_says_so(tmp_path):
    evaluation, scenes = random_set()
    page = Page(written(tmp_path / "r.html", evaluation))
    assert "No pictures" in page.text and not page.all("image")
    page = Page(written(tmp_path / "r.html", evaluation, scenes, worst=2))
    assert "No pictures" not in page.text and len(page.all("image")) == 2 * 3


def test_same_evaluation_gives_the_same_bytes(tmp_path):
    evaluation, scenes = random_set()
    other = replace(evaluation, images=dict(reversed(evaluation.images.items())))
    assert written(tmp_path / "a.html", evaluation, scenes) == written(tmp_path / "b.html", other, scenes)


def test_only_columns_with_a_few_values_are_told_value_by_value(tmp_path):
    columns = {f"{i}.png": {"kind": "ab"[i % 2], "one": 1, "own": f"value {i}"} for i in range(22)}
    pairs = {name: random_pair(0) for name in columns}
    evaluation = evaluated(pairs, measures=("pq",), columns=columns)
    page = Page(written(tmp_path / "r.html", evaluation))
    assert "By kind" in page.text and "By one" not in page.text and "By own" not in page.text
    (key,) = [name for name in page.tables if name.startswith("slice")]
    part = summarize(evaluation.by("kind")["b"])["pq"]["all"]["pq"]
    (row,) = [row for row in page.tables[key] if row["value"]["text"] == "b"]
    assert (row["images"]["text"], row["pq"]["text"]) == ("11", percent(part))


def test_measures_that_were_not_counted_have_no_section(tmp_path):
    evaluation, scenes = random_set(measures=("pq",))
    page = Page(written(tmp_path / "r.html", evaluation, scenes))
    assert {"lost", "by-size", "confusion"}.isdisjoint(found.get("id") for _, found in page.elements)
    assert "mIoU" not in page.text and "Worst images" in page.text


def test_perfect_prediction_loses_nothing(tmp_path):
    truth = clean(random_pair(0)[0])
    text = Page(written(tmp_path / "r.html", evaluated({"a": (truth, truth)}))).text
    assert "Nothing is lost" in text and "Worst images" not in text and "No pixel is confused" in text


def test_images_without_a_segment_are_no_error(tmp_path):
    empty = SegmentMap(np.zeros((4, 4), np.int32), segment_rows([], []))
    text = Page(written(tmp_path / "r.html", evaluated({"a": (empty, empty)}))).text
    assert "PQ –" in text and "There is no segment" in text


@pytest.mark.parametrize(("count", "drawn"), [(40, True), (41, False)])
def test_heat_map_is_drawn_for_up_to_40_categories(tmp_path, count, drawn):
    categories = CategoryTable(tuple(Category(i, f"c{i}", False, (i, 0, 0), i) for i in range(1, count + 1)))
    ids = np.arange(1, count + 1).reshape(1, -1).repeat(2, axis=0)
    truth = segments(ids, {i: i for i in range(1, count + 1)})
    evaluation = evaluated({"a": (truth, truth)}, categories=categories)
    assert ("heat" in [f.get("class") for f in Page(written(tmp_path / "r.html", evaluation)).all("svg")]) == drawn


def test_what_cannot_be_reported_is_named(tmp_path):
    evaluation, scenes = random_set(2)
    with pytest.raises(InputError, match="no image"):
        written(tmp_path / "r.html", replace(evaluation, images={}))
    with pytest.raises(InputError, match="'pq'; found only miou"):
        written(tmp_path / "r.html", random_set(2, measures=("miou",))[0])
    with pytest.raises(InputError, match="worst: expected 0 or more images, found -1"):
        written(tmp_path / "r.html", evaluation, scenes, worst=-1)
    with pytest.raises(InputError, match=r"\.png: photo is uint8 \[5, 5, 3\], expected uint8 \[24, 40, 3\]"):
        written(tmp_path / "r.html", evaluation, lambda name: (np.zeros((5, 5, 3), np.uint8), *scenes(name)[1:]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("least", "step"), [(0.011, 0.02), (1.0, 1.0), (2.1, 2.5), (3, 5), (7, 10), (0.5, 0.5)])
def test_steps_of_axes_are_round(least, step):
    assert nice_step(least) == pytest.approx(step)
