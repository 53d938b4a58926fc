from tfpanoptic import progress as module
from tfpanoptic.progress import progress


def test_elsewhere_than_on_a_terminal_the_end_is_a_line(capsys):
    with progress("train", total=3, done=1) as track:
        track.advance()
        track.advance(note="loss 0.5")
    assert capsys.readouterr().err == "train 3/3, 0:00 left  loss 0.5\n"


def test_the_time_left_follows_from_the_pace(capsys, monkeypatch):
    # 2 of 10 done at the start. The first of the others takes a minute, which compiling does; the next two
    # take 30 s, so that the last five take 75 s.
    clock = iter([100.0, 100.0, 160.0, 190.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with progress("train", total=10, done=2) as track:
        track.advance()
        track.advance(2)
    assert capsys.readouterr().err == "train 5/10, 1:15 left\n"
