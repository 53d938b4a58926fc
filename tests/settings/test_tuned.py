import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.settings.tuned import TunedSettings, read_tuned

TUNED = TunedSettings(
    {"model.postprocess.center_threshold": 0.25, "model.postprocess.nms_kernel": 17},
    {"model.postprocess.center_threshold": 0.5, "model.postprocess.nms_kernel": 7},
    step=1200,
)


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "tuned.json"
    path.write_text(TUNED.to_json())
    assert read_tuned(path) == TUNED
    assert TUNED.overrides == ("model.postprocess.center_threshold=0.25", "model.postprocess.nms_kernel=17")
    assert TUNED.changes() == "center_threshold 0.5 -> 0.25, nms_kernel 7 -> 17"
    assert TUNED.changes({"model.postprocess.nms_kernel"}) == "center_threshold 0.5 -> 0.25"


TEXTS = [
    "",
    "{",
    "[1]",
    '{"settings": 3, "trained": {}}',
    '{"settings": [], "trained": {}}',
    '{"settings": {}, "trained": []}',
    '{"other": 1}',
    '{"settings": {}}',
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_damaged_file_is_named_with_the_way_out(tmp_path, text):
    (tmp_path / "tuned.json").write_text(text)
    with pytest.raises(InputError, match=r"tuned\.json: damaged .*--reset` removes it"):
        read_tuned(tmp_path / "tuned.json")


def test_settings_that_weights_depend_on_are_refused(tmp_path):
    (tmp_path / "tuned.json").write_text(TunedSettings({"model.align_corners": True}, {}).to_json())
    with pytest.raises(InputError, match=r"expected settings of model\.postprocess\.\*, found model\.align_corners"):
        read_tuned(tmp_path / "tuned.json")
