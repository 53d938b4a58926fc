import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.conftest import FIXTURE, PanopticFiles
from tfpanoptic.evaluation.state_file import load_state
from tfpanoptic.segment_map import ids_to_rgb


@pytest.fixture
def files(tmp_path):
    import shutil

    return PanopticFiles(shutil.copytree(FIXTURE, tmp_path / "files"))


def write_cityscapes(folder, predicted=26001):
    """A truth of one image, a car of 100 pixels on a road, and a prediction like it; gives the prediction's path."""
    ids = np.full((20, 20), 7, np.uint16)
    ids[:10, :10] = 26001
    for path, car in (
        ("gt/aa/aa_000000_000019_gtFine_instanceIds.png", 26001),
        ("pred/aa_000000_000019.png", predicted),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(ids == 26001, car, ids).astype(np.uint16)).save(folder / path)
    return folder / "pred/aa_000000_000019.png"


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
    for words in ("95 % confidence interval", "mIoU", "Parsing Covering", "Boundary PQ", "mask AP", "small", "missed"):
        assert words in out


def test_shards_saved_in_states_give_the_whole(run, files, tmp_path):
    options = files.options()
    whole = run("evaluate", *options, "--json", tmp_path / "whole.json")
    for part in ("1/3", "3/3", "2/3"):
        assert run("evaluate", *options, "--shard", part, "--state", tmp_path / f"{part[0]}.jsonl")[0] == 0
    code, out, _ = run("evaluate", "--state", tmp_path / "2.jsonl")
    assert code == 0 and "a part: 5 of 16 images" in out
    states = [word for k in "231" for word in ("--state", tmp_path / f"{k}.jsonl")]
    code, out, _ = run("evaluate", *states, "--json", tmp_path / "merged.json", "--by", "scene")
    assert code == 0 and whole[1].splitlines() == out.splitlines()[: len(whole[1].splitlines())]
    merged = json.loads((tmp_path / "merged.json").read_text())
    slices = merged.pop("by")
    whole = json.loads((tmp_path / "whole.json").read_text())
    assert merged.pop("command") != whole.pop("command") and merged == whole
    assert {value: row["images"] for value, row in slices.items()} == {"day": 10, "night": 6}


