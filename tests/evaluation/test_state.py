import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.evaluation.scenes import TABLE, paired, random_pair
from tfpanoptic.categories import CategoryTable
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures import FAST, measure_pairs
from tfpanoptic.evaluation.state import Evaluation, ImageCounts, merge, plain_columns
from tfpanoptic.evaluation.state_file import StateFile, load_state, merged_states
from tfpanoptic.evaluation.summary import summarize
from tfpanoptic.evaluation.truth import TruthPrint


@pytest.fixture(scope="module")
def evaluation():
    images = {}
    for seed in range(12):
        name = f"{seed:02d}.jpg"
        rows = measure_pairs(paired(*random_pair(seed)), TABLE, FAST)
        columns = {"city": "bern" if seed % 3 else "ulm", "hour": seed % 2}
        truth = TruthPrint(f"{seed:x}", "0")
        images[name] = ImageCounts(name, rows, columns, image_id=(f"{seed}", seed)[seed % 2], truth=truth)
    return Evaluation(TABLE, FAST, "source", images)


def part(evaluation, names):
    return replace(evaluation, images={name: evaluation.images[name] for name in names})


def save(evaluation, path):
    with StateFile(path, replace(evaluation, images={})) as file:
        for image in evaluation.images.values():
            file.append(image)
    return path


def test_a_state_file_gives_the_very_counters_back(evaluation, tmp_path):
    loaded = load_state(save(evaluation, tmp_path / "deep" / "state.jsonl"))
    assert loaded.categories == evaluation.categories and loaded.measures == evaluation.measures
    for each in ("columns", "image_id", "truth"):
        sides = (loaded, evaluation)
        found, expected = ({n: getattr(i, each) for n, i in side.images.items()} for side in sides)
        assert found == expected
    for measure in FAST:
        np.testing.assert_array_equal(loaded.rows(measure), evaluation.rows(measure))


def test_a_state_file_of_an_older_version_is_read(evaluation, tmp_path, capsys):
    path = save(evaluation, tmp_path / "state.jsonl")
    header, *lines = map(json.loads, path.read_text().splitlines())
    old = [header, *({key: line[key] for key in line if key not in ("id", "truth")} for line in lines)]
    path.write_text("".join(json.dumps(line) + "\n" for line in old))
    loaded = load_state(path)
    assert {(image.image_id, image.truth) for image in loaded.in_order()} == {(None, TruthPrint())}
    assert summarize(loaded)["pq"]["all"] == pytest.approx(summarize(evaluation)["pq"]["all"])
    assert merged_states([path]).images.keys() == loaded.images.keys() and capsys.readouterr().err == ""


@pytest.mark.parametrize("seed", range(5))
def test_shards_merge_to_the_same_number_in_any_order(evaluation, seed, tmp_path):
    names = np.random.default_rng(seed).permutation(sorted(evaluation.images)).tolist()
    shards = [save(part(evaluation, names[k::3]), tmp_path / f"{k}.jsonl") for k in range(3)]
    order = np.random.default_rng(seed + 50).permutation(3)
    merged = merge((str(shards[k]), load_state(shards[k])) for k in order)
    assert summarize(merged) == summarize(evaluation)


def test_an_image_in_two_shards_counts_once(evaluation):
    assert len(merge([("a", evaluation), ("b", part(evaluation, ["03.jpg"]))])) == len(evaluation)


def test_one_image_with_two_results_is_refused(evaluation):
    other = replace(evaluation.images["03.jpg"], rows=evaluation.images["04.jpg"].rows)
    with pytest.raises(InputError, match=r"b: image 03.jpg is in a, too, with other counters"):
        merge([("a", evaluation), ("b", replace(evaluation, images={"03.jpg": other}))])


@pytest.mark.parametrize("what", ["categories", "measures"])
def test_parts_of_different_evaluations_are_refused(evaluation, what):
    others = {"categories": CategoryTable(TABLE.categories[:3]), "measures": ("pq",)}
    with pytest.raises(InputError, match=f"b: its {what} are not those of a"):
        merge([("a", evaluation), ("b", replace(evaluation, **{what: others[what]}))])


def test_slices_are_evaluations_of_their_images(evaluation):
    assert list(evaluation.by("city")) == ["bern", "ulm"] and list(evaluation.by("hour")) == ["0", "1"]
    slices = summarize(evaluation, by="city")["by"]
    assert slices["ulm"]["images"] == 4 and slices["bern"]["images"] == 8
    ulm = summarize(part(evaluation, ["00.jpg", "03.jpg", "06.jpg", "09.jpg"]))
    assert all(slices["ulm"][measure] == ulm[measure] for measure in FAST)


def test_images_without_a_value_are_a_slice_of_their_own(evaluation):
    """Tables write nothing as NaN, and whole numbers with a point."""
    values = [{"hour": 1}, {"hour": 1.0}, {}, {"hour": float("nan")}, {"hour": ""}, {"hour": "1"}, {"hour": True}]
    images = {
        name: replace(image, columns=columns)
        for (name, image), columns in zip(evaluation.images.items(), values, strict=False)
    }
    slices = replace(evaluation, images=images).by("hour")
    assert {value: len(part) for value, part in slices.items()} == {"1": 3, "true": 1, "(no value)": 3}
    assert list(slices)[-1] == "(no value)"


