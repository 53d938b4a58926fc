"""A step whose batch is worked on in parts, beside one that takes all of it at once."""

import numpy as np
import pytest
import tensorflow as tf

from tests.architectures.experiments import MODELS, experiment
from tests.train.test_loop import records, weights
from tfpanoptic.architecture import Architecture
from tfpanoptic.errors import InputError
from tfpanoptic.experiment import Experiment
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.train.loop import train
from tfpanoptic.train.step import GradientSums, part_shares

FAST = ("panoptic_deeplab", "deeperlab", "toy")
GROUP_NORM = {"kind": "group", "groups": 1}


def made(name, norm=None, **training) -> Experiment:
    """A tiny experiment; group normalisation knows one image at a time."""
    settings = experiment(name, **training).to_dict()
    settings["model"] |= {"norm": norm} if norm else {}
    return Experiment.from_dict(settings)


def assert_equal_runs(ours, theirs, atol):
    """Equal in their weights, and in the terms of every step."""
    one, other = weights(ours / "last.safetensors"), weights(theirs / "last.safetensors")
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], atol=atol, rtol=10 * atol, err_msg=name)
    losses = [[record for record in records(run) if "loss" in record] for run in (ours, theirs)]
    assert len(losses[0]) == len(losses[1]) > 0
    for record, expected in zip(*losses, strict=True):
        for term in ("semantic", "center", "offset", "loss"):
            assert record[term] == pytest.approx(expected[term], rel=max(1e-5, 10 * atol))


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    """A run of three steps of four images: momentum, clipping, dropout and a moving average."""
    run = tmp_path_factory.mktemp("at_once") / "run"
    train(made("panoptic_deeplab", GROUP_NORM), run)
    return run


@pytest.mark.slow
@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_trains_the_weights_of_the_batch(parts, at_once, tmp_path):
    train(made("panoptic_deeplab", GROUP_NORM, accumulate=parts), tmp_path / "run")
    assert_equal_runs(tmp_path / "run", at_once, atol=2e-5)


@pytest.mark.slow
def test_two_replicas_that_work_in_parts_train_the_weights_of_one_device(at_once, tmp_path, two_replicas):
    train(made("panoptic_deeplab", GROUP_NORM, accumulate=2), tmp_path / "run", two_replicas)
    assert_equal_runs(tmp_path / "run", at_once, atol=2e-5)


def test_replicas_have_the_parts_of_one_device(tmp_path, two_replicas):
    """Batch normalisation and counts of sampled boxes depend on which images are in a part."""
    train(made("toy", accumulate=2), tmp_path / "one")
    train(made("toy", accumulate=2), tmp_path / "mirrored", two_replicas)
    one, mirrored = (weights(tmp_path / name / "last.safetensors") for name in ("one", "mirrored"))
    for name, value in one.items():
        np.testing.assert_allclose(mirrored[name], value, atol=2e-5, rtol=2e-4, err_msg=name)


@pytest.mark.slow
def test_a_resumed_run_that_works_in_parts_ends_with_the_same_bits(tmp_path):
    constant = {"accumulate": 2, "schedule": {"name": "constant"}}
    train(made("toy", steps=4, **constant), tmp_path / "whole")
    train(made("toy", steps=2, **constant), tmp_path / "resumed")
    train(made("toy", steps=4, **constant), tmp_path / "resumed", resume=True)
    whole, resumed = (weights(tmp_path / name / "last.safetensors") for name in ("whole", "resumed"))
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_the_terms_of_the_parts_add_up_to_those_of_the_batch(name):
    """Statistics are frozen, so that images are alone. What counts outputs is averaged over the parts."""
    made_up = made(name)
    model = PanopticSegmenter(made_up, made_up.load_categories())
    batch = next(iter(model.batches("train", batch_size=4)))
    architecture: Architecture = made_up.architecture
    pairs = [tf.nest.map_structure(lambda values, first=first: values[first::2], batch) for first in (0, 1)]
    expected = model.loss_shares(model(batch), batch["targets"])
    shares = [part_shares(model, model(pair), pair["targets"], batch["targets"], 2) for pair in pairs]
    alone = [model.loss_shares(model(pair), pair["targets"]) for pair in pairs]
    averaged = set(architecture.counts_of_outputs(model(batch), batch["targets"], made_up.model))
    assert set(shares[0]) == set(expected)
    for term, value in expected.items():
        value = sum(float(pair[term]) for pair in alone) / 2 if term in averaged else float(value)
        assert sum(float(pair[term]) for pair in shares) == pytest.approx(value, rel=1e-4, abs=1e-6), term


def test_sums_of_gradients_begin_again_and_leave_out_what_has_none():
    import keras

    variables = [keras.Variable([0.0, 0.0], name=name) for name in ("kernel", "unused")]
    sums = GradientSums(variables)
    for _ in range(2):
        sums.add([tf.constant([1.0, 2.0]), None])
        sums.add([tf.IndexedSlices(tf.constant([5.0]), tf.constant([1]), tf.constant([2])), None])
        kernel, unused = sums.take()
        # 1 + 0 and 2 + 5.
        np.testing.assert_array_equal(kernel, [1.0, 7.0])
        assert unused is None


def test_parts_that_are_not_equal_are_refused(tmp_path):
    words = "training: batch_size must be a multiple of accumulate 3, found 4"
    with pytest.raises(InputError, match=words):
        made("toy", accumulate=3)


def test_parts_that_the_replicas_cannot_share_are_refused(tmp_path, two_replicas):
    words = (
        "training.batch_size: expected a multiple of the 2 replicas times the 4 parts of training.accumulate, found 4"
    )
    with pytest.raises(InputError, match=words) as error:
        train(made("toy", accumulate=4), tmp_path / "run", two_replicas)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()