def test_a_second_run_with_the_same_state_counts_nothing_again(run, files, tmp_path):
    options = [*files.options(), "--state", tmp_path / "s.jsonl"]
    first = run("evaluate", *options)
    before = (tmp_path / "s.jsonl").read_bytes()
    for path in files.pred_dir.iterdir():
        # Other contents under the same size and time: were it read again, it would be no PNG.
        status = path.stat()
        path.write_bytes(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run("evaluate", *options)[1] == first[1]
    assert (tmp_path / "s.jsonl").read_bytes() == before


def test_changed_predictions_are_counted_again(run, files, tmp_path):
    options = [*files.options(), "--state", tmp_path / "s.jsonl"]
    run("evaluate", *options)
    first = files.pred_dir / files.pred["annotations"][2]["file_name"]
    Image.fromarray(np.asarray(Image.open(first))[:, ::-1]).save(first)
    code, out, err = run("evaluate", *options)
    assert code == 0 and "s.jsonl: files of 1 images were changed since; they are counted again" in err
    assert out == run("evaluate", *files.options())[1]
    assert len(load_state(tmp_path / "s.jsonl")) == 16


def test_outputs_are_written_before_anything_is_printed(files, tmp_path):
    """A reader that closes the pipe, as `head` does, loses no file."""
    options = [*files.options(), "--json", tmp_path / "out.json", "--report", tmp_path / "out.html"]
    code = "import os, sys; from tfpanoptic.cli import main; r, w = os.pipe(); os.close(r); os.dup2(w, 1); main()"
    done = subprocess.run([sys.executable, "-c", code, "evaluate", *map(str, options)], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["images"] == 16 and (tmp_path / "out.html").is_file()


def test_names_outside_the_terminals_letters_are_printed_as_they_can_be(files):
    files.gt["categories"][0]["name"] = "Fußgänger"
    code = "from tfpanoptic.cli import main; main()"
    command = [sys.executable, "-c", code, "evaluate", *map(str, files.options())]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and b"Fu?g?nger" in done.stdout


def test_an_unknown_column_is_told_before_the_work(run, files):
    code, _, err = run("evaluate", *files.options(), "--by", "kind")
    assert code == 2 and "column 'kind': no image has it; found scene" in err and "evaluate 16" not in err


def test_photos_in_the_report_are_found_or_counted(run, files, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    code, _, err = run("evaluate", *files.options(), "--images", tmp_path / "nowhere", "--report", tmp_path / "r.html")
    assert code == 2 and "nowhere: no such folder; expected the photos" in err
    (photos / "03.jpg").write_bytes(b"no photo")
    code, _, err = run("evaluate", *files.options(), "--images", photos, "--report", tmp_path / "r.html")
    assert code == 0 and "no photo of 15 of 16 images, first 00.jpg" in err
    assert "03.jpg: not an image that can be read; shown without its photo" in err


def test_a_shard_takes_its_part_of_separate_instances(run, files, tmp_path):
    (tmp_path / "results.json").write_text("[]")
    code, out, err = run("evaluate", *files.options(), "--shard", "2/4", "--instances", tmp_path / "results.json")
    assert code == 0 and "holds no detection" in err and "mask AP" in out


def test_an_output_that_is_an_input_or_another_output_is_refused(run, files, tmp_path):
    options = files.options()
    before = (files.folder / "gt.json").read_bytes()
    code, _, err = run("evaluate", *options, "--json", files.folder / "gt.json")
    assert code == 2 and "gt.json: is read by this evaluation" in err
    code, _, err = run("evaluate", *options, "--json", tmp_path / "x", "--state", tmp_path / "x")
    assert code == 2 and "x: given for two outputs" in err
    assert (files.folder / "gt.json").read_bytes() == before


def test_shifted_category_ids_are_suspected(run, files):
    for annotation in files.pred["annotations"]:
        for segment in annotation["segments_info"]:
            segment["category_id"] = {3: 200, 7: 90, 20: 21, 21: 20, 90: 7, 200: 3}[segment["category_id"]]
    code, out, _ = run("evaluate", *files.options())
    assert code == 0 and ("no segment matches" in out) == (" 0.0 " in out.splitlines()[1])


def test_missing_predictions_end_it_unless_allowed(run, files):
    files.pred["annotations"].pop()
    code, _, err = run("evaluate", *files.options())
    assert code == 2 and "no prediction for 1 of 16 images, first 15.jpg; --allow-missing" in err
    code, out, err = run("evaluate", *files.options(), "--allow-missing")
    assert code == 0 and "1 images without a prediction" in err and "1 of 16 images had no prediction" in out


def test_a_runs_evaluation_has_a_state_that_is_continued(run, tiny_run, tmp_path, monkeypatch):
    from tfpanoptic.data.sets import nuclei
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
        (
            ["run", "--workers", "2"],
            "--workers, --allow-missing, --subset, --instances and --gt-instances are for files",
        ),
        (["run", "--pred", "a"], "a run folder makes its own predictions"),
        (["--state", "no.jsonl"], "no.jsonl: no such file"),
        (["--state", "no.jsonl", "--shard", "1/2"], "--state alone reads saved counters"),
        (["--pred", "a", "--pred-dir", "a", "--gt", "b", "--gt-dir", "b", "--state", "a", "--state", "b"], "give one"),
        (["--pred-dir", "a", "--gt-dir", "b", "--format", "cityscapes"], "b: cannot list this folder (No such file"),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(run, options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("evaluate", *options)
    assert code == 2 and words in err and len(err.splitlines()) == 1


def test_a_shard_without_an_image_is_told(run, files):
    code, _, err = run("evaluate", *files.options(), "--shard", "17/17")
    assert code == 2 and "--shard '17/17': no image in it, there are only 16" in err


def test_scores_that_ap_lacks_are_noted(run, files):
    del files.pred["annotations"][0]["segments_info"][0]["score"]
    code, _, err = run("evaluate", *files.options(), "--also", "ap")
    assert code == 0 and "AP: 1 predicted segments or images have no score, taken as 1" in err


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "²/3"])
def test_a_wrong_shard_is_told(run, files, shard):
    code, _, err = run("evaluate", *files.options(), f"--shard={shard}")
    assert code == 2 and f"--shard {shard!r}: expected I/N" in err


def test_void_is_told_and_counts_as_background_on_request(run, tmp_path):
    """One nucleus and no background in the truth; the prediction finds it and five more: PQ 1 or 1 / (1 + 5 / 2)."""
    ids = np.zeros((8, 64), np.int32)
    ids[:, :32] = np.repeat(np.arange(8), 4)  # void and 1..7
    sides = {"gt": np.where(ids == 1, 1, 0), "pred": np.where(ids < 7, ids, 0)}
    for side, values in sides.items():
        rows = [
            {"id": i, "category_id": 1, "area": int((values == i).sum())}
            for i in np.unique(values[values > 0]).tolist()
        ]
        (tmp_path / side).mkdir()
        Image.fromarray(ids_to_rgb(values)).save(tmp_path / side / "a.png")
        lists = {
            "images": [{"id": 1, "file_name": "a.jpg", "height": 8, "width": 64}],
            "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": rows}],
            "categories": [{"id": 1, "name": "nucleus", "isthing": 1}],
        }
        (tmp_path / f"{side}.json").write_text(json.dumps(lists))
    options = [
        word for side in sides for word in (f"--{side}", tmp_path / f"{side}.json", f"--{side}-dir", tmp_path / side)
    ]
    _, out, _ = run("evaluate", *options)
    assert "passed over: 93.8 % of the truth is void; 5 of 6 predicted segments lie mostly in void" in out
    assert out.splitlines()[1].split()[:2] == ["all", "100.0"]
    state, report = tmp_path / "s.jsonl", tmp_path / "r.html"
    code, out, _ = run("evaluate", *options, "--void-background", "--state", state, "--report", report)
    assert code == 0 and out.splitlines()[1].split()[:2] == ["all", "28.6"] and report.is_file()
    assert "not the official rules: void counts as background" in out and "passed over" not in out
    assert "not the official rules: void counts as background" in run("evaluate", "--state", state)[1]
    code, _, err = run("evaluate", *options, "--state", state)
    assert code == 2 and "an evaluation of other rules" in err


