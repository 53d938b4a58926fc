"""What is combined and how it is told, with made workers; the real process of the model is a slow test."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lite import exported
from tfpanoptic.bench import bench as module
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export import FORMATS
from tfpanoptic.export.format import Format
from tfpanoptic.lite.metadata import with_metadata

# A format of fixed or free size, of one photo a call.
PLAIN = Format(
    write=lambda segmenter, path, overwrite=False, **options: Path(path).write_text(str(options.get("size"))),
    open=lambda path, threads=None: None,
    suffix=".plain",
    options=("size", "quantize"),
)


@pytest.fixture
def jobs(monkeypatch):
    """The jobs that workers are given; each call takes a millisecond more than the one before."""
    given = []

    def work(job, folder, module):
        given.append(job)
        if job.threads == 13:
            raise WorkFailed(f"{job.path}: the process that runs it as {job.format} was ended by SIGKILL")
        if job.threads == 14:
            raise InputError("a.png: more pixels than it takes")
        seconds = [0.001 * (call + 1) for call in range(job.calls)]
        memory = {"memory_opened": 100_000_000, "memory_peak": 300_000_000}
        opened = {"first_seconds": 2.0, "open_seconds": 3.0, "device": "CPU", "runtime": {"tensorflow": "2.20"}}
        return {"seconds": seconds, **opened, **memory}

    monkeypatch.setattr(module, "run_worker", work)
    monkeypatch.setitem(FORMATS, "plain", PLAIN)
    return given


def test_every_combination_has_a_row_and_what_cannot_be_is_told(run, tiny_run, jobs, tmp_path):
    sizes = ["--size", "64", "--size", "64x96"]
    options = [*sizes, "--batch", "1", "--batch", "4", "--threads", "2", "--runs", "3"]
    code, out, _ = run("bench", tiny_run, *options, "--json", tmp_path / "b.json")
    assert code == 0 and "keras takes one image at a time: no batch of 4" in out
    content = json.loads((tmp_path / "b.json").read_text())
    rows = content["rows"]
    told = [(row["format"], row["height"], row["width"], row["batch"], row["threads"]) for row in rows]
    assert told == [
        ("keras", 64, 64, 1, 2),
        ("keras", 64, 96, 1, 2),
        ("saved_model", 64, 64, 1, 2),
        ("saved_model", 64, 64, 4, 2),
        ("saved_model", 64, 96, 1, 2),
        ("saved_model", 64, 96, 4, 2),
    ]
    # 1, 2 and 3 ms: the median is 2, p95 lies at 1 + 0.95 * 2; 3 calls of 4 images in 6 ms.
    assert rows[3]["median"] == pytest.approx(0.002) and rows[3]["p95"] == pytest.approx(0.0029)
    assert rows[3]["images_per_second"] == pytest.approx(2000)
    assert rows[0]["size"] == (tiny_run / "best.safetensors").stat().st_size
    assert content["calls"] == 3 and content["warm_up"] == 3 and content["left_out"]
    assert "threads 2" in out and "2000.0" in out


def test_the_photos_have_the_size_of_the_row(run, tiny_run, jobs, monkeypatch):
    from PIL import Image

    seen = []
    work = module.run_worker
    monkeypatch.setattr(
        module, "run_worker", lambda job, *a: (seen.append(Image.open(job.images[0]).size), work(job, *a))[1]
    )
    assert run("bench", tiny_run, "--format", "keras", "--size", "64x96", "--runs", "2")[0] == 0
    assert seen == [(96, 64)]  # Pillow's (width, height)


def test_a_measurement_that_fails_leaves_the_others_and_the_exit_code_is_1(run, tiny_run, jobs):
    options = ["--format", "keras", "--size", "64", "--threads", "13", "--threads", "14", "--threads", "1"]
    code, out, err = run("bench", tiny_run, *options)
    assert code == 1 and "failed: 2 of 3 measurements" in err
    assert "was ended by SIGKILL" in out and "more pixels than it takes" in out and len(jobs) == 3


def test_exports_are_fixed_to_each_size_only_where_that_is_asked(run, tiny_run, jobs, tmp_path):
    options = ["--format", "plain", "--size", "64", "--size", "70", "--runs", "2", "--json", tmp_path / "b.json"]

    def measured(*more):
        jobs.clear()
        assert run("bench", tiny_run, *options, *more)[0] == 0
        rows = json.loads((tmp_path / "b.json").read_text())["rows"]
        return [(row["quantize"], row["fixed"], row["height"], row["size"]) for row in rows]

    free = len("None")
    assert measured() == [("none", False, 64, free), ("none", False, 70, free)]
    # The grid of the tiny model is 16: photos of 70 x 70 need an input of 80 x 80.
    fixed = len("(64, 64)")
    assert measured("--fixed") == [("none", True, 64, fixed), ("none", True, 70, fixed)]
    assert [path.parent.name for path in (Path(job.path) for job in jobs)] == ["64x64", "70x70"]
    assert measured("--quantize", "float16", "--quantize", "int8") == [
        ("float16", False, 64, free),
        ("float16", False, 70, free),
        ("int8", False, 64, free),
        ("int8", False, 70, free),
    ]


def test_an_export_is_measured_as_it_is(run, jobs, tmp_path):
    (tmp_path / "model.plain").write_text("12345")
    code, out, _ = run("bench", tmp_path / "model.plain", "--size", "64", "--runs", "2")
    assert code == 0 and "plain" in out
    assert [(job.format, job.path) for job in jobs] == [("plain", str(tmp_path / "model.plain"))]


def test_a_file_for_devices_says_of_itself_what_it_is(run, jobs, tmp_path):
    segmenter = exported.toy()
    metadata = replace(exported.metadata_of(segmenter, (64, 64)), quantize="int8")
    (tmp_path / "model.tflite").write_bytes(with_metadata(exported.litert(segmenter, (64, 64)), metadata))
    options = ["--size", "70", "--runs", "2", "--json", tmp_path / "b.json"]
    code, out, err = run("bench", tmp_path / "model.tflite", *options)
    assert code == 0 and "litert int8 fixed" in out, err
    (row,) = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert (row["quantize"], row["fixed"], row["height"]) == ("int8", True, 70)


def test_the_numbers_replace_no_file_but_older_ones(run, tiny_run, jobs, tmp_path):
    own = shutil.copytree(tiny_run, tmp_path / "run")
    options = ["--format", "keras", "--size", "64", "--runs", "2", "--json"]
    for name in ("config.yaml", "environment.json"):
        before = (own / name).read_bytes()
        code, _, err = run("bench", own, *options, own / name)
        assert code == 2 and f"{name}: is read by this measurement" in err and (own / name).read_bytes() == before
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    code, _, err = run("bench", own, *options, tmp_path / "notes.json")
    assert code == 2 and "notes.json: exists and was not written by this command" in err and not jobs
    for _ in range(2):
        assert run("bench", own, *options, own / "bench.json")[0] == 0


@pytest.mark.parametrize(
    "options, words",
    [
        (["--format", "keras", "--batch", "4"], "--batch: keras takes one image at a time; expected --batch 1"),
        (["--size", "100000"], "--size 100000x100000: expected photos of at most"),
        (["--size", "64", "--size", "6000x7000"], "--size 6000x7000: 6000 x 7000 pixels are more than the 32 million"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_the_work(run, tiny_run, jobs, options, words):
    code, _, err = run("bench", tiny_run, *options)
    assert code == 2 and words in err and not jobs


def test_photos_of_ones_own_are_taken_as_they_are(run, tiny_run, jobs, tmp_path):
    from PIL import Image

    for number, size in enumerate([(40, 30), (50, 60)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    options = ["--format", "keras", "--images", tmp_path, "--runs", "2"]
    assert run("bench", tiny_run, *options)[0] == 0
    assert [Path(path).name for path in jobs[0].images] == ["0.png", "1.png"]
    code, _, err = run("bench", tiny_run, *options, "--batch", "2")
    assert code == 2 and "photos of a batch are of one size; give --size" in err
    code, _, err = run("bench", tiny_run, "--format", "plain", "--quantize", "int4")
    assert code == 2 and "--quantize: expected none, float16, dynamic, int8, found 'int4'" in err
    code, _, err = run("bench", tiny_run, "--format", "plain", "--images", tmp_path, "--fixed")
    assert code == 2 and "exports are fixed to the size of the photos; give --size" in err


@pytest.mark.slow
def test_the_model_and_a_batch_of_a_saved_model_run_in_processes_of_their_own(run, tiny_run, tmp_path):
    options = ["--size", "64", "--batch", "1", "--batch", "2", "--runs", "2", "--json", tmp_path / "b.json"]
    assert run("bench", tiny_run, "test_time.flip=true", *options)[0] == 0
    rows = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert [(row["format"], row["batch"]) for row in rows] == [("keras", 1), ("saved_model", 1), ("saved_model", 2)]
    for row in rows:
        assert row["memory_peak"] >= row["memory_opened"] > 10**8 and list(row["runtime"]) == ["tensorflow"]
