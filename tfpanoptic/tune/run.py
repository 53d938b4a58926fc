"""The tuning of a run: from its model and images with truth to the settings that are worth writing."""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfpanoptic.atomic import replace_file, require_file_place, require_older, require_unread
from tfpanoptic.data.dataset import Dataset
from tfpanoptic.doctor.sources import find_source
from tfpanoptic.errors import InputError, settings_of
from tfpanoptic.evaluation.compare import ROUNDING, compare
from tfpanoptic.evaluation.options import NUMBERS_MARK
from tfpanoptic.evaluation.pairs.coco import fingerprint
from tfpanoptic.evaluation.state import Evaluation
from tfpanoptic.experiment import Experiment
from tfpanoptic.predict.evaluate import matched_categories, truth_of_run
from tfpanoptic.progress import progress
from tfpanoptic.run_folder import CONTENTS, RunFolder
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.settings.tuned import SECTION, TunedSettings, override
from tfpanoptic.tune.descent import ROUNDS, Descent, Settings
from tfpanoptic.tune.options import TuneOptions, present_values, values_to_try
from tfpanoptic.tune.reset import own_run
from tfpanoptic.tune.stored_outputs import GB
from tfpanoptic.tune.trials import Trials, part_of, pq_of

# The counters of both halves are drawn again and again for an interval; fewer images give none.
LEAST_IMAGES = 4


@dataclass(frozen=True)
class Search:
    """The outcome of a search on one half of the images.

    Attributes:
        found: the best settings.
        before, after: counters of all images with the run's settings and with the best ones.
        sweep: as `Descent.sweep`, of the half that was tuned on.
        trials: number of combinations.
    """

    found: Settings
    before: Evaluation
    after: Evaluation
    sweep: dict[str, list[dict[str, Any]]]
    trials: int


def tune_run(options: TuneOptions) -> dict[str, Any]:
    """Tunes a run's post-processing on one half of the images, measures the gain on the other, and writes the settings.

    Starts from the settings of `config.yaml`, whatever was tuned before, so that the same images give the same
    settings. They are written as `tuned.json` if they gain on the images held back.

    Returns:
        - `run`, `written`, `earlier`: paths; `written` None where nothing is, and then `earlier` what an earlier tuning
          wrote, if it did.
        - `images`: of the dataset or of `limit`; `seed`; `trials`, combinations of values; `seconds` `{"network",
          "trials"}`.
        - `settings`: setting -> `{"from", "to"}`, all that were tried.
        - `sweep`: setting -> list of `{"value", "pq"}`, on the half tuned on, with the others at their best.
        - `tuned_on`, `held_back`, `all`: `{"images", "before", "after", "gain", "interval"}`, PQ as fractions; the 95 %
          interval of the gain, as `evaluation.compare.compare` draws it, or None. `after` of `all` is the PQ that
          `evaluate` gives for these images.
        - `fates`: `{"before", "after"}`, how many queries of all images fall at which rule of post-processing; None
          where the architecture does not tell.

    Raises:
        InputError: the run, the images or a setting cannot be used.
        WorkFailed: the outputs find no room.
    """
    run = own_run(options.run)
    trained, categories, _ = run.trained_experiment(), run.load_categories(), run.weights()
    values = values_to_try(run, trained, options.sweeps)
    start = present_values(trained, list(values))
    dataset = _dataset(options, run, trained, categories)
    _check_outputs(options, run, dataset)
    dataset, halves = _halves(dataset, options.limit, options.seed)

    started = time.monotonic()
    trials = Trials(_segmenter(run, trained, categories, values), dataset, options.memory * GB)
    network_done = time.monotonic()
    search = _search(run, trials, start, values, halves[0])
    result = _result(options, search, dataset, halves, start)
    result["fates"] = _fates(run, trials, start, search.found) if trained.architecture.fates is not None else None
    result["seconds"] = {
        "network": round(network_done - started, 2),
        "trials": round(time.monotonic() - network_done, 2),
    }
    if _worth(result, options.force) and not options.dry_run:
        replace_file(run.tuned, _tuned(run, result, dataset).to_json())
        result["written"] = str(run.tuned)
    elif run.tuned.is_file():
        result["earlier"] = str(run.tuned)
    return result


