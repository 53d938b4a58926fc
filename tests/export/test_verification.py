"""What is asked of an export, on numbers made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tfpanoptic.errors import WorkFailed
from tfpanoptic.export.verification import Latency, Limits, Verification
from tfpanoptic.export.verification_table import notes, remove_report, report_paths, write_report


def quality(pq):
    group = {"pq": pq, "sq": pq, "rq": 1.0, "n": 2}
    return {"all": group, "things": group, "stuff": group, "per_category": {}}


def verification(**changes):
    latency = Latency.of([0.1, 0.2, 0.3], 1.5)
    found = Verification(
        artefact="model.tflite",
        format="litert",
        options={},
        images=40,
        size=None,
        shrunk=0,
        padded=0,
        model_pq=quality(0.80),
        pq=quality(0.80),
        agreement=quality(0.9995),
        agreement_alike=quality(0.9995),
        score_difference=0.0,
        model_latency=latency,
        latency=latency,
        open_seconds=0.5,
        threads=2,
        model_bytes=4_000_000,
        bytes=2_000_000,
        memory_opened=None,
        memory_peak=300_000_000,
        limits=Limits.of("none", None, True, 40, 40),
        runtime={"ai_edge_litert": "2.3.0"},
        packages={},
        machine={"cpu": "CPU", "cores": 2, "system": "Linux", "python": "3.12", "model_device": "CPU"},
        date="2026-01-01",
    )
    return replace(found, **changes)


# Precision, the drop that is given, truth, images seen alike of 4 -> agreement, mean difference of scores, drop.
LIMITS = {
    "float32": (("none", None, True, 4), (0.999, 1e-3, None)),
    "float32 with a drop": (("none", 0.01, True, 4), (0.999, 1e-3, 0.01)),
    "float16": (("float16", None, True, 4), (0.99, 1e-2, None)),
    "int8": (("int8", None, True, 4), (None, None, 0.02)),
    "dynamic": (("dynamic", None, True, 4), (None, None, 0.02)),
    "int8 with a drop": (("int8", 0.1, True, 4), (None, None, 0.1)),
    "int8 without truth": (("int8", None, False, 4), (None, None, None)),
    "float32 without truth": (("none", None, False, 4), (0.999, 1e-3, None)),
    "some in another size": (("none", None, True, 3), (0.999, 1e-3, 0.02)),
    "all in another size": (("none", None, True, 0), (None, None, 0.02)),
}


@pytest.mark.parametrize("case", LIMITS)
def test_the_limits_follow_from_precision_truth_and_size(case):
    (quantize, max_drop, truth, alike), expected = LIMITS[case]
    assert Limits.of(quantize, max_drop, truth, alike, 4) == Limits(*expected)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agreement_alike": quality(0.9985)}, "agreement with the model is PQ 0.9985, expected 0.999 at least"),
        ({"score_difference": 0.002}, "scores differ by 2.0e-03 on average, expected 1e-03 at most"),
        ({"score_difference": float("nan")}, "scores differ by nan"),
        ({"pq": quality(0.77), "limits": Limits(None, None, 0.02)}, "PQ drops by 0.0300, expected 0.02 at most"),
        ({"pq": quality(None), "limits": Limits(None, None, 0.02)}, None),
        ({"pq": quality(0.79), "limits": Limits(None, None, 0.02)}, None),
        ({"pq": quality(0.85), "limits": Limits(None, None, 0.0)}, None),  # better than the model
        ({"agreement_alike": quality(None)}, None),  # neither finds a segment
        ({"agreement": quality(0.5), "shrunk": 20}, None),  # what is shrunk does not count
    ],
)
def test_a_failure_names_what_is_not_good_enough(changes, words):
    found = verification(**changes)
    assert found.passed == (words is None)
    if words is None:
        found.require()
    else:
        with pytest.raises(WorkFailed, match=f"model.tflite: is not the model: .*{words}"):
            found.require()


def test_percentiles_are_of_the_timed_calls():
    # 1..100 ms: the median lies between 50 and 51, p95 at 1 + 0.95 * 99 = 95.05.
    latency = Latency.of(np.arange(1, 101) / 1000, 9.0)
    assert latency.median == pytest.approx(0.0505) and latency.p95 == pytest.approx(0.09505)
    assert latency.first == 9.0 and latency.calls == 100


def test_the_report_stands_beside_the_export_and_goes_with_it(tmp_path):
    found = verification(artefact=str(tmp_path / "model.tflite"), pq=quality(0.77), limits=Limits(None, None, 0.02))
    write_report(found)
    json_path, markdown = report_paths(tmp_path / "model.tflite")
    assert (json_path.name, markdown.name) == ("model.tflite.verify.json", "model.tflite.verify.md")
    content = json.loads(json_path.read_text())
    assert content["drop"] == pytest.approx(0.03) and content["passed"] is False and len(content["failures"]) == 1
    text = markdown.read_text()
    for row in ("| PQ | 80.0 | 77.0 |", "| PQ lost, points |  | 3.00 |", "| latency, median | 200 ms | 200 ms |"):
        assert row in text
    assert "- FAILED: PQ drops by 0.0300" in text
    remove_report(tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


def test_a_fixed_size_is_told_with_what_it_does_to_the_photos():
    told = "\n".join(notes(verification(size=(256, 256), shrunk=3, padded=1)))
    assert "the export's size is 256 x 256; 3 of 40 images were shrunk and 1 got more padding" in told
    assert "nothing was asked" in "\n".join(notes(verification(limits=Limits(None, None, None))))
