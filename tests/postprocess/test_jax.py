"""Post-processing on JAX, in a process where importing TensorFlow fails."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("jax")
FIXTURE = Path(__file__).parents[1] / "fixtures" / "postprocess" / "panoptic_deeplab.npz"
SCRIPT = """
    import sys
    sys.modules["tensorflow"] = None
    import jax
    import numpy as np
    from tfpanoptic.postprocess.centers import group_and_merge
    reference = np.load(sys.argv[1])
    threshold, divisor, stuff_area, _, kernel, count = reference["2/params"].tolist()
    things = tuple(reference["thing_ids"].tolist())
    group = jax.jit(lambda *maps: group_and_merge(
        *maps, things, 133, threshold, int(kernel), int(count), int(stuff_area)))
    made = group(
        reference["2/semantic"].astype(np.int32)[None],
        reference["2/heatmap"].astype(np.float32)[None],
        reference["2/offset"].astype(np.float32)[None],
    )
    ours = np.concatenate([[0], np.asarray(made["labels"])[0]])[np.asarray(made["segment_ids"])[0]]
    theirs = reference["2/panoptic"]
    assert (ours // 10_000 == theirs // int(divisor)).all()
    pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1).shape[1]
    assert pairs == len(np.unique(ours)) == len(np.unique(theirs))
    print("same")
"""


def test_segments_on_jax_equal_those_of_deeplab2():
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(FIXTURE)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert run.stdout.strip() == "same", run.stderr[-2000:]
