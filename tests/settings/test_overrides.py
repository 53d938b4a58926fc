import pytest

from tfpanoptic.errors import InputError
from tfpanoptic.settings.overrides import require_changeable, split_overrides


def test_arguments_with_an_equals_sign_are_settings_unless_such_a_file_exists(tmp_path):
    (tmp_path / "a=b.jpg").touch()
    photos = [str(tmp_path / "a=b.jpg"), "c.jpg"]
    settings = ["model.postprocess.stuff_area=9", f"{tmp_path}/d=e.jpg"]
    assert split_overrides([photos[0], settings[0], photos[1], settings[1]]) == (photos, settings)


@pytest.mark.parametrize(
    "override",
    [
        "training.steps=3",
        "model.backbone.name=resnet50",
        "model.postprocess={}",
        "model.postprocess_=3",
        "model.postprocess.stuff_area",
        "test_time=true",
        "test_time_flip=true",
        "input.long_side=9",
        "runs/b",
    ],
)
def test_what_a_trained_model_cannot_change_is_refused_with_the_reason(override):
    words = r"expected model\.postprocess\.key=value, test_time\.key=value or input\.max_long_side=number; .* training"
    with pytest.raises(InputError, match=words) as error:
        require_changeable(["model.postprocess.stuff_area=9", "test_time.flip=true", "input.max_long_side=9", override])
    assert repr(override) in str(error.value)


def test_a_setting_longer_than_any_file_name_is_a_setting():
    argument = f"model.postprocess.key={'1' * 5000}"
    assert split_overrides([argument]) == ([], [argument])
