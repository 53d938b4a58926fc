import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpanoptic.settings.training import TrainingConfig
from tfpanoptic.train.checkpoints import Checkpoints
from tfpanoptic.train.updates import Updates

CONSTANT = {"name": "constant"}
AVERAGE = {"use_ema": True, "ema_momentum": 0.9}
DROP_AT_1 = {"name": "step", "drop_steps": [1], "drop_factor": 0.1}


def make_config(optimizer, schedule=CONSTANT, **training):
    return TrainingConfig.model_validate({"steps": 10, **training, "optimizer": optimizer, "schedule": schedule})


def make_variables(start, names=("kernel", "bias")):
    return [keras.Variable(np.array(value, "float32"), name=name) for name, value in zip(names, start)]


def after_updates(config, start, gradients, names=("kernel", "bias")):
    """Values of variables after an update with each entry of `gradients`, a list with one a variable."""
    variables = make_variables(start, names)
    updates = Updates(config, variables)
    for step in gradients:
        updates.apply([tf.constant(gradient, tf.float32) for gradient in step])
    return [variable.numpy() for variable in variables]


def random_steps(count=6, seed=0):
    """Start values and gradients of a kernel and a bias."""
    random = np.random.default_rng(seed)
    return [random.normal(size=(3, 2)), random.normal(size=3)], [
        [random.normal(size=(3, 2)), random.normal(size=3)] for _ in range(count)
    ]


# -- clipping, decay and moving average ----------------------------------------------------------


@pytest.mark.parametrize("clip_norm, moved", [(None, [3.0, 4.0]), (1.0, [0.6, 0.8]), (10.0, [3.0, 4.0])])
def test_gradients_are_scaled_to_the_norm_and_not_above(clip_norm, moved):
    # The gradient (3, 4) has norm 5; plain SGD with rate 1 moves by it.
    config = make_config({"name": "sgd", "learning_rate": 1.0, "momentum": 0.0, "clip_norm": clip_norm})
    (value,) = after_updates(config, [[0.0, 0.0]], [[[3.0, 4.0]]], ["kernel"])
    np.testing.assert_allclose(value, -np.array(moved), rtol=1e-6)