def _dataset(options: TuneOptions, run: RunFolder, experiment: Experiment, categories: Any) -> Dataset:
    """The images with truth that the options mean.

    Raises:
        InputError: options that do not go together, or as `truth_of_run`.
    """
    files = (options.images, options.gt, options.gt_dir)
    given = [path is not None for path in files]
    if options.data is not None and any(given):
        raise InputError("--data names images and truth; leave --images, --gt and --gt-dir out")
    if any(given) and not all(given):
        raise InputError("--images, --gt and --gt-dir belong together; give all three, or none for the run's own data")
    if options.data is not None and Path(options.data).is_file():
        raise InputError(f"{options.data}: a file alone; a panoptic JSON is given as --gt, with --images and --gt-dir")
    if options.data is not None:
        source = find_source(options.data, None, "val")
        dataset = matched_categories(source.load(), categories, source.where, experiment.data.remap)
        for line in dataset.unmatched():
            print(line, file=sys.stderr)
        return dataset
    return truth_of_run(run.config, experiment, categories, *files, split=experiment.data.chooses_on)


def _check_outputs(options: TuneOptions, run: RunFolder, dataset: Dataset) -> None:
    """Checks before the work that what is to be written can be, and replaces nothing that is read."""
    if not options.dry_run:
        require_file_place(run.tuned)
    if options.json_file is None:
        return
    require_file_place(options.json_file)
    photos = (path for record in dataset.records for path in (record.image_path, record.panoptic_path))
    own = [*(run.path / name for name in CONTENTS), *([options.gt] if options.gt else [])]
    require_unread([options.json_file], [*own, *photos], "tuning")
    require_older(options.json_file, NUMBERS_MARK)
    if options.json_file.resolve() == run.tuned.resolve():
        raise InputError(f"{options.json_file}: is where the settings go; expected another file for the numbers")


