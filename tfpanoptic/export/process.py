"""A worker as seen by the process that starts it: a job goes in, the answer or one clear line comes out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tfpanoptic
from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.export.worker import Job
from tfpanoptic.progress import progress

WORKER = "tfpanoptic.export.worker"
# Lines of a worker's standard error that are looked at for the reason of its end.
_READ_BYTES = 20_000


def run_worker(
    job: Job, folder: Path, module: str = WORKER, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Runs a job in a process of its own.

    Args:
        job: what to do.
        folder: empty; gets the job, the answer and the segment maps.
        module: what is run, as `python -m`.
        environment: variables beside the present ones.

    Returns:
        What `worker.run_job` says.

    Raises:
        InputError: a file cannot be read, or the runtime is not installed.
        WorkFailed: the process crashed, was killed or had too little memory.
    """
    path = folder / "job.json"
    path.write_text(job.to_json(), encoding="utf-8")
    who = f"{job.path}: the process that runs it as {job.format}"
    with tempfile.TemporaryFile() as errors, progress(f"run {job.format}", job.calls) as track:
        process = subprocess.Popen(
            # -P: the present folder may hold files of the names of modules.
            [sys.executable, "-P", "-m", module, str(path)],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **_found(), **(environment or {})},
        )
        try:
            for _ in process.stdout or ():
                track.advance()
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        errors.seek(max(errors.tell() - _READ_BYTES, 0))
        said = errors.read().decode(errors="replace")
    if code:
        raise WorkFailed(f"{who} {_end(code, said)}")
    answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    if "input_error" in answer:
        raise InputError(answer["input_error"])
    if "work_failed" in answer:
        raise WorkFailed(f"{who} failed: {answer['work_failed']}")
    if "out_of_memory" in answer:
        raise WorkFailed(f"{who} had too little memory")
    return answer


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _found() -> dict[str, str]:
    """Where the package is found, whatever this process was told on the way."""
    places = [str(Path(tfpanoptic.__file__).parents[1]), os.environ.get("PYTHONPATH")]
    return {"PYTHONPATH": os.pathsep.join(place for place in places if place)}


def _end(code: int, said: str) -> str:
    """How a process ended, in one line."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        hint = ", as systems do when memory runs out" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return f"failed: {lines[-1][:500]}" if lines else f"ended with code {code}"
