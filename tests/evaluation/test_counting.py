import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.evaluation import counting
from tfpanoptic.evaluation.counting import evaluate_files, sensible_workers
from tfpanoptic.evaluation.measures import FAST, MEASURES
from tfpanoptic.evaluation.measures.panoptic_quality import summarize_rows
from tfpanoptic.evaluation.pairs.coco import read_coco_files
from tfpanoptic.evaluation.state_file import load_state
from tfpanoptic.evaluation.summary import summarize


def test_files_give_the_numbers_of_the_official_tool(files):
    """`expected.json` is what cityscapesScripts 2.3 counts in these files, which hold void and crowds."""
    evaluation = evaluate_files(read_coco_files(*files.paths()), ("pq",))
    counts = summarize_rows(evaluation.rows("pq"), evaluation.categories)
    for group in ("all", "things", "stuff"):
        assert counts[group] == pytest.approx(files.expected[group], abs=1e-12)
    sums = dict.fromkeys(files.expected["per_category"], 0.0)
    for category, iou, *_ in evaluation.rows("pq"):
        sums[evaluation.categories[int(category)].name] += iou
    for name, row in files.expected["per_category"].items():
        assert {key: counts["per_category"][name][key] for key in ("tp", "fp", "fn")} == {
            key: row[key] for key in ("tp", "fp", "fn")
        }
        assert sums[name] == pytest.approx(row["iou"], abs=1e-12)


def test_workers_change_nothing(files):
    pairs = read_coco_files(*files.paths())
    alone, together = (evaluate_files(pairs, tuple(MEASURES), workers) for workers in (1, 2))
    for measure in MEASURES:
        np.testing.assert_array_equal(alone.rows(measure), together.rows(measure))


def test_a_killed_evaluation_goes_on_where_it_was(files, tmp_path, monkeypatch):
    pairs = read_coco_files(*files.paths())
    whole = evaluate_files(pairs, FAST)
    counted = []

    def count(pair, *others):
        if len(counted) == 5:
            raise KeyboardInterrupt
        counted.append(pair.name)
        return original(pair, *others)

    original = counting.count_image
    monkeypatch.setattr(counting, "count_image", count)
    state = tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        evaluate_files(pairs, FAST, state=state)
    with state.open("ab") as file:  # the line that was being written
        file.write(b'{"image":"05')
    assert len(load_state(state)) == 5

    first = list(counted)
    monkeypatch.setattr(counting, "count_image", lambda *a: (counted.append(a[0].name), original(*a))[1])
    resumed = evaluate_files(pairs, FAST, state=state)
    assert len(counted) == len(pairs.pairs) and not set(first) & set(counted[5:])
    for evaluation in (resumed, load_state(state)):
        for measure in FAST:
            np.testing.assert_array_equal(evaluation.rows(measure), whole.rows(measure))


def test_a_missing_prediction_counts_as_misses_where_that_is_allowed(files):
    gone = files.pred["annotations"].pop()
    segments = next(a for a in files.gt["annotations"] if a["image_id"] == gone["image_id"])["segments_info"]
    pairs = read_coco_files(*files.paths(), allow_missing=True)
    assert len(pairs.notes) == 1 and "1 images without a prediction" in pairs.notes[0]
    image = evaluate_files(pairs, ("pq",)).images["15.jpg"]
    assert image.missing
    iou, tp, fp, fn = image.rows["pq"][:, 1:].sum(axis=0)
    assert (iou, tp, fp, fn) == (0, 0, 0, sum(not s["iscrowd"] for s in segments))


def test_bad_files_are_told_together_by_name_and_number(files):
    for name in ("03.png", "07.png"):
        path = files.pred_dir / name
        path.write_bytes(path.read_bytes()[:80])
    (files.gt_dir / "05.png").write_bytes(b"no PNG")
    with pytest.raises(InputError) as error:
        evaluate_files(read_coco_files(*files.paths()))
    message = str(error.value)
    assert message.startswith("3 problems in the files:")
    assert "pred/03.png: damaged" in message and "pred/07.png" in message and "gt/05.png: not an image" in message


