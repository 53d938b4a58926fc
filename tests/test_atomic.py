import pytest

from tfpanoptic.atomic import new_folder, replace_file, require_outside, require_unread
from tfpanoptic.errors import InputError


def test_a_file_is_replaced(tmp_path):
    for content in ("first", b"second"):
        replace_file(tmp_path / "new" / "file", content)
    assert (tmp_path / "new/file").read_bytes() == b"second"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file"]


def test_a_link_stays_one_and_its_file_is_replaced(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    replace_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"


def test_a_pipe_is_written_to(tmp_path):
    import os
    import threading

    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    replace_file(tmp_path / "pipe", "content")
    reader.join(timeout=10)
    assert read == ["content"] and (tmp_path / "pipe").is_fifo()


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with new_folder(tmp_path / "out", ["marker", "old", "new"]) as folder:
        (folder / "marker").touch()
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out/marker").exists()


def test_a_folder_that_failed_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), new_folder(tmp_path / "out", ["marker", "old", "new"]) as folder:
        (folder / "marker").touch()
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_the_same_kind_is_replaced_when_asked(tmp_path):
    for name in ("old", "new"):
        with new_folder(tmp_path / "out", ["marker", "old", "new"], overwrite=True) as folder:
            (folder / "marker").touch()
            (folder / name).touch()
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"marker", "new"}


@pytest.mark.parametrize(
    "content, overwrite, words", [("marker", False, "--overwrite"), ("thesis.txt", True, "something else")]
)
def test_what_must_not_be_replaced_stays(tmp_path, content, overwrite, words):
    (tmp_path / content).touch()
    with pytest.raises(InputError, match=words), new_folder(tmp_path, ["marker", "old", "new"], overwrite):
        pass
    assert (tmp_path / content).exists()


def test_a_file_in_the_way_is_named_and_nothing_is_left(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="file: is a file"):
        replace_file(tmp_path / "file" / "below" / "x.json", "")
    with pytest.raises(InputError, match="folder: is a folder"):
        replace_file(tmp_path / "folder", "")
    with pytest.raises(InputError, match="file: is a file"), new_folder(tmp_path / "file" / "below", []):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: is a file"), new_folder(tmp_path / "file", ["marker", "old", "new"]):
        pass


def test_an_output_is_known_as_an_input_by_any_name(tmp_path):
    (tmp_path / "deep").mkdir()
    read = tmp_path / "read.png"
    read.write_bytes(b"")
    (tmp_path / "link").symlink_to(read)
    (tmp_path / "hard").hardlink_to(read)
    (tmp_path / "out.json.writing").hardlink_to(read)  # where `out.json` is written first
    for output in ("read.png", "deep/../read.png", "link", "hard", "out.json"):
        with pytest.raises(InputError, match=f"{output}: is read by this command; expected another file to write"):
            require_unread([tmp_path / "new", tmp_path / output], [tmp_path / "none", tmp_path, read])


def test_an_output_that_is_not_read_passes(tmp_path):
    (tmp_path / "old.json").write_text("{}")
    (tmp_path / "read.png").write_text("{}")
    require_unread([tmp_path / "old.json", tmp_path / "new.json", "/dev/null"], [tmp_path / "read.png", "/dev/null"])


@pytest.mark.parametrize(
    "inside", ["out/photo.png", "out/deep/photo.png", "out", "link", "out/link", "out.writing/p.png"]
)
def test_what_is_read_does_not_lie_in_a_folder_that_is_replaced(inside, tmp_path):
    (tmp_path / "out/deep").mkdir(parents=True)
    (tmp_path / "photo.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "out/deep")
    (tmp_path / "out/link").symlink_to(tmp_path / "photo.png")
    require_outside(tmp_path / "out", [tmp_path / "photo.png", tmp_path, tmp_path / "output"])
    with pytest.raises(InputError, match=f"{inside}: is read by this command; expected another folder to write than"):
        require_outside(tmp_path / "out", [tmp_path / "photo.png", tmp_path / inside])
