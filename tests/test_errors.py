import pickle

import pytest

from tfpanoptic.errors import InputError, SettingError, settings_of


def test_a_wrong_setting_has_its_path_before_the_message():
    error = SettingError("model.backbone.name", "expected one of resnet50, found 'resnet9'")
    assert error.path == "model.backbone.name"
    assert str(error) == "model.backbone.name: expected one of resnet50, found 'resnet9'"


def test_a_wrong_setting_comes_back_from_another_process():
    error = pickle.loads(pickle.dumps(SettingError("augment.crop", "found [16, 33]")))
    assert (error.path, str(error)) == ("augment.crop", "augment.crop: found [16, 33]")


def test_a_wrong_setting_is_told_with_its_file():
    with pytest.raises(InputError, match=r"^runs/a.yaml: augment.crop: found 3$"), settings_of("runs/a.yaml"):
        raise SettingError("augment.crop", "found 3")


def test_other_errors_are_told_as_they_are_whatever_they_begin_with():
    with pytest.raises(InputError, match=r"^model.jpg: no such file$"), settings_of("runs/a.yaml"):
        raise InputError("model.jpg: no such file")
