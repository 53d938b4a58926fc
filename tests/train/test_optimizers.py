import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.train.optimizers import apply_gradients, make_optimizer


@pytest.mark.parametrize("clip_norm, moved", [(None, [3.0, 4.0]), (1.0, [0.6, 0.8]), (10.0, [3.0, 4.0])])
def test_gradients_are_scaled_to_the_norm_and_not_above(clip_norm, moved):
    # The gradient (3, 4) has norm 5; plain SGD with rate 1 moves by it.
    variable = keras.Variable([0.0, 0.0])
    apply_gradients(keras.optimizers.SGD(1.0), [tf.constant([3.0, 4.0])], [variable], clip_norm)
    np.testing.assert_allclose(variable, -np.array(moved), rtol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_kernels_decay_and_biases_and_normalisation_do_not(name):
    config = TrainingConfig.model_validate(
        {
            "steps": 10,
            "optimizer": {"name": name, "learning_rate": 0.1, "weight_decay": 0.5},
            "schedule": {"name": "constant"},
        }
    )
    variables = [keras.Variable([1.0], name=kind) for kind in ("kernel", "bias", "gamma", "beta")]
    apply_gradients(make_optimizer(config), [tf.zeros(1)] * 4, variables, None)
    # Decoupled decay: 1 - rate * decay = 1 - 0.1 * 0.5.
    np.testing.assert_allclose([float(v[0]) for v in variables], [0.95, 1.0, 1.0, 1.0], rtol=1e-6)


def test_the_moving_average_is_kept_when_asked():
    config = TrainingConfig.model_validate({"steps": 10, "ema": 0.9, "schedule": {"name": "constant"}})
    optimizer = make_optimizer(config)
    assert optimizer.use_ema and optimizer.ema_momentum == 0.9