def test_label_maps_are_evaluated_without_a_json_of_segments(run, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps([{"id": 1, "name": "cell", "isthing": 1}]))
    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
        Image.fromarray(np.eye(8, dtype=np.uint8).repeat(4, 1)).save(tmp_path / side / "a.png")
    options = ["--format", "label-maps", "--gt-dir", tmp_path / "gt", "--pred-dir", tmp_path / "pred"]
    code, _, err = run("evaluate", *options)
    assert code == 2 and "label maps need --categories" in err
    code, out, _ = run("evaluate", *options, "--categories", tmp_path / "c.json", "--components")
    assert code == 0 and out.splitlines()[4].split() == ["cell", "100.0", "100.0", "100.0", "1", "0", "0"]
    code, _, err = run("evaluate", *options, "--categories", tmp_path / "c.json", "--json", tmp_path / "c.json")
    assert code == 2 and "c.json: is read by this evaluation" in err
    code, _, err = run("evaluate", *options[2:], "--components")
    assert code == 2 and "--categories and --components are for --format label-maps" in err


@pytest.mark.parametrize("output", ["--json", "--report"])
@pytest.mark.parametrize("read", ["gt/00.png", "pred/00.png", "photos/00.jpg", "link.json", "gt/../pred/00.png"])
def test_an_output_never_replaces_a_file_that_is_read(run, files, output, read):
    (files.folder / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(files.folder / "photos" / "00.jpg")
    (files.folder / "link.json").symlink_to(files.gt_dir / "01.png")
    options, before = files.options(), (files.folder / read).read_bytes()
    code, _, err = run(
        "evaluate",
        *options,
        "--images",
        files.folder / "photos",
        "--report",
        files.folder / "r.html",
        *(output, files.folder / read),
    )
    assert code == 2 and f"{read}: exists and is named as an image; expected another file to write" in err
    assert (files.folder / read).read_bytes() == before and not (files.folder / "r.html").exists()


def test_an_older_output_beside_the_files_is_replaced(run, files):
    for _ in range(2):
        assert run("evaluate", *files.options(), "--json", files.gt_dir / "numbers.json")[0] == 0


def test_a_state_never_replaces_a_file_that_is_read(run, tmp_path):
    """An empty text file is the result of an image without instances, and looks like a new state file."""
    write_cityscapes(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/aa_000000_000019_pred.txt").write_text("")
    for output in ("--state", "--json"):
        code, _, err = run(
            *("evaluate", "--format", "cityscapes", "--gt-dir", tmp_path / "gt", "--pred-dir", tmp_path / "pred"),
            *("--instances", tmp_path / "results", output, tmp_path / "results/aa_000000_000019_pred.txt"),
        )
        assert code == 2 and "_pred.txt: is read by this evaluation" in err
        assert (tmp_path / "results/aa_000000_000019_pred.txt").read_bytes() == b""


@pytest.mark.parametrize("content", [b"", b"mask.png 26 0.5\n", b"{}"])
@pytest.mark.parametrize("output", ["--json", "--report", "--state"])
def test_an_output_never_replaces_a_file_that_no_evaluation_wrote(run, tmp_path, output, content):
    write_cityscapes(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/aa_000000_000019_pred.txt").write_text("")
    beyond = tmp_path / "results/aa_000000_000020_pred.txt"  # of an image that the truth does not have
    beyond.write_bytes(content)
    code, _, err = run("evaluate", *cityscapes_options(tmp_path, "--instances", tmp_path / "results", output, beyond))
    assert code == 2 and f"{beyond}: " in err and beyond.read_bytes() == content


@pytest.mark.parametrize("output", ["--json", "--report"])
def test_an_older_output_and_an_empty_file_are_replaced(run, files, tmp_path, output):
    (tmp_path / "made").touch()
    options = [*files.options(), output]
    for path in (tmp_path / "made", tmp_path / "made", files.pred_dir / "new", files.pred_dir / "new"):
        assert run("evaluate", *options, path)[0] == 0
    other = tmp_path / "other.json"
    other.write_text('{"images": []}')
    code, _, err = run("evaluate", *options, other)
    assert code == 2 and "other.json: exists and was not written by this command; expected another file" in err


def cityscapes_options(folder, *more):
    return ["--format", "cityscapes", "--gt-dir", folder / "gt", "--pred-dir", folder / "pred", *more]


@pytest.mark.parametrize("change", ["other pixels", "gone"])
def test_changed_masks_of_instances_are_counted_again(change, run, tmp_path):
    write_cityscapes(tmp_path)
    results = tmp_path / "results"
    results.mkdir()
    mask = np.zeros((20, 20), np.uint8)
    mask[:10, :10] = 255
    Image.fromarray(mask).save(results / "mask.png")
    (results / "aa_000000_000019_pred.txt").write_text("mask.png 26 0.9\n")
    options = cityscapes_options(tmp_path, "--instances", results, "--state", tmp_path / "s.jsonl")

    def ap():
        return json.loads((tmp_path / "o.json").read_text())["cityscapes_ap"]["ap"]

    assert run("evaluate", *options, "--json", tmp_path / "o.json")[0] == 0 and ap() == 1
    if change == "gone":
        (results / "mask.png").unlink()
        code, _, err = run("evaluate", *options)
        assert code == 2 and "mask.png: no such file" in err
    else:
        Image.fromarray(np.zeros_like(mask)).save(results / "mask.png")
        code, _, err = run("evaluate", *options, "--json", tmp_path / "o.json")
        assert code == 0 and "files of 1 images were changed since; they are counted again" in err and ap() == 0


@pytest.mark.parametrize("linked", ["gt/aa", "pred", "pred/deep", "results/aa"])
def test_linked_folders_of_cityscapes_are_followed(linked, run, tmp_path):
    prediction = write_cityscapes(tmp_path)
    (tmp_path / "pred/deep").mkdir()
    prediction.rename(tmp_path / "pred/deep" / prediction.name)
    (tmp_path / "results/aa").mkdir(parents=True)
    (tmp_path / "results/aa/aa_000000_000019_pred.txt").write_text("")
    (tmp_path / linked).rename(tmp_path / "store")
    (tmp_path / linked).symlink_to(tmp_path / "store")
    (tmp_path / "gt/again").symlink_to(tmp_path / "gt")  # a circle
    options = cityscapes_options(tmp_path, "--instances", tmp_path / "results", "--json", tmp_path / "o.json")
    code, _, err = run("evaluate", *options)
    assert code == 0, err
    assert json.loads((tmp_path / "o.json").read_text())["pq"]["all"]["pq"] == 1


def write_cities(folder, predict, images=3):
    """Images of road, vegetation, building and a car; predictions of them as `predict(truth, image)` gives them."""
    truth = np.full((20, 20), 7, np.uint16)
    truth[:8], truth[8:10], truth[12:16, :5] = 21, 11, 26001
    for number in range(images):
        name = f"aa_000000_{number:06d}"
        for path, ids in ((f"gt/{name}_gtFine_instanceIds.png", truth), (f"pred/{name}.png", predict(truth, number))):
            (folder / path).parent.mkdir(exist_ok=True)
            Image.fromarray(ids.astype(np.uint16)).save(folder / path)


def test_train_ids_are_suspected_over_all_images_where_none_alone_tells(run, tmp_path):
    def poor(truth, number):
        """Half of the vegetation of the first image and the car of the last are right; the rest is void, 19."""
        ids = np.full(truth.shape, 19)
        ids[:4] = 8 if number == 0 else 19
        ids[truth == 26001] = 13 if number == 2 else 19
        return ids

    write_cities(tmp_path, poor)
    code, out, _ = run("evaluate", *cityscapes_options(tmp_path), "--json", tmp_path / "n.json")
    assert code == 0 and "look like train ids, which agree with the truth in 100% of the pixels" in out
    assert json.loads((tmp_path / "n.json").read_text())["train_ids"] == {"as_train_ids": 1.0, "as_label_ids": 0.0}


@pytest.mark.parametrize("predicted", [None, 7, 8, 11, 0])
def test_label_ids_are_not_suspected(predicted, run, tmp_path):
    """All is right, or one label everywhere, as of a model that learnt nothing; as a train id 8 is vegetation."""
    write_cities(tmp_path, lambda truth, _: truth if predicted is None else np.full(truth.shape, predicted))
    code, out, _ = run("evaluate", *cityscapes_options(tmp_path), "--json", tmp_path / "n.json")
    assert code == 0 and "train ids" not in out and "train_ids" not in json.loads((tmp_path / "n.json").read_text())


def test_the_numbers_have_the_quality_of_each_image(run, files, tmp_path):
    assert run("evaluate", *files.options(), "--json", tmp_path / "o.json")[0] == 0
    found = json.loads((tmp_path / "o.json").read_text())
    assert [(row["image_id"], row["file_name"]) for row in found["per_image"]] == [
        (image["id"], image["file_name"]) for image in sorted(files.gt["images"], key=lambda image: image["file_name"])
    ]
    for key in ("tp", "fp", "fn"):
        assert sum(row[key] for row in found["per_image"]) == sum(
            row[key] for row in found["pq"]["per_category"].values()
        )


@pytest.mark.parametrize("suffix", [".ppm", ".jp2", ".html", ""])
@pytest.mark.parametrize("shard", [[], ["--shard", "2/2"]])
def test_a_report_never_replaces_a_photo_whatever_its_suffix(run, files, tmp_path, suffix, shard):
    files.gt["images"][0]["file_name"] = f"photo{suffix}"  # of the first shard
    photo = tmp_path / "photos" / f"photo{suffix}"
    photo.parent.mkdir()
    photo.write_bytes(b"a photo")
    options = [*files.options(), *shard, "--images", photo.parent]
    for output in ("--report", "--json", "--state"):
        code, _, err = run("evaluate", *options, output, photo)
        assert code == 2 and f"photo{suffix}: " in err and "expected another file to write" in err
        assert photo.read_bytes() == b"a photo"


@pytest.mark.parametrize("output", ["--json", "--report", "--state"])
def test_an_output_never_replaces_an_image_that_only_another_call_reads(run, files, tmp_path, output):
    options, second = files.options(), files.gt_dir / files.gt["annotations"][1]["file_name"]
    beyond, link = files.pred_dir / "deep" / "beyond.TIF", tmp_path / "link.json"
    beyond.parent.mkdir()
    beyond.write_bytes(b"no prediction of this truth")
    link.symlink_to(beyond)
    for path, more in ((second, ["--shard", "1/2"]), (beyond, ["--subset"]), (link, ["--subset"])):
        before = path.read_bytes()
        code, _, err = run("evaluate", *options, *more, output, path)
        assert code == 2 and path.name in err and "expected another file to write" in err
        assert path.read_bytes() == before
    assert run("evaluate", *options, "--json", files.pred_dir / "new.png")[0] == 0  # replaces nothing


def test_an_output_never_replaces_an_instance_map_that_components_leave_unread(run, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps([{"id": 1, "name": "cell", "isthing": 1}]))
    for part in ("gt/semantic", "gt/instance", "pred/semantic", "pred/instance"):
        (tmp_path / part).mkdir(parents=True)
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / part / "a.png")
    options = ["--format", "label-maps", "--gt-dir", tmp_path / "gt", "--pred-dir", tmp_path / "pred", "--components"]
    options += ["--categories", tmp_path / "c.json"]
    before = (tmp_path / "gt/instance/a.png").read_bytes()
    code, _, err = run("evaluate", *options, "--json", tmp_path / "gt/instance/a.png")
    assert code == 2 and "a.png: exists and is named as an image" in err
    assert (tmp_path / "gt/instance/a.png").read_bytes() == before


def test_a_shard_without_a_value_of_the_column_is_sliced_later(run, files, tmp_path):
    for place, image in enumerate(files.gt["images"]):
        image.update({"kind": "a"} if place % 4 == 0 else {})
    options, states = [*files.options(), "--by", "kind"], []
    for shard in ("1/2", "2/2"):
        state = tmp_path / f"{shard[0]}.jsonl"
        code, out, _ = run("evaluate", *options, "--shard", shard, "--state", state)
        assert code == 0 and "(no value)" in out
        assert run("evaluate", "--state", state, "--by", "kind")[0] == 0
        states += ["--state", state]
    assert run("evaluate", *states, "--by", "kind", "--json", tmp_path / "o.json")[0] == 0
    slices = json.loads((tmp_path / "o.json").read_text())["by"]
    assert {value: row["images"] for value, row in slices.items()} == {"a": 4, "(no value)": 12}
    code, _, err = run("evaluate", *states, "--by", "kidn")
    assert code == 2 and "column 'kidn': no image has it; found kind" in err
    code, _, err = run("evaluate", *files.options(), "--by", "kidn", "--shard", "2/2")
    assert code == 2 and "column 'kidn': no image has it; found kind" in err


def test_a_category_to_ignore_is_the_same_by_name_and_by_id(run, files, tmp_path):
    first, second = files.gt["categories"][:2]
    ways = ([first["id"], second["name"]], [second["id"], first["name"]])
    for way in ways:  # the second goes on with the state of the first
        ignored = [word for each in way for word in ("--ignore", each)]
        code, out, err = run("evaluate", *files.options(), *ignored, "--state", tmp_path / "s.jsonl")
        assert code == 0 and "ignored, void in the truth" in out, err


def test_frames_of_one_name_have_their_own_name_in_the_numbers_and_their_photo(run, files, tmp_path):
    for image in files.gt["images"][:2]:
        image["file_name"] = "frame.jpg"
    (tmp_path / "photos").mkdir()
    options = [*files.options(), "--images", tmp_path / "photos", "--state", tmp_path / "s.jsonl"]
    (tmp_path / "photos/frame.jpg").write_bytes(b"a photo")
    code, _, err = run("evaluate", *options, "--json", tmp_path / "o.json")
    assert code == 0 and "no photo of 14 of 16 images" in err
    assert run("evaluate", "--state", tmp_path / "s.jsonl", "--json", tmp_path / "again.json")[0] == 0
    names = {image["id"]: image["file_name"] for image in files.gt["images"]}
    for name in ("o.json", "again.json"):
        rows = json.loads((tmp_path / name).read_text())["per_image"]
        assert {row["image_id"]: row["file_name"] for row in rows} == names


def test_pixel_areas_are_counted_where_the_json_has_none(run, files, tmp_path):
    segments = [segment for annotation in files.gt["annotations"] for segment in annotation["segments_info"]]
    for segment in segments:
        del segment["area"]
    code, _, err = run("evaluate", *files.options())
    assert code == 2 and "lacks area; --pixel-areas counts its pixels instead" in err
    assert run("evaluate", *files.options(), "--pixel-areas", "--json", tmp_path / "o.json")[0] == 0
    files.write_pixel_areas()
    assert run("evaluate", *files.options(), "--json", tmp_path / "official.json")[0] == 0
    found, official = (json.loads((tmp_path / name).read_text())["pq"] for name in ("o.json", "official.json"))
    assert found == official