def _halves(dataset: Dataset, limit: int | None, seed: int) -> tuple[Dataset, tuple[list[int], list[int]]]:
    """The images that take part, and the places among them of the half to tune on and of the half to hold back.

    Raises:
        InputError: there are too few.
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(dataset))[:limit])
    if len(chosen) < LEAST_IMAGES:
        raise InputError(
            f"{dataset.name}: {len(chosen)} images with truth are too few to tune on and to hold back, expected "
            f"{LEAST_IMAGES} at least, better a hundred"
        )
    order = random.permutation(len(chosen))
    middle = (len(chosen) + 1) // 2
    records = tuple(dataset.records[place] for place in chosen)
    return replace(dataset, records=records), (sorted(order[:middle].tolist()), sorted(order[middle:].tolist()))


def _segmenter(run: RunFolder, trained: Experiment, categories: Any, values: dict[str, tuple]) -> PanopticSegmenter:
    """The model, with the lowest values of the settings below which its network drops anything."""
    tunable = trained.architecture.tunable
    lowest = [
        override(setting, tried[0])
        for setting, tried in values.items()
        if tunable[setting.removeprefix(SECTION)].network_drops_below
    ]
    with settings_of(run.config):
        segmenter = PanopticSegmenter(run.trained_experiment(lowest), categories)
    segmenter.load_weights_file(run.weights())
    return segmenter


def _search(
    run: RunFolder, trials: Trials, start: Settings, values: dict[str, tuple[Any, ...]], tuned_on: list[int]
) -> Search:
    """The best settings for some images, and the counters of all.

    Raises:
        InputError: no image of these has a segment.
    """

    def evaluation(settings: Settings, places: Sequence[int], track: Any) -> Evaluation:
        experiment = run.trained_experiment([override(setting, value) for setting, value in settings.items()])
        return trials.evaluate(experiment, places, track.advance)

    everything = range(len(trials.dataset))
    with progress("as it is", len(everything)) as track:
        before = evaluation(start, everything, track)
    start_score = pq_of(part_of(before, trials.dataset, tuned_on))
    if start_score is None:
        raise InputError(f"{trials.dataset.name}: no segment in the {len(tuned_on)} images to tune on, and no PQ")

    def score(settings: Settings) -> float:
        return pq_of(evaluation(settings, tuned_on, track)) or 0.0

    descent = Descent(start, values, score, start_score)
    for number in range(1, ROUNDS + 1):
        moves = []
        for setting in values:
            work = f"round {number}, {setting.removeprefix(SECTION)}"
            with progress(work, descent.left(setting) * len(tuned_on)) as track:
                moves.append(descent.move(setting))
        if not any(moves):
            break
    if descent.best == dict(start):
        return Search(start, before, before, descent.sweep(), descent.trials)
    with progress("as tuned", len(everything)) as track:
        after = evaluation(descent.best, everything, track)
    return Search(descent.best, before, after, descent.sweep(), descent.trials)


def _result(
    options: TuneOptions, search: Search, dataset: Dataset, halves: Sequence[Sequence[int]], start: Settings
) -> dict[str, Any]:
    """What `tune_run` returns but the seconds; nothing is written yet."""

    def gain(places: Sequence[int]) -> dict[str, Any]:
        before, after = (part_of(each, dataset, places) for each in (search.before, search.after))
        found = compare(before, after)["all"]["pq"]
        return {
            "images": len(places),
            "before": found["a"],
            "after": found["b"],
            "gain": found["difference"],
            "interval": found["interval"],
        }

    return {
        "run": str(options.run),
        "written": None,
        "earlier": None,
        "images": len(dataset),
        "seed": options.seed,
        "trials": search.trials,
        "settings": {setting: {"from": start[setting], "to": search.found[setting]} for setting in start},
        "sweep": {
            setting: [{"value": point["value"], "pq": point["score"]} for point in points]
            for setting, points in search.sweep.items()
        },
        "tuned_on": gain(halves[0]),
        "held_back": gain(halves[1]),
        "all": gain(range(len(dataset))),
    }


def _fates(run: RunFolder, trials: Trials, start: Settings, found: Settings) -> dict[str, Any]:
    """What became of the queries of all images, before and after."""
    experiments = (run.trained_experiment([override(*setting) for setting in each.items()]) for each in (start, found))
    return dict(zip(("before", "after"), map(trials.fates, experiments), strict=True))


def moved(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of a result of `tune_run` that are not what they were."""
    return {setting: ends for setting, ends in result["settings"].items() if ends["from"] != ends["to"]}


def gains(result: dict[str, Any]) -> bool:
    """Whether the settings of a result are better on the images held back, too."""
    return (result["held_back"]["gain"] or 0.0) > ROUNDING


def _worth(result: dict[str, Any], force: bool) -> bool:
    return bool(moved(result)) and (force or gains(result))


def _tuned(run: RunFolder, result: dict[str, Any], dataset: Dataset) -> TunedSettings:
    """What is written into the run."""
    from tfpanoptic.version import __version__

    names = [f"{record.panoptic_path} {record.segments.tolist()}" for record in dataset.records]
    found = {
        "tfpanoptic": __version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv[1:],
        "data": {"name": dataset.name, "split": dataset.split, "fingerprint": fingerprint([], names)},
        **{name: result[name] for name in ("images", "seed", "tuned_on", "held_back", "all")},
    }
    changed = moved(result)
    to, trained = ({setting: ends[end] for setting, ends in changed.items()} for end in ("to", "from"))
    return TunedSettings(to, trained, run.best_step(), found)
