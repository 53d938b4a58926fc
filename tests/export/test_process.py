"""How a worker ends is one line. The workers here are small modules of the test's own."""

import json
import sys

import pytest

from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export.process import run_worker
from tfpanoptic.export.worker import Job

JOB = Job(format="saved_model", path="runs/model", images=["a.png"], calls=1)

ENDS = {
    "crash": ("raise RuntimeError('no kernel for this operator')", "failed: RuntimeError: no kernel for this operator"),
    "signal": ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL, as systems do when memory runs out"),
    "silent": ("import os; os._exit(3)", "ended with code 3"),
    "told": ("answer({'work_failed': 'no room for tensors'})", "failed: no room for tensors"),
    "no memory": ("answer({'out_of_memory': True})", "had too little memory"),
}
ANSWER = """
import json, pathlib, sys
job = pathlib.Path(sys.argv[1])
def answer(content):
    (job.parent / "answer.json").write_text(json.dumps(content))
"""


@pytest.fixture
def worker(tmp_path):
    """Runs a job by a worker of the given code."""

    def run(code, job=JOB):
        (tmp_path / "own_worker.py").write_text(ANSWER + code)
        (tmp_path / "job").mkdir()
        return run_worker(job, tmp_path / "job", "own_worker", {"PYTHONPATH": str(tmp_path)})

    return run


@pytest.mark.parametrize("case", ENDS)
def test_the_end_of_a_worker_is_one_line(case, worker):
    code, words = ENDS[case]
    with pytest.raises(WorkFailed) as error:
        worker(code)
    assert str(error.value) == f"runs/model: the process that runs it as saved_model {words}"


def test_what_the_person_gave_wrong_is_told_as_such(worker):
    with pytest.raises(InputError, match=r"a\.png: not an image"):
        worker("answer({'input_error': 'a.png: not an image'})")


def test_the_answer_comes_back(worker):
    code = "print(1); answer({'calls': json.loads(job.read_text())['calls'], 'path': sys.path[0]})"
    answer = worker(code)
    assert answer["calls"] == 1
    assert answer["path"] != ""  # modules of the present folder are not taken for others


def test_workers_of_a_run_import_no_runtime_before_the_artefact_is_opened():
    import subprocess

    code = (
        "import sys, tfpanoptic.export.worker;"
        "print(sorted({'tensorflow', 'keras', 'ai_edge_litert', 'onnxruntime'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    assert json.loads(JOB.to_json())["images"] == ["a.png"]
