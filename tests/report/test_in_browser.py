"""The report in headless Chromium."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.scenes import segments
from tests.report.pages import Page, evaluated
from tfpanoptic.data.dataset import read_record_image, read_segment_map
from tfpanoptic.data.sets.nuclei import nuclei
from tfpanoptic.report import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def browse(page, folder, *options, address=""):
    """What the browser wrote to standard output, its console's lines, and what the page asked of the network."""
    log = folder / "net.json"
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
        *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"),
        *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--virtual-time-budget=4000", *options),
        f"file://{page}{address}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    # Requests of the browser itself have no origin.
    events = [event.get("params", {}) for event in json.loads(log.read_text(encoding="utf-8"))["events"]]
    asked = [e["url"] for e in events if "url" in e and e.get("initiator") not in (None, "not an origin")]
    return done.stdout, console, asked


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on this machine")
def test_report_works_in_a_browser_without_a_network(tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/a.png'><script>missing()</script>", encoding="utf-8")
    _, console, asked = browse(bad, tmp_path, "--dump-dom")
    assert "missing is not defined" in console[0] and "http://127.0.0.1:9/a.png" in asked  # the checks below see these

    dataset = nuclei("val")
    records = {record.file_name: record for record in dataset.records[:4]}
    pairs = {}
    for name, record in records.items():
        truth = read_segment_map(record)
        shifted = np.roll(truth.ids, 4, axis=1)
        pairs[name] = truth, segments(shifted, dict(truth.segments[["id", "category"]].tolist()))
    page = tmp_path / "report.html"
    evaluation = evaluated(pairs, categories=dataset.categories)
    write_report(page, evaluation, "nuclei", lambda name: (read_record_image(records[name]), *pairs[name]), worst=3)

    content, console, asked = browse(page, tmp_path, "--dump-dom", address="#categories:pq:down")
    found = Page(content)
    assert found.all("html")[0]["data-script"] == "ready"
    qualities = [float(row["pq"]["value"]) for row in found.tables["categories"]]
    assert qualities == sorted(qualities, reverse=True)  # in the file the worst is the first
    assert "descending" in [head.get("aria-sort") for head in found.all("th") if head["data-key"] == "pq"]
    assert (console, asked) == ([], [])

    picture = tmp_path / "screen.png"
    for width, height in ((1280, 4000), (390, 6000)):
        _, console, asked = browse(page, tmp_path, f"--screenshot={picture}", f"--window-size={width},{height}")
        assert (console, asked) == ([], [])
        screen = np.asarray(Image.open(picture).convert("RGB"))
        assert screen.shape == (height, width, 3)
        colors, counts = np.unique(screen.reshape(-1, 3), axis=0, return_counts=True)
        # Paper is most of it, and photos are the only things with many colours.
        assert counts.max() < 0.8 * counts.sum() and len(colors) > 5000
