import keras
import pytest

from tfpanoptic.settings.training import ScheduleConfig
from tfpanoptic.train.schedules import learning_rate_schedule


def rate(step, **settings):
    return float(learning_rate_schedule(ScheduleConfig(**settings), 0.5, 100)(step))


def test_poly_at_half_the_steps():
    # models of DeepLab2: rate * (1 - 1/2) ** 0.9 = rate * 0.535887
    assert rate(50, name="poly") == pytest.approx(0.5 * 0.535887, rel=1e-5)


def test_poly_ends_at_zero():
    assert rate(100, name="poly") == 0.0


def test_cosine_is_halfway_at_half_the_steps():
    assert rate(50, name="cosine") == pytest.approx(0.25)


def test_cosine_ends_at_the_final_fraction():
    assert rate(100, name="cosine", final_fraction=0.1) == pytest.approx(0.05)


def test_a_constant_rate_stays():
    assert rate(0, name="constant") == rate(77, name="constant") == 0.5


def test_warm_up_rises_from_zero_and_then_joins_the_schedule():
    # Step 5 of 10: half the rate. Step 50: as without warm-up, counted from step 0.
    assert rate(0, name="poly", warmup_steps=10) == 0.0
    assert rate(5, name="poly", warmup_steps=10) == pytest.approx(0.25)
    assert rate(50, name="poly", warmup_steps=10) == rate(50, name="poly")


@pytest.mark.parametrize("step", [0, 1, 37, 99, 100, 120])
def test_poly_and_cosine_are_those_of_keras(step):
    schedules = keras.optimizers.schedules
    poly = rate(step, name="poly", power=0.9, final_fraction=0.1)
    assert poly == pytest.approx(float(schedules.PolynomialDecay(0.5, 100, 0.05, 0.9)(step)), rel=1e-5)
    cosine = rate(step, name="cosine", final_fraction=0.1)
    assert cosine == pytest.approx(float(schedules.CosineDecay(0.5, 100, alpha=0.1)(step)), rel=1e-5)


def test_each_drop_multiplies_from_its_step_on():
    # 0.5, then 0.5 * 0.2 = 0.1 from step 30 on, then 0.02 from step 60 on.
    rates = [rate(step, name="step", drop_steps=[30, 60], drop_factor=0.2) for step in (0, 29, 30, 59, 60, 99)]
    assert rates == pytest.approx([0.5, 0.5, 0.1, 0.1, 0.02, 0.02])


def test_warm_up_from_a_fraction():
    # 0.5 * (0.2 + 0.8 * 5 / 10) = 0.3
    rates = [rate(step, name="constant", warmup_steps=10, warmup_fraction=0.2) for step in (0, 5, 10)]
    assert rates == pytest.approx([0.1, 0.3, 0.5])


def test_a_warm_up_that_multiplies_is_a_factor_of_the_schedule():
    # Power 1: 0.5 * (1 - 20 / 100) = 0.4 at step 20 of a warm-up of 40, which is half way: 0.2.
    options = {"name": "poly", "power": 1.0, "warmup_steps": 40, "warmup": "multiplies"}
    assert [rate(step, **options) for step in (0, 20, 40, 50)] == pytest.approx([0.0, 0.2, 0.3, 0.25])


def test_a_schedule_that_the_warm_up_precedes_counts_from_its_end():
    # From step 20 the rest is 80 steps: half of them are over at step 60.
    options = {"name": "poly", "power": 1.0, "warmup_steps": 20, "warmup": "precedes"}
    assert [rate(step, **options) for step in (0, 10, 20, 60, 100)] == pytest.approx([0.0, 0.25, 0.5, 0.25, 0.0])


def test_before_its_start_the_rate_is_zero_and_then_warms_up():
    config = ScheduleConfig(name="poly", power=1.0, warmup_steps=5, warmup="precedes")
    schedule = learning_rate_schedule(config, 0.5, 100, start_step=10, warmup_steps=10)
    # 0 up to step 10, half way at step 15, whole at 20, and 80 steps are left: half of the rate at step 60.
    assert [float(schedule(step)) for step in (0, 9, 10, 15, 20, 60)] == pytest.approx([0, 0, 0, 0.25, 0.5, 0.25])


def test_without_a_warm_up_a_later_start_joins_the_schedule():
    schedule = learning_rate_schedule(ScheduleConfig(name="constant"), 0.5, 100, start_step=10)
    assert [float(schedule(step)) for step in (9, 10, 11)] == [0.0, 0.5, 0.5]


def test_a_keras_optimizer_takes_it_and_stores_it():
    config = ScheduleConfig(name="step", drop_steps=(30,), warmup_steps=10, warmup_fraction=0.1)
    optimizer = keras.optimizers.SGD(learning_rate_schedule(config, 0.5, 100, start_step=2))
    other = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for step in (0, 5, 20, 50):
        optimizer.iterations.assign(step)
        other.iterations.assign(step)
        assert float(optimizer.learning_rate) == float(other.learning_rate)
