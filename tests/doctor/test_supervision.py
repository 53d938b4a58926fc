"""What the annotations of a split teach, beyond the breaks of `test_check.py`."""

import numpy as np
import pytest

from tests.doctor.small_data import COW, SCENE, Data
from tests.doctor.test_check import ten_single_things


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path / "data")


def test_one_image_with_two_things_of_a_category_shows_that_they_are_instances(data):
    ten_single_things(data)
    data.draw("a.png", np.where((SCENE == 70_000) & (np.arange(10) < 5), 5, SCENE))
    # The cow of 4 x 5 pixels from column 3 on is cut before column 5.
    data.segments()[2].update(area=12, bbox=[5, 4, 3, 4])
    data.segments().append({"id": 5, "category_id": COW, "area": 8, "bbox": [3, 4, 2, 4]})
    assert data.codes() == {"tiny": 2}


def test_stuff_that_is_listed_and_never_labelled_is_told(data):
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        del data.segments(number)[:2]
        data.draw(name, np.where(SCENE == 70_000, SCENE, 0))
    assert data.codes() == {"no-stuff": 1, "category-unseen": 2, "much-void": 3}
