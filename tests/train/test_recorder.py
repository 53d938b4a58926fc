import numpy as np
import pytest
from safetensors import safe_open

from tfpanoptic.errors import WorkFailed
from tfpanoptic.experiment import Experiment
from tfpanoptic.train import loop


@pytest.fixture
def second_worker(monkeypatch):
    monkeypatch.setattr(loop, "is_chief", lambda strategy: False)


def test_a_worker_that_is_not_the_chief_trains_and_writes_nothing(
    second_worker, tiny_experiment, tiny_run, tmp_path, capsys
):
    segmenter = loop.train(tiny_experiment, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr().err == ""
    with safe_open(str(tiny_run / "last.safetensors"), "numpy") as file:
        for weight in segmenter.weights:
            np.testing.assert_allclose(weight, file.get_tensor(weight.path), rtol=1e-4, atol=1e-6, err_msg=weight.path)


def test_a_worker_that_is_not_the_chief_stops_at_a_loss_that_is_not_finite(second_worker, tiny_settings, tmp_path):
    tiny_settings["training"]["optimizer"] = {"name": "sgd", "learning_rate": 1e30}
    with pytest.raises(WorkFailed, match=r"step \d: loss term \w+ is (nan|inf)"):
        loop.train(Experiment.from_dict(tiny_settings), tmp_path / "run")


def test_the_chief_that_is_interrupted_leaves_a_checkpoint(tiny_experiment, tmp_path, monkeypatch, capsys):
    def interrupted(self, step, losses):
        if step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop.Recorder, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny_experiment, tmp_path / "run")
    # The update of step 2 was made, and its record was not.
    assert (tmp_path / "run" / "checkpoints" / "ckpt-2.index").is_file()
    assert "interrupted after step 2; go on with --resume" in capsys.readouterr().err
