import keras
import numpy as np
import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.train.checkpoints import Checkpoints


def model_and_optimizer(width=3):
    image = keras.Input((2,))
    x = keras.layers.Dropout(0.5, name="dropout")(keras.layers.Dense(width, name="dense")(image))
    model = keras.Model(image, x)
    optimizer = keras.optimizers.AdamW(use_ema=True)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def test_everything_that_has_state_comes_back(tmp_path):
    model, optimizer = model_and_optimizer()
    for variable in [*model.variables, *optimizer.variables]:
        if variable.dtype == "float32":
            variable.assign(np.random.default_rng(0).standard_normal(variable.shape))
    model.variables[-1].assign([5, 6])  # the seed generator of dropout
    Checkpoints(tmp_path, model, optimizer).save(7)

    other, other_optimizer = model_and_optimizer()
    assert Checkpoints(tmp_path, other, other_optimizer).restore() == 7
    for ours, theirs in zip(
        [*model.variables, *optimizer.variables], [*other.variables, *other_optimizer.variables], strict=True
    ):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


def test_a_folder_without_checkpoints_starts_at_zero(tmp_path):
    assert Checkpoints(tmp_path, *model_and_optimizer()).restore() == 0


def test_only_the_latest_two_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, *model_and_optimizer())
    for step in (1, 2, 3):
        checkpoints.save(step)
    assert sorted(p.name for p in tmp_path.glob("*.index")) == ["ckpt-2.index", "ckpt-3.index"]


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    Checkpoints(tmp_path, *model_and_optimizer(width=3)).save(1)
    with pytest.raises(InputError, match="not a checkpoint of this model"):
        Checkpoints(tmp_path, *model_and_optimizer(width=4)).restore()


def test_a_damaged_checkpoint_is_named(tmp_path):
    Checkpoints(tmp_path, *model_and_optimizer()).save(1)
    data = next(tmp_path.glob("ckpt-1.data*"))
    data.write_bytes(data.read_bytes()[:10])
    with pytest.raises(InputError, match="ckpt-1"):
        Checkpoints(tmp_path, *model_and_optimizer()).restore()
