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