def test_the_norm_is_that_of_all_variables_together():
    # 3 and 4 in two variables: norm 5 as above.
    config = make_config({"name": "sgd", "learning_rate": 1.0, "momentum": 0.0, "clip_norm": 1.0})
    kernel, bias = after_updates(config, [[0.0], [0.0]], [[[3.0], [4.0]]])
    np.testing.assert_allclose([kernel[0], bias[0]], [-0.6, -0.8], rtol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_kernels_decay_and_biases_and_normalisation_do_not(name):
    config = make_config({"name": name, "learning_rate": 0.1, "weight_decay": 0.5})
    names = ("kernel", "bias", "gamma", "beta")
    values = after_updates(config, [[1.0]] * 4, [[np.zeros(1)] * 4], names)
    # Decoupled decay: 1 - rate * decay = 1 - 0.1 * 0.5.
    np.testing.assert_allclose([float(v[0]) for v in values], [0.95, 1.0, 1.0, 1.0], rtol=1e-6)


def test_the_moving_average_begins_with_the_weights_after_the_first_update():
    config = make_config({"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}, ema=0.9)
    variables = make_variables([[5.0]], ["kernel"])
    updates = Updates(config, variables)
    updates.apply([tf.constant([1.0])])
    with updates.averaged_weights():
        assert variables[0].numpy() == [4.0]
    updates.apply([tf.constant([1.0])])
    with updates.averaged_weights():
        # 0.9 * 4 + 0.1 * 3
        np.testing.assert_allclose(variables[0], [3.9], rtol=1e-6)
    assert variables[0].numpy() == [3.0]


def test_without_a_moving_average_the_weights_are_the_average():
    variables = make_variables([[5.0]], ["kernel"])
    updates = Updates(make_config({}), variables)
    with updates.averaged_weights():
        assert variables[0].numpy() == [5.0]
    assert variables[0].numpy() == [5.0]


# -- the forms, against other implementations ----------------------------------------------------


@pytest.mark.parametrize(
    "optimizer, reference",
    [
        ({"name": "adam"}, lambda rate: keras.optimizers.Adam(rate, **AVERAGE)),
        (
            {"name": "adamw", "weight_decay": 0.1},
            lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.1, **AVERAGE),
        ),
        (
            {"name": "sgd", "weight_decay": 0.1},
            lambda rate: keras.optimizers.SGD(rate, momentum=0.9, weight_decay=0.1, **AVERAGE),
        ),
        ({"name": "sgd", "momentum": 0.0}, lambda rate: keras.optimizers.SGD(rate, **AVERAGE)),
    ],
)
def test_without_groups_they_are_those_of_keras(optimizer, reference):
    start, gradients = random_steps()
    config = make_config({"learning_rate": 0.1, **optimizer}, {"name": "poly"}, ema=0.9)
    ours, theirs = make_variables(start), make_variables(start)
    updates = Updates(config, ours)
    keras_optimizer = reference(keras.optimizers.schedules.PolynomialDecay(0.1, 10, 0.0, 0.9))
    if "weight_decay" in optimizer:
        keras_optimizer.exclude_from_weight_decay(var_names=["bias"])
    for step in gradients:
        updates.apply([tf.constant(gradient, tf.float32) for gradient in step])
        keras_optimizer.apply([tf.constant(gradient, tf.float32) for gradient in step], theirs)
    assert updates.learning_rate == pytest.approx(float(keras_optimizer.learning_rate), rel=1e-6)
    # Each weight moved by about 0.3. Keras takes 1 - beta2 once in float64 and once in float32, we in float32: 1e-5.
    for variable, other in zip(ours, theirs):
        np.testing.assert_allclose(variable, other, atol=1e-5, rtol=0)
    updates.use_average()
    keras_optimizer.finalize_variable_values(theirs)
    for variable, other in zip(ours, theirs):
        np.testing.assert_allclose(variable, other, atol=1e-5, rtol=0)


def numpy_sgd(p, gradients, rates, decay, coupled, pytorch, momentum=0.9, drops=()):
    v = np.zeros_like(p)
    for k, (g, rate) in enumerate(zip(gradients, rates)):
        g = g + decay * p if coupled else g
        p = p if coupled else p - rate * decay * p
        v = 0.1 * v if k in drops else v
        v = momentum * v + (g if pytorch else rate * g)
        p = p - (rate * v if pytorch else v)
    return p


def numpy_adam(p, gradients, rates, decay, pytorch, betas=(0.8, 0.99), epsilon=1e-2):
    m1, m2 = np.zeros_like(p), np.zeros_like(p)
    for t, (g, rate) in enumerate(zip(gradients, rates), start=1):
        p = p - rate * decay * p
        m1 = betas[0] * m1 + (1 - betas[0]) * g
        m2 = betas[1] * m2 + (1 - betas[1]) * g**2
        correction1, correction2 = 1 - betas[0] ** t, 1 - betas[1] ** t
        if pytorch:
            p = p - rate * (m1 / correction1) / (np.sqrt(m2 / correction2) + epsilon)
        else:
            p = p - rate * np.sqrt(correction2) / correction1 * m1 / (np.sqrt(m2) + epsilon)
    return p


# Six steps of rate 0.1 with a drop at step 3; the bias has twice the rate and no decay.
RATES = np.array([0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
STEP = {"name": "step", "drop_steps": [3]}
BIAS_TWICE = [{"match": "bias$", "learning_rate_factor": 2.0}]


@pytest.mark.parametrize("decay", ["decoupled", "coupled"])
@pytest.mark.parametrize("arithmetic", ["keras", "pytorch"])
def test_sgd_takes_the_steps_written_by_hand(decay, arithmetic):
    start, gradients = random_steps()
    optimizer = {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.05, "decay": decay, "arithmetic": arithmetic}
    kernel, bias = after_updates(make_config({**optimizer, "groups": BIAS_TWICE}, STEP), start, gradients)
    form = {"coupled": decay == "coupled", "pytorch": arithmetic == "pytorch"}
    expected_kernel = numpy_sgd(start[0], [g[0] for g in gradients], RATES, 0.05, **form)
    expected_bias = numpy_sgd(start[1], [g[1] for g in gradients], 2 * RATES, 0.0, **form)
    np.testing.assert_allclose(kernel, expected_kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bias, expected_bias, rtol=1e-5, atol=1e-6)


def test_sgd_takes_the_steps_of_upsnet():
    """The rate inside the buffers, which are divided by 10 where it drops to a tenth."""
    start, gradients = random_steps()
    optimizer = {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.05, "decay": "coupled"}
    config = make_config({**optimizer, "rescale_momentum": True, "groups": BIAS_TWICE}, STEP)
    kernel, bias = after_updates(config, start, gradients)
    form = {"coupled": True, "pytorch": False, "drops": (3,)}
    expected_kernel = numpy_sgd(start[0], [g[0] for g in gradients], RATES, 0.05, **form)
    expected_bias = numpy_sgd(start[1], [g[1] for g in gradients], 2 * RATES, 0.0, **form)
    np.testing.assert_allclose(kernel, expected_kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bias, expected_bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("arithmetic", ["keras", "pytorch"])
def test_adamw_takes_the_steps_written_by_hand(arithmetic):
    start, gradients = random_steps()
    optimizer = {"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.05, "betas": [0.8, 0.99], "epsilon": 1e-2}
    config = make_config({**optimizer, "arithmetic": arithmetic, "groups": BIAS_TWICE}, STEP)
    kernel, bias = after_updates(config, start, gradients)
    pytorch = arithmetic == "pytorch"
    expected_kernel = numpy_adam(start[0], [g[0] for g in gradients], RATES, 0.05, pytorch)
    expected_bias = numpy_adam(start[1], [g[1] for g in gradients], 2 * RATES, 0.0, pytorch)
    np.testing.assert_allclose(kernel, expected_kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bias, expected_bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options, expected",
    [
        # g = 1 and p = 1, coupled decay 0.1, rate 0.1 and then 0.01. Both:
        #   step 0: d = 1 + 0.1 * 1 = 1.1; v = 1.1; p = 1 - 0.1 * 1.1 = 0.89
        # PyTorch: d = 1 + 0.1 * 0.89 = 1.089; v = 0.9 * 1.1 + 1.089 = 2.079; p = 0.89 - 0.01 * 2.079 = 0.86921
        ({"arithmetic": "pytorch"}, 0.86921),
        # Keras: v = 0.9 * 0.11 + 0.01 * 1.089 = 0.10989; p = 0.89 - 0.10989 = 0.78011
        ({"arithmetic": "keras"}, 0.78011),
        # UPSNet: v = 0.9 * 0.011 + 0.01 * 1.089 = 0.02079; p = 0.86921, as with the rate outside.
        ({"arithmetic": "keras", "rescale_momentum": True}, 0.86921),
    ],
)
def test_two_steps_of_momentum_worked_out_by_hand(options, expected):
    optimizer = {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.1, "decay": "coupled", **options}
    (value,) = after_updates(make_config(optimizer, DROP_AT_1), [[1.0]], [[[1.0]]] * 2, ["kernel"])
    np.testing.assert_allclose(value, [expected], rtol=1e-6)


@pytest.mark.parametrize(
    "arithmetic, expected",
    [
        # g = 1 and p = 1, decay 0.5, rate 0.1, epsilon 1. After correction both moments are 1 at every step:
        # p = 1 * (1 - 0.05) - 0.1 * 1 / (1 + 1) = 0.9, then 0.9 * 0.95 - 0.05 = 0.805
        ("pytorch", 0.805),
        # Before correction: m1 = 0.1, m2 = 0.001, factor sqrt(0.001) / 0.1 = 0.316228:
        # p = 0.95 - 0.1 * 0.316228 * 0.1 / (0.0316228 + 1) = 0.9469347; then m1 = 0.19, m2 = 0.001999,
        # factor sqrt(0.001999) / 0.19 = 0.2353186: p = 0.8995880 - 0.1 * 0.2353186 * 0.19 / (0.0447102 + 1) = 0.8953083
        ("keras", 0.8953083),
    ],
)
def test_two_steps_of_adamw_worked_out_by_hand(arithmetic, expected):
    optimizer = {"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.5, "epsilon": 1.0, "arithmetic": arithmetic}
    (value,) = after_updates(make_config(optimizer), [[1.0]], [[[1.0]]] * 2, ["kernel"])
    np.testing.assert_allclose(value, [expected], rtol=1e-6)


# -- groups ---------------------------------------------------------------------------------------


def test_under_adam_a_factor_scales_the_update_and_not_the_gradient():
    # Adam's first update is the rate, whatever the gradient: 0.1, and a tenth of that.
    groups = [{"match": "bias", "learning_rate_factor": 0.1}]
    config = make_config({"name": "adam", "learning_rate": 0.1, "groups": groups})
    kernel, bias = after_updates(config, [[0.0], [0.0]], [[[7.0], [7.0]]])
    np.testing.assert_allclose([kernel[0], bias[0]], [-0.1, -0.01], rtol=1e-5)


def test_decoupled_decay_goes_with_the_rate_of_the_group():
    # 1 - 0.1 * 0.5 * factor
    groups = [{"match": "bias", "learning_rate_factor": 0.5, "weight_decay": True}]
    config = make_config({"name": "adamw", "learning_rate": 0.1, "weight_decay": 0.5, "groups": groups})
    kernel, bias = after_updates(config, [[1.0], [1.0]], [[[0.0], [0.0]]])
    np.testing.assert_allclose([kernel[0], bias[0]], [0.95, 0.975], rtol=1e-6)


def test_a_group_that_starts_later_gathers_moments_meanwhile():
    """As AdamW takes steps with a rate of 0, and then of 0.05 and 0.1 (a warm-up of two steps from 0)."""
    start, gradients = random_steps()
    groups = [{"match": "kernel", "start_step": 2, "warmup_steps": 2}]
    options = {"learning_rate": 0.1, "weight_decay": 0.05, "betas": [0.8, 0.99], "epsilon": 1e-2}
    config = make_config({"name": "adamw", "arithmetic": "pytorch", **options, "groups": groups})
    kernel, bias = after_updates(config, start, gradients[:5])
    expected_kernel = numpy_adam(start[0], [g[0] for g in gradients], [0.0, 0.0, 0.0, 0.05, 0.1], 0.05, True)
    expected_bias = numpy_adam(start[1], [g[1] for g in gradients], [0.1] * 5, 0.0, True)
    np.testing.assert_allclose(kernel, expected_kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(bias, expected_bias, rtol=1e-5, atol=1e-6)


def test_frozen_variables_have_no_update_and_no_state():
    variables = make_variables([[1.0], [1.0]])
    config = make_config(
        {"name": "adamw", "weight_decay": 0.1, "groups": [{"match": "kernel", "frozen": True}]}, ema=0.9
    )
    updates = Updates(config, variables)
    assert updates.trained == variables[1:]
    # Of the bias: average, momentum, velocity.
    assert len(updates.variables) == 1 + 3
    updates.apply([tf.constant([1.0])])
    assert variables[0].numpy() == [1.0] and variables[1].numpy() != [1.0]
    updates.use_average()
    assert variables[0].numpy() == [1.0]


def test_each_variable_has_its_rate_by_path():
    groups = [{"match": "bias", "learning_rate_factor": 2.0}, {"match": "kernel", "start_step": 5}]
    updates = Updates(make_config({"name": "sgd", "learning_rate": 0.1, "groups": groups}), make_variables([[1.0]] * 2))
    assert updates.learning_rate == pytest.approx(0.1)
    assert updates.learning_rates == {"kernel": 0.0, "bias": pytest.approx(0.2)}


# -- gradients ------------------------------------------------------------------------------------


def test_a_variable_without_a_gradient_stays_and_is_named():
    variables = make_variables([[1.0], [1.0]])
    updates = Updates(make_config({"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.1}), variables)
    with pytest.warns(UserWarning, match="no gradient for kernel"):
        updates.apply([None, tf.constant([1.0])])
    assert variables[0].numpy() == [1.0]
    np.testing.assert_allclose(variables[1], [0.9], rtol=1e-6)


def test_gradients_of_gathered_rows_are_taken():
    (variable,) = make_variables([np.ones((3, 1))], ["queries"])
    updates = Updates(make_config({"name": "sgd", "learning_rate": 0.1, "clip_norm": 10.0}), [variable])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(variable.value, [0, 0, 2]))
    updates.apply(tape.gradient(loss, [variable.value]))
    # Row 0 was taken twice, row 1 never.
    np.testing.assert_allclose(variable.numpy()[:, 0], [0.8, 1.0, 0.9], rtol=1e-6)


# -- state, replicas, XLA -------------------------------------------------------------------------

EVERYTHING = {
    "name": "adamw",
    "learning_rate": 0.1,
    "weight_decay": 0.05,
    "arithmetic": "pytorch",
    "clip_norm": 1.0,
    "groups": [{"match": "bias", "learning_rate_factor": 2.0, "start_step": 1}],
}
SGD_EVERYTHING = {**EVERYTHING, "name": "sgd", "decay": "coupled"}


@pytest.mark.parametrize("optimizer", [EVERYTHING, SGD_EVERYTHING])
def test_restored_updates_go_on_with_the_same_bits(optimizer, tmp_path):
    start, gradients = random_steps()
    config = make_config(optimizer, {"name": "cosine", "warmup_steps": 2}, ema=0.9)

    def model_and_updates():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
        return model, Updates(config, model.trainable_variables)

    def take(updates, steps):
        for kernel, bias in steps:
            updates.apply([tf.constant(kernel, tf.float32), tf.constant(bias[:2], tf.float32)])

    model, updates = model_and_updates()
    model.set_weights([start[0], start[1][:2]])
    take(updates, gradients[:3])
    Checkpoints(tmp_path, model, updates).save(3)
    take(updates, gradients[3:])
    resumed, resumed_updates = model_and_updates()
    assert Checkpoints(tmp_path, resumed, resumed_updates).restore() == 3
    assert int(resumed_updates.iterations.numpy()) == 3
    take(resumed_updates, gradients[3:])
    for ours, theirs in zip(
        [*model.variables, *updates.variables], [*resumed.variables, *resumed_updates.variables], strict=True
    ):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    assert np.abs(model.get_weights()[0] - start[0]).max() > 0.1


@pytest.mark.parametrize("optimizer", [EVERYTHING, SGD_EVERYTHING, {"name": "sgd", "weight_decay": 0.1}])
def test_compiled_with_xla_they_are_the_same(optimizer):
    start, gradients = random_steps()
    config = make_config(optimizer, {"name": "poly"}, ema=0.9)
    plain = after_updates(config, start, gradients)
    variables = make_variables(start)
    updates = Updates(config, variables)
    compiled = tf.function(updates.apply, jit_compile=True)
    for step in gradients:
        compiled([tf.constant(gradient, tf.float32) for gradient in step])
    for variable, value in zip(variables, plain):
        np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-6)


def updated(strategy, config: TrainingConfig) -> tuple[list, list[np.ndarray]]:
    """Variables after five updates, and their values, those of the slots and the averages."""
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        variables = [keras.Variable(np.ones((2, 2), "float32"), name=n) for n in ("kernel", "bias", "frozen")]
        updates = Updates(config, variables)

    @tf.function
    def step(gradients):
        def replica_step():
            # Shares of 1/4 and 3/4, or one of 1.
            replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
            share = 0.25 + 0.5 * replica if replicas == 2 else 1.0
            updates.apply([share * gradient for gradient in gradients])

        strategy.run(replica_step)

    random = np.random.default_rng(0)
    for _ in range(5):
        step([tf.constant(random.normal(size=(2, 2)), tf.float32) for _ in updates.trained])
    assert keras.ops.convert_to_numpy(updates.iterations) == 5
    values = [keras.ops.convert_to_numpy(v) for v in (*variables, *updates.variables)]
    with updates.averaged_weights():
        values += [keras.ops.convert_to_numpy(v) for v in variables]
    return variables, values


GROUPS = [*EVERYTHING["groups"], {"match": "frozen", "frozen": True}]


@pytest.mark.parametrize(
    "optimizer",
    [
        {**EVERYTHING, "groups": GROUPS},
        {**SGD_EVERYTHING, "groups": GROUPS},
        {"name": "sgd", "momentum": 0.0, "groups": GROUPS[1:]},
    ],
)
def test_two_replicas_update_as_one_device(optimizer, two_replicas):
    config = TrainingConfig.model_validate({"steps": 10, "ema": 0.9, "optimizer": optimizer})
    _, one = updated(tf.distribute.get_strategy(), config)
    variables, mirrored = updated(two_replicas, config)
    for ours, theirs in zip(mirrored, one, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for variable in variables:
        first, second = (copy.numpy() for copy in two_replicas.experimental_local_results(variable.value))
        np.testing.assert_array_equal(first, second)