def test_an_unknown_column_names_those_there_are(evaluation):
    with pytest.raises(InputError, match="column 'kind': no image has it; found city, hour"):
        summarize(evaluation, by="kind")


def test_only_plain_values_become_columns():
    assert plain_columns({"a": 1, "b": "x", "c": [1], "d": None, "e": True}) == {"a": 1, "b": "x", "e": True}


def test_a_line_cut_short_is_dropped_and_the_file_goes_on(evaluation, tmp_path):
    path = save(evaluation, tmp_path / "state.jsonl")
    whole = path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for length in (last, last + 1, last + 40, len(whole) - 1):
        path.write_bytes(whole[:length])
        with StateFile(path, replace(evaluation, images={})) as file:
            assert sorted(file.evaluation.images) == sorted(evaluation.images)[:-1]
            file.append(evaluation.images["11.jpg"])
        assert path.read_bytes() == whole


def test_a_header_cut_short_is_no_state_file(tmp_path):
    (tmp_path / "s").write_text('{"tfpanoptic_evalua')
    with pytest.raises(InputError, match="s: not a state file"):
        load_state(tmp_path / "s")


def test_an_evaluation_of_other_files_does_not_continue_a_state(evaluation, tmp_path):
    path = save(evaluation, tmp_path / "state.jsonl")
    before = path.read_bytes()
    with pytest.raises(
        InputError,
        match="an evaluation of other files, another model or other settings; give another --state file, or delete",
    ):
        StateFile(path, replace(evaluation, source="other"))
    assert path.read_bytes() == before


def test_a_state_that_was_refused_is_free_for_the_next(evaluation, tmp_path):
    """The error is kept, as a notebook keeps it: what it refers to is not collected."""
    path = save(evaluation, tmp_path / "state.jsonl")
    with pytest.raises(InputError) as error:
        StateFile(path, replace(evaluation, source="other"))
    with StateFile(path, evaluation) as file:
        assert len(file.evaluation) == len(evaluation)
    assert "other settings" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.pop("rows"),
        lambda entry: entry["rows"].pop("pq"),
        lambda entry: entry["rows"].update(pq=[[1, 2]]),
        lambda entry: entry["rows"].update(pq=[[99, 0, 0, 0, 1]]),
        lambda entry: entry["rows"].update(pq=[[1, float("nan"), 0, 0, 1]]),
        lambda entry: entry["rows"].update(pq="x"),
        lambda entry: entry["rows"].update(pq=[[1.5, 0, 0, 0, 1]]),
        lambda entry: entry["rows"].update(pq=[[1, 0.5, -1, 0, 1]]),
        lambda entry: entry["rows"].update(pq=[[1, 10**400, 0, 0, 1]]),
        lambda entry: entry["rows"].update(causes=[[1, 99, 0, 0, 0, 1]]),
        lambda entry: entry["rows"].update(size=[[1, 3, 0, 0, 0, 1]]),
        lambda entry: entry["rows"].update(miou=[[1, 99, 5]]),
        lambda entry: entry.pop("stamp"),
        lambda entry: entry.update(columns=3),
    ],
)
def test_a_damaged_line_is_named(evaluation, tmp_path, change):
    path = save(evaluation, tmp_path / "state.jsonl")
    lines = path.read_text().splitlines()
    entry = json.loads(lines[3])
    change(entry)
    path.write_text("\n".join([*lines[:3], json.dumps(entry), *lines[4:]]) + "\n")
    with pytest.raises(InputError, match="state.jsonl: line 4: damaged; expected an image's counters"):
        load_state(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"tfpanoptic_evaluation": 9}, "version 9, expected 1"), ({"measures": ["iou"]}, "unknown measure 'iou'")],
)
def test_a_state_of_another_version_is_told(evaluation, tmp_path, change, words):
    path = save(evaluation, tmp_path / "state.jsonl")
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(header), **change}), *lines]) + "\n")
    with pytest.raises(InputError, match=words):
        load_state(path)


@settings(max_examples=80, deadline=2000, suppress_health_check=list(HealthCheck))
@given(place=st.floats(0, 1), length=st.integers(0, 30), other=st.binary(max_size=20))
def test_no_bytes_make_it_crash(evaluation, tmp_path, place, length, other):
    path = tmp_path / "fuzzed.jsonl"
    path.unlink(missing_ok=True)
    content = save(part(evaluation, ["03.jpg", "04.jpg"]), path).read_bytes()
    start = int(place * len(content))
    path.write_bytes(content[:start] + other + content[start + length :])
    try:
        found = load_state(path)
        if len(found):
            summarize(found)
    except InputError as error:
        assert "fuzzed.jsonl" in str(error)


def test_two_evaluations_do_not_write_into_one_file(evaluation, tmp_path):
    start = replace(evaluation, images={})
    with StateFile(tmp_path / "s.jsonl", start), pytest.raises(InputError, match="another process is writing it"):
        StateFile(tmp_path / "s.jsonl", start)


def test_a_column_of_names_does_not_slice(evaluation):
    images = {f"{k}.jpg": replace(evaluation.images["03.jpg"], name=f"{k}.jpg", columns={"own": k}) for k in range(101)}
    with pytest.raises(InputError, match="column 'own': 101 values; expected at most 100"):
        summarize(replace(evaluation, images=images), by="own")


def test_a_summary_of_no_image_is_refused(evaluation):
    with pytest.raises(InputError, match="no image to summarize"):
        summarize(replace(evaluation, images={}))
