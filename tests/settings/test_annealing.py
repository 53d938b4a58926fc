import pytest

from tfpanoptic.settings.annealing import annealing_steps


def test_they_are_the_published_ones_of_eomt_l():
    """88,692 steps, twelve epochs of COCO, and four query blocks."""
    starts, ends = annealing_steps(88_692, 4)
    assert starts == (14_782, 29_564, 44_346, 59_128)
    assert ends == (29_564, 44_346, 59_128, 73_910)


def test_the_masks_of_a_block_go_when_those_of_the_block_before_have_gone():
    # 22 steps in five phases: 4.4, 8.8, 13.2 and 17.6, rounded down.
    starts, ends = annealing_steps(22, 3)
    assert starts == (4, 8, 13) and ends == (8, 13, 17)


@pytest.mark.parametrize("steps, blocks", [(4, 3), (0, 1), (10, 0)])
def test_a_run_that_is_shorter_than_its_phases_is_refused(steps, blocks):
    with pytest.raises(ValueError, match=f"got {steps}"):
        annealing_steps(steps, blocks)
