import pytest

from tfpanoptic.oracles.query_settings import mask_stride, relaxations, taught_segments
from tfpanoptic.settings.config import StrictConfig


class Targets(StrictConfig):
    max_segments: int = 100


class Postprocess(StrictConfig):
    score: float = 0.8
    mask_threshold: float = 0.5
    overlap: float = 0.8


class Config(StrictConfig):
    """What these settings need of a model's configuration."""

    queries: int = 200
    targets: Targets = Targets()
    postprocess: Postprocess = Postprocess()


def by_setting(config, most_instances=10):
    return {relaxation.setting: relaxation for relaxation in relaxations(config, most_instances)}


def test_thresholds_are_relaxed_one_at_a_time():
    found = by_setting(Config())
    for name, value in {"score": 0.0, "mask_threshold": 0.25, "overlap": 0.0}.items():
        relaxation = found[f"model.postprocess.{name}"]
        assert relaxation.config.postprocess.model_dump() == {**Config().postprocess.model_dump(), name: value}
        assert relaxation.found == str(getattr(Config().postprocess, name)) and relaxation.possible


def test_a_threshold_of_zero_costs_nothing():
    free = Config(postprocess=Postprocess(score=0.0, mask_threshold=0.0, overlap=0.0))
    assert set(by_setting(free)) == {"mask_logits"}


def test_masks_are_tried_at_half_the_stride_which_no_network_has():
    relaxation = by_setting(Config())["mask_logits"]
    assert (relaxation.found, relaxation.possible) == ("stride 4", False)
    assert mask_stride(Config()) == 4 and mask_stride(relaxation.config) == 2
    assert mask_stride(relaxation.config.model_copy(update={"queries": 7})) == 2


BOTH = "model.queries, model.targets.max_segments"


@pytest.mark.parametrize(
    ("instances", "setting", "expected"),
    [
        (50, None, (200, 100)),
        (51, "model.targets.max_segments", (200, 102)),
        (101, BOTH, (202, 202)),
    ],
)
def test_queries_and_targets_are_raised_where_an_image_may_need_more(instances, setting, expected):
    found = by_setting(Config(), instances)
    assert {name for name in found if "segments" in name or "queries" in name} == ({setting} if setting else set())
    if setting:
        relaxed = found[setting].config
        assert (relaxed.queries, relaxed.targets.max_segments) == expected
        assert taught_segments(relaxed) == min(expected)
