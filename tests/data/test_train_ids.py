import numpy as np
import pytest
from PIL import Image

from tfpanoptic.data.cityscapes_ids import read_instance_ids
from tfpanoptic.data.train_ids import read_predicted_ids
from tfpanoptic.errors import InputError

# Label id -> train id. Source: the label table of the Cityscapes scripts.
TRAIN_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 33: 18}


def in_train_ids(values, void=255):
    """Values of a truth in train ids; what is not evaluated becomes void."""
    labels = np.where(values < 1000, values, values // 1000)
    train = np.vectorize(lambda label: TRAIN_IDS.get(label, void))(labels)
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


@pytest.mark.parametrize("void", [255, 19, 65535])
@pytest.mark.parametrize("semantic", [False, True], ids=["instances", "semantic"])
@pytest.mark.parametrize("name", TRUTHS)
def test_train_ids_are_named(name, semantic, void, tmp_path):
    truth = np.array(TRUTHS[name])
    predicted = in_train_ids(truth, void)
    predicted = np.where(
        (predicted < 1000) | (predicted == void), predicted, predicted // 1000 if semantic else predicted
    )
    paths = write_ids(tmp_path / "pred.png", predicted), write_ids(tmp_path / "gt.png", truth)
    with pytest.raises(
        InputError,
        match=r"pred\.png: looks like train ids, .* 100% of the pixels, as label ids in 0%; expected label ids",
    ):
        read_predicted_ids(*paths)


@pytest.mark.parametrize("void", [255, 65535])
def test_poor_train_ids_are_named_where_a_value_is_no_label(void, tmp_path):
    truth = np.array([[7, 7, 7, 7], [11, 11, 23, 23], [24001, 3, 3, 3]])
    predicted = [[1, 1, 1, 0], [1, 1, 1, 10], [1, void, void, void]]  # 2 of 9 pixels right, as label ids none
    paths = write_ids(tmp_path / "pred.png", predicted), write_ids(tmp_path / "gt.png", truth)
    with pytest.raises(InputError, match=r"looks like train ids, .* 22% of the pixels, as label ids in 0%"):
        read_predicted_ids(*paths)


def test_a_value_of_no_label_among_label_ids_is_named(tmp_path):
    paths = write_ids(tmp_path / "pred.png", [[7, 11, 255]]), write_ids(tmp_path / "gt.png", [[7, 11, 0]])
    with pytest.raises(InputError, match=r"pred\.png: value 255 is no Cityscapes label"):
        read_predicted_ids(*paths)


@pytest.mark.parametrize(
    ("truth", "predicted"),
    [
        *((TRUTHS["all"], TRUTHS[name]) for name in ("all", "stuff alone", "numbered from 0")),
        (TRUTHS["all"], [[7, 7, 7, 7], [11, 11, 11, 11], [0, 0, 0, 0]]),  # right by more than half
        (TRUTHS["all"], [[0, 0, 0, 0]] * 3),
        (TRUTHS["all"], [[11, 11, 13, 13]] * 3),  # all wrong, by both
        (TRUTHS["all"], [[7, 7001, 11001, 26001]] * 3),
        ([[7, 11]], [[7, 11001]]),  # stuff with a number
        ([[7, 13, 17]], [[7000, 13002, 17001]]),
        ([[7, 7, 7, 7, 11]], [[0, 0, 0, 0, 11]]),  # nothing on the road; 0 is the road as a train id
        ([[7]], [[0]]),
        ([[21, 21, 21, 8]], [[8, 8, 8, 8]]),  # sidewalk alone; 8 is vegetation as a train id
    ],
)
def test_label_ids_pass(truth, predicted, tmp_path):
    paths = write_ids(tmp_path / "pred.png", predicted), write_ids(tmp_path / "gt.png", truth)
    own = read_instance_ids(paths[0], truth=False)
    np.testing.assert_array_equal(read_predicted_ids(*paths).ids, own.ids)