def test_the_pass_stops_after_many_bad_files(files, monkeypatch):
    monkeypatch.setattr(counting, "MOST_PROBLEMS", 2)
    for path in files.pred_dir.iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="2 problems"):
        evaluate_files(read_coco_files(*files.paths()))


def test_areas_that_make_an_iou_above_1_are_refused(files):
    annotation = files.gt["annotations"][4]
    for segment in annotation["segments_info"]:
        segment["area"] = 1
    files.pred["annotations"][4]["segments_info"] = [dict(s) for s in annotation["segments_info"]]
    (files.pred_dir / "04.png").write_bytes((files.gt_dir / "04.png").read_bytes())
    with pytest.raises(
        InputError, match=r"gt/04.png: truth gives segment \d+ an area of 1, but it has \d+ pixels, which"
    ):
        evaluate_files(read_coco_files(*files.paths()))


def test_areas_that_are_not_the_pixels_are_counted(files):
    before = summarize(evaluate_files(read_coco_files(*files.paths()), ("pq",)))["wrong_areas"]
    files.gt["annotations"][4]["segments_info"][0]["area"] += 7
    assert summarize(evaluate_files(read_coco_files(*files.paths()), ("pq",)))["wrong_areas"] == before + 1


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_evaluation(files, ending, tmp_path):
    code = (
        "import multiprocessing, sys, time\n"
        "from tfpanoptic.evaluation.counting import evaluate_files\n"
        "from tfpanoptic.evaluation.pairs.coco import FileSet, read_coco_files\n"
        "from dataclasses import replace\n"
        "if __name__ == '__main__':\n"
        "    files = read_coco_files(*sys.argv[1:5])\n"
        "    pairs = tuple(replace(p, name=f'{k}-{p.name}') for k in range(2000) for p in files.pairs)\n"
        "    evaluate_files(replace(files, pairs=pairs), ('pq',), 2, sys.argv[5])\n"
    )
    (tmp_path / "run.py").write_text(code)
    state = tmp_path / "state.jsonl"
    command = [sys.executable, tmp_path / "run.py", *files.paths(), state]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while run.poll() is None and not (state.exists() and len(state.read_text().splitlines()) > 1):
        time.sleep(0.05)  # until the workers have counted an image
    os.kill(run.pid, ending) if ending == signal.SIGKILL else os.killpg(run.pid, ending)
    _, printed = run.communicate(timeout=30)
    assert run.returncode != 0 and printed.count("Traceback") <= 1  # that of this script, which has no command line
    for _ in range(50):
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    os.killpg(run.pid, signal.SIGKILL)
    pytest.fail("a worker outlived its evaluation")


def test_an_unknown_measure_is_refused(files):
    with pytest.raises(InputError, match="measure 'iou': expected one of pq, "):
        evaluate_files(read_coco_files(*files.paths()), ("iou",))


def test_rows_are_numbers(files):
    evaluation = evaluate_files(read_coco_files(*files.paths()), tuple(MEASURES))
    for name, measure in MEASURES.items():
        rows = evaluation.rows(name)
        assert rows.dtype == np.float64 and rows.shape[1] == len(measure.columns) and np.isfinite(rows).all()
        assert not any(math.isnan(v) for v in _numbers(measure.summarize_rows(rows, evaluation.categories)))


def _numbers(summary):
    for value in summary.values() if isinstance(summary, dict) else summary:
        if isinstance(value, dict | list):
            yield from _numbers(value)
        elif isinstance(value, float):
            yield value


def test_few_files_are_worth_no_process():
    assert sensible_workers(49) == 0 and sensible_workers(50) == 1
    assert sensible_workers(10**6) == os.cpu_count()
