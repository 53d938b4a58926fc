import json
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.evaluation.conftest import FIXTURE, PanopticFiles
from tfpanoptic.evaluation.state import load_state


@pytest.fixture
def files(tmp_path):
    import shutil

    return PanopticFiles(shutil.copytree(FIXTURE, tmp_path / "files"))


def test_files_are_evaluated_without_tensorflow(files, tmp_path):
    code = (
        "import sys; sys.argv[0] = 'tfpanoptic'; from tfpanoptic.cli import main; main_error = None\n"
        "try: main()\nexcept SystemExit as stop: main_error = stop.code\n"
        "print(main_error, sorted({'tensorflow', 'keras', 'jax', 'matplotlib'} & set(sys.modules)))"
    )
    options = [*files.options(), "--json", tmp_path / "out.json", "--workers", "2"]
    done = subprocess.run([sys.executable, "-c", code, "evaluate", *map(str, options)], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["pq"]["all"] == pytest.approx(
        files.expected["all"], abs=1e-12
    )


def test_the_tables_are_in_percent_with_interval_sizes_and_causes(run, files):
    code, out, err = run("evaluate", *files.options(), "--also", "boundary", "--also", "ap")
    assert code == 0 and "evaluate 16/16" in err
    all_row = next(line for line in out.splitlines() if line.split()[:1] == ["all"])
    assert all_row.split()[1:] == [f"{100 * files.expected['all'][key]:.1f}" for key in ("pq", "sq", "rq")] + ["6"]
    for words in ("95 % of the time between", "mIoU", "Parsing Covering", "Boundary PQ", "mask AP", "small", "missed"):
        assert words in out


def test_shards_saved_in_states_give_the_whole(run, files, tmp_path):
    options = files.options()
    whole = run("evaluate", *options, "--json", tmp_path / "whole.json")
    for part in ("1/3", "3/3", "2/3"):
        assert run("evaluate", *options, "--shard", part, "--state", tmp_path / f"{part[0]}.jsonl")[0] == 0
    states = [word for k in "231" for word in ("--state", tmp_path / f"{k}.jsonl")]
    code, out, _ = run("evaluate", *states, "--json", tmp_path / "merged.json", "--by", "scene")
    assert code == 0 and whole[1].splitlines() == out.splitlines()[: len(whole[1].splitlines())]
    merged = json.loads((tmp_path / "merged.json").read_text())
    slices = merged.pop("by")
    assert merged == json.loads((tmp_path / "whole.json").read_text())
    assert {value: row["images"] for value, row in slices.items()} == {"day": 10, "night": 6}


def test_a_second_run_with_the_same_state_counts_nothing_again(run, files, tmp_path):
    options = [*files.options(), "--state", tmp_path / "s.jsonl"]
    first = run("evaluate", *options)
    before = (tmp_path / "s.jsonl").read_bytes()
    for path in files.pred_dir.iterdir():
        path.write_bytes(b"gone")  # nothing is read again
    assert run("evaluate", *options)[1] == first[1]
    assert (tmp_path / "s.jsonl").read_bytes() == before


def test_missing_predictions_end_it_unless_allowed(run, files):
    files.pred["annotations"].pop()
    code, _, err = run("evaluate", *files.options())
    assert code == 2 and "no prediction for 1 of 16 images, first 15.jpg; --allow-missing" in err
    code, out, err = run("evaluate", *files.options(), "--allow-missing")
    assert code == 0 and "1 images without a prediction" in err and "1 of 16 images had no prediction" in out


def test_a_runs_evaluation_has_a_state_that_is_continued(run, tiny_run, tmp_path, monkeypatch):
    from tfpanoptic.data import nuclei
    from tfpanoptic.experiment import Experiment

    few = nuclei.nuclei("val")
    few = replace(few, records=few.records[:2])
    monkeypatch.setattr(Experiment, "load_data", lambda self, split: few)
    code, out, _ = run("evaluate", tiny_run, "--state", tmp_path / "s.jsonl", "--by", "kind")
    assert code == 0 and "fluorescence" in out
    saved = load_state(tmp_path / "s.jsonl")
    assert sorted(saved.images) == [record.file_name for record in few.records]
    before = (tmp_path / "s.jsonl").read_bytes()
    assert run("evaluate", tiny_run, "--state", tmp_path / "s.jsonl", "--by", "kind")[1] == out
    assert (tmp_path / "s.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "nothing to evaluate: expected --gt JSON"),
        (["--gt", "a"], "nothing to evaluate"),
        (["--pred", "a"], "files need --gt-dir and --pred-dir"),
        (["--pred-dir", "a", "--gt-dir", "b"], "files in COCO format need --gt and --pred"),
        (["run", "--pred", "a"], "a run folder makes its own predictions"),
        (["--state", "no.jsonl"], "no.jsonl: no such file"),
        (["--pred", "a", "--pred-dir", "a", "--gt", "b", "--gt-dir", "b", "--state", "a", "--state", "b"], "give one"),
        (["--pred-dir", "a", "--gt-dir", "b", "--format", "cityscapes"], "b: no file CITY_SEQUENCE_FRAME"),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(run, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("evaluate", *options)
    assert code == 2 and words in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "²/3"])
def test_a_wrong_shard_is_told(run, files, shard):
    code, _, err = run("evaluate", *files.options(), f"--shard={shard}")
    assert code == 2 and f"--shard {shard!r}: expected I/N" in err
