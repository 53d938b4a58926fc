import time

import pytest

from tfpanoptic.threads import in_order


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_results_come_in_the_order_of_the_items(workers):
    def slow_at_first(number):
        time.sleep(0.02 * (number == 0))
        return 10 * number

    assert list(in_order(slow_at_first, range(7), workers)) == [0, 10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize("workers", [1, 2])
def test_after_a_failure_what_waits_is_not_begun(workers):
    begun = []

    def work(number):
        begun.append(number)
        if number == 0:
            raise ValueError("first")
        time.sleep(0.05)

    with pytest.raises(ValueError, match="first"):
        list(in_order(work, range(50), workers))
    assert 0 in begun and len(begun) < 25
