import os

import pytest

from tfpanoptic.data.layout import folder_names, require_part, require_root, require_split
from tfpanoptic.errors import InputError, SettingError


def make(root, *folders):
    for folder in folders:
        (root / folder).mkdir(parents=True)


def test_the_first_place_that_is_there_is_taken(tmp_path):
    make(tmp_path, "b", "c")
    assert require_part(tmp_path, ["a", "b", "c"], "parts") == tmp_path / "b"


@pytest.mark.parametrize(
    ("folders", "root", "told"),
    [
        (["zip/b/val"], ".", r"one level too deep, at .*/zip/b/val"),
        (["b/b/val"], ".", r"one level too deep, at .*/b/b/val"),
        (["b/val"], "b", r"found val; .* has it: give that as data\.root"),
        (["b/val"], "b/val", r"found nothing; .* has it: give that as data\.root"),
        (["elsewhere"], ".", r"found elsewhere$"),
    ],
)
def test_where_a_missing_part_lies_is_told(tmp_path, folders, root, told):
    make(tmp_path, *folders)
    with pytest.raises(SettingError, match=rf"^data\.root: .*no b/val; expected parts; .*{told}"):
        require_part(tmp_path / root, ["b/val"], "parts")


def test_a_hint_comes_last(tmp_path):
    with pytest.raises(SettingError, match="no a or b; expected parts; found nothing; make them$"):
        require_part(tmp_path, ["a", "b"], "parts", "make them")


def test_few_names_of_a_folder_are_told(tmp_path):
    make(tmp_path, ".hidden", *(f"f{number}" for number in range(9)))
    assert folder_names(tmp_path) == "f0, f1, f2, f3, f4, f5, f6, f7 and 1 more"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be listed")
def test_a_folder_that_cannot_be_listed_is_no_traceback(tmp_path):
    tmp_path.chmod(0)
    assert "cannot be listed" in folder_names(tmp_path)
    tmp_path.chmod(0o700)


def test_a_root_that_is_a_file_is_told(tmp_path):
    (tmp_path / "a.zip").touch()
    with pytest.raises(SettingError, match=r"^data\.root: .*a\.zip: is a file; expected a folder with parts"):
        require_root(str(tmp_path / "a.zip"), "parts")


def test_splits_are_train_and_val():
    require_split("set", "train")
    with pytest.raises(InputError, match="set has the splits train and val, not 'test'"):
        require_split("set", "test")
