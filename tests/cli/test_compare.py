import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tfpanoptic.categories import Category, CategoryTable
from tfpanoptic.cli.compare import compare
from tfpanoptic.errors import InputError
from tfpanoptic.evaluation.measures.attribution import IMPRECISE
from tfpanoptic.evaluation.state import Evaluation, ImageCounts
from tfpanoptic.evaluation.state_file import StateFile

TABLE = CategoryTable((Category(1, "car[/]", True, (0, 0, 1), 1), Category(2, "sky", False, (0, 0, 2), 2)))
CAR, SKY = 1, 2


def write_state(path, images, measures=("pq", "causes")):
    """State file of {image: [(category, IoU of its one match)]}."""
    with StateFile(path, Evaluation(TABLE, measures)) as file:
        for name, matches in images.items():
            rows = {
                "pq": np.array([(c, iou, 1, 0, 0) for c, iou in matches], float),
                "causes": np.array([(c, IMPRECISE, iou, 1, 0, 0) for c, iou in matches], float),
            }
            file.append(ImageCounts(name, {m: rows[m] for m in measures}, missing=name == "img[/]2"))
    return path


@pytest.fixture
def states(tmp_path):
    """B gains 0.02 on every car; A alone has the image `extra`."""
    a = {f"img[/]{n}": [(CAR, 0.6 + 0.05 * n), (SKY, 0.9)] for n in range(4)}
    b = {name: [(CAR, car[1] + 0.02), sky] for name, (car, sky) in a.items()}
    return write_state(tmp_path / "a.state", {**a, "extra": [(CAR, 0.6)]}), write_state(tmp_path / "b.state", b)


def call(*arguments):
    app = typer.Typer()
    app.command()(compare)
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "120"})


def line_of(output, *starts):
    return next(line.split() for line in output.splitlines() if line.split()[: len(starts)] == list(starts))


def test_the_verdict_comes_first_and_the_numbers_are_in_points(states):
    result = call(*states)
    assert result.exit_code == 0, result.output
    # Cars 0.675 and 0.695, sky 0.9 in both: the mean gains 1 point in every draw.
    lines = result.output.splitlines()
    assert lines[0] == "B is better by 1.00 points of PQ, 95 % interval 1.00 to 1.00"
    assert line_of(result.output, "all", "PQ")[2:] == ["78.75", "79.75", "+1.00", "+1.00", "to", "+1.00", "0.002"]
    assert line_of(result.output, "stuff", "RQ")[2:] == ["100.00", "100.00", "+0.00", "+0.00", "to", "+0.00", "1"]
    assert line_of(result.output, "car[/]")[1:] == ["4", "67.50", "69.50", "+2.00", "+2.00", "to", "+2.00", "0.002"]
    # Each image of four: the car's 0.02 by 4 images by 2 categories.
    assert line_of(result.output, "img[/]0") == ["img[/]0", "6.250", "6.000", "+0.250"]
    assert line_of(result.output, "matches,", "but")[4:] == ["21.250", "20.250", "+1.000"]


def test_what_the_numbers_mean_and_which_images_they_are_of_is_said(states):
    output = " ".join(call(*states).output.split())
    assert "B - A of 95 % of 1000 draws of as many images" in output and "not what another training would" in output
    assert "4 images in both; 1 only in A, left out; 1 without a prediction in A, counted as missed" in output
    assert all(str(path) in output for path in states)


def test_all_numbers_go_into_the_json(states, tmp_path):
    result = call(*states, "--json", tmp_path / "out.json", "--resamples", 200, "--seed", 5, "--top", 2)
    assert result.exit_code == 0
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["a"], written["b"]) == tuple(map(str, states))
    assert (written["resamples"], written["seed"], len(written["images_moved"])) == (200, 5, 2)
    assert written["per_category"]["car[/]"]["pq"]["difference"] == pytest.approx(0.02)
    assert written["verdict"] in result.output


def test_equal_evaluations_without_causes_are_told_briefly(tmp_path):
    path = write_state(tmp_path / "a.state", {"x": [(CAR, 0.8)], "y": [(CAR, 0.7)]}, measures=("pq",))
    output = call(path, path).output
    assert output.startswith("no difference can be shown") and "moved most" not in output and "causes" not in output
    assert line_of(output, "stuff", "PQ")[2:] == ["-", "-", "-", "-", "-"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.state", "none.state"], "none.state: no such file"),
        (["a.state", "text"], "text: not a state file"),
        (["a.state", "other.state"], "other.state: no image is in both"),
        (["a.state", "a.state", "--resamples", "5"], "resamples: expected 100..10000, found 5"),
        (["a.state", "a.state", "--json", "."], "is a folder; expected a file to write"),
    ],
)
def test_a_wrong_input_is_one_line_that_names_the_file(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_state(tmp_path / "a.state", {"x": [(CAR, 0.8)]})
    write_state(tmp_path / "other.state", {"y": [(CAR, 0.8)]})
    (tmp_path / "text").write_text("hello\n")
    result = call(*arguments)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception) and "\n" not in str(result.exception)


def test_the_numbers_never_replace_a_state(states):
    a, b = states
    before = a.read_bytes()
    result = call(a, b, "--json", a)
    assert isinstance(result.exception, InputError) and "is read by this comparison" in str(result.exception)
    assert a.read_bytes() == before


def test_the_numbers_replace_nothing_but_older_ones(states, tmp_path):
    for _ in range(2):
        assert call(*states, "--json", tmp_path / "out.json", "--resamples", 200).exception is None
    (tmp_path / "other.json").write_text('{"images": []}')
    result = call(*states, "--json", tmp_path / "other.json")
    assert isinstance(result.exception, InputError) and "was not written by this command" in str(result.exception)
    assert (tmp_path / "other.json").read_text() == '{"images": []}'
