import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.cityscapes import read_instance_ids, read_predicted_ids
from tfpanoptic.errors import InputError

# Label id -> train id. Source: the label table of the Cityscapes scripts.
TRAIN_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 33: 18}


def in_train_ids(values):
    """Values of a truth in train ids; what is not evaluated becomes 255."""
    labels = np.where(values < 1000, values, values // 1000)
    train = np.vectorize(lambda label: TRAIN_IDS.get(label, 255))(labels)
    return np.where(values < 1000, train, train * 1000 + values % 1000)


def write_ids(path, values):
    Image.fromarray(np.asarray(values, np.uint16)).save(path)
    return path


TRUTHS = {
    "all": [[7, 7, 7, 8], [11, 23, 23, 21], [26001, 26001, 24001, 24002]],
    "stuff alone": [[7, 7, 7, 7], [11, 23, 23, 21], [8, 8, 4, 3]],
    "road and vegetation": [[7, 7, 7, 7], [21, 21, 21, 21], [21, 21, 21, 21]],
    "numbered from 0": [[7, 7, 7, 8], [11, 23, 23, 21], [26000, 26000, 24000, 24000]],
}


@pytest.mark.parametrize("semantic", [False, True], ids=["instances", "semantic"])
@pytest.mark.parametrize("name", TRUTHS)
def test_train_ids_are_named(name, semantic, tmp_path):
    truth = np.array(TRUTHS[name])
    predicted = in_train_ids(truth)
    predicted = np.where(predicted < 1000, predicted, predicted // 1000) if semantic else predicted
    paths = write_ids(tmp_path / "pred.png", predicted), write_ids(tmp_path / "gt.png", truth)
    with pytest.raises(InputError, match=r"pred\.png: looks like train ids, in which .*; expected label ids"):
        read_predicted_ids(*paths)


@pytest.mark.parametrize(
    "values",
    [
        *(TRUTHS[name] for name in ("all", "stuff alone", "numbered from 0")),
        [[7, 7, 7, 7], [11, 11, 11, 11], [0, 0, 0, 0]],  # values that train ids have, too, right by more than half
        [[0, 0, 0, 0]] * 3,
        [[11, 11, 13, 13]] * 3,  # all wrong, by both
        [[7, 7001, 11001, 26001]] * 3,  # stuff with a number beside a label that no train id is
    ],
)
def test_label_ids_pass(values, tmp_path):
    paths = write_ids(tmp_path / "pred.png", values), write_ids(tmp_path / "gt.png", TRUTHS["all"])
    own = read_instance_ids(paths[0], truth=False)
    np.testing.assert_array_equal(read_predicted_ids(*paths).ids, own.ids)
