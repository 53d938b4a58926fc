import numpy as np
import pytest

from tfpanoptic.errors import WorkFailed
from tfpanoptic.tune.stored_outputs import StoredOutputs


def arrays(seed):
    random = np.random.default_rng(seed)
    maps = random.normal(size=(1, 5 + seed, 7, 3)).astype("float32")
    return {"maps": maps, "ids": random.integers(0, 9, (1, 4), dtype="int32"), "none": np.zeros((1, 0, 2), "float32")}


@pytest.mark.parametrize("kept", [0, 2, 5])
def test_what_is_stored_comes_back_bit_for_bit_from_memory_and_file(kept):
    given = [arrays(seed) for seed in range(5)]
    stored = StoredOutputs(sum(array.nbytes for entry in given[:kept] for array in entry.values()))
    for entry in given:
        stored.append(entry)
    assert len(stored) == 5 and (stored._file is None) == (kept == 5)
    for place in (4, 0, 2, 1, 3):
        for name, array in given[place].items():
            found = stored[place][name]
            assert found.dtype == array.dtype and found.shape == array.shape
            np.testing.assert_array_equal(found, array)


def test_the_announcement_says_where_they_will_be():
    entry = {"maps": np.zeros(10**6, "float32")}  # 4 MB
    assert "10 images: about 0.04 GB, in memory" in StoredOutputs(10**9).announce(entry, 10)
    assert "about 4 GB, of which 3 GB in a temporary file" in StoredOutputs(10**9).announce(entry, 1000)


def test_a_disk_without_room_is_told_before_the_work():
    entry = {"maps": np.zeros(10**6, "float32")}
    with pytest.raises(WorkFailed, match=r"are needed for the outputs of 1000000000 images.*--limit"):
        StoredOutputs(0).announce(entry, 10**9)
