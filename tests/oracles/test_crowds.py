import numpy as np

from tfpanoptic.oracles.crowds import crowds_as_instances
from tfpanoptic.panoptic_map import MAX_INSTANCE, encode


def test_a_crowd_becomes_one_more_instance_and_nothing_else_changes():
    # Void, stuff 1, instance 3 of thing 2, a crowd of thing 2.
    panoptic = np.array([[0, encode(1, 0), encode(2, 3), encode(2, 0)]])
    result = crowds_as_instances(panoptic, np.array([False, False, True]))
    assert result.tolist() == [[0, encode(1, 0), encode(2, 3), encode(2, MAX_INSTANCE)]] and result.dtype == np.int32
