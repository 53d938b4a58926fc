"""Small evaluations, their reports, and a report as a browser would read it."""

from html.parser import HTMLParser

from tests.evaluation.scenes import TABLE, random_pair
from tfpanoptic.evaluation.measures import FAST, measure_pairs
from tfpanoptic.evaluation.measures.matching import pair_segments
from tfpanoptic.evaluation.state import Evaluation, ImageCounts
from tfpanoptic.report import write_report


class Page(HTMLParser):
    """What a browser finds in the page: elements, texts, and the tables' cells by their column's key."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.texts, self.tables = [], [], {}
        self._open = []
        self.feed(content)
        self.text = " ".join("".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.elements.append((tag, found))
        self._open.append(tag)
        if tag == "table":
            self.keys, self.rows = [], self.tables.setdefault(found["id"], [])
        elif tag == "th":
            self.keys.append(found["data-key"])
        elif tag == "tr" and "tbody" in self._open:
            self.rows.append({})
        elif tag == "td":
            self.cell = {"value": found.get("data-v"), "text": ""}
            self.rows[-1][self.keys[len(self.rows[-1])]] = self.cell

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if "td" in self._open:
            self.cell["text"] += data
        if not {"style", "script"} & set(self._open):
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def evaluated(pairs, measures=FAST, categories=TABLE, columns=None):
    """The evaluation of {name: (truth, prediction)}."""
    images = {
        name: ImageCounts(
            name,
            measure_pairs(pair_segments(*pair, len(categories)), categories, measures),
            (columns or {}).get(name, {}),
        )
        for name, pair in pairs.items()
    }
    return Evaluation(categories, measures, "", images)


def random_set(count=6, **given):
    pairs = {f"{seed}.png": random_pair(seed) for seed in range(count)}
    return evaluated(pairs, **given), lambda name: (None, *pairs[name])


def written(path, evaluation, scenes=None, title="a model", worst=12):
    write_report(path, evaluation, title, scenes, worst)
    return path.read_text(encoding="utf-8")


def percent(fraction):
    return "–" if fraction is None else f"{100 * fraction:.1f}"
