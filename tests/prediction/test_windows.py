import json

import numpy as np
import pytest

from haa_jax.prediction import read_ahead, videos, windows
from haa_jax.prediction.windows import Length
from tests.conftest import write_video
from tfds_haa500.streams import video

RGB, ALL = {}, {"flow": "dis", "pose": "", "boxes": "", "objects": ""}


def cut(count, size, step):
    """The windows of a sequence, and the most items that were held."""
    alive, most = set(), []

    class Item(int):
        def __new__(cls, value):
            alive.add(value)
            most.append(len(alive))
            return super().__new__(cls, value)

        def __del__(self):
            alive.discard(int(self))

    found = [(list(map(int, held)), *ends) for held, *ends in windows.cut(map(Item, range(count)), size, step)]
    assert all(held == list(range(*ends)) for held, *ends in found)
    return [tuple(ends) for _, *ends in found], max(most)


def test_lengths():
    assert windows.parse_length("window", "2s").frames(29.97) == pytest.approx(59.94)
    assert windows.parse_length("step", "0.5s") == Length(0.5, "s")
    assert windows.parse_length("window", "64f").frames(29.97) == 64
    assert Length(0.01, "s").frames(10) == 1
    for wrong in ("2", "0s", "1.5f", "-1s", "2 s", "2m"):
        with pytest.raises(windows.WindowError, match=f"--window={wrong}: must be seconds, such as 2s, or frames"):
            windows.parse_length("window", wrong)


@pytest.mark.parametrize(
    ("count", "size", "step", "expected"),
    [
        (12, 4, 4, [(0, 4), (4, 8), (8, 12)]),
        (10, 4, 4, [(0, 4), (4, 8), (6, 10)]),  # the last one ends with the video
        (10, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10)]),
        (3, 4, 4, [(0, 3)]),
        (9, 2, 4, [(0, 2), (4, 6), (7, 9)]),
        (8, 2, 4, [(0, 2), (4, 6)]),  # the end is one of the gaps
        (9, 3, 1.5, [(0, 3), (2, 5), (3, 6), (4, 7), (6, 9)]),
        (0, 4, 4, []),
    ],
)
def test_windows_of_a_sequence(count, size, step, expected):
    if not count:
        assert list(windows.cut(iter(()), size, step)) == []
        return
    found, held = cut(count, size, step)
    assert found == expected
    assert held <= 2 * size + 1  # of the window that is used and the one that is gathered


@pytest.fixture
def recorded(tmp_path):
    """A video of 23 frames, and the files of all streams next to it."""
    write_video(tmp_path / "a.mp4", 23)
    people = [{"image_id": t, "keypoints": [t + 1, 12, 1] * 17, "score": 2.0} for t in range(0, 23, 2)]
    things = [{"image_id": t, "category_id": 52, "bbox": [0, 0, t + 1, 8], "score": 0.5} for t in range(23)]
    boxes = "".join(f"{t},0,0,{t + 1},48\n" for t in range(23))
    for stream, suffix, text in (
        ("pose", "json", json.dumps(people)),
        ("objects", "json", json.dumps(things)),
        ("boxes", "csv", f"frame,x,y,width,height\n{boxes}"),
    ):
        (tmp_path / stream).mkdir()
        (tmp_path / stream / f"a.{suffix}").write_text(text)
    return tmp_path / "a.mp4"


def test_a_window_is_stored_as_the_same_frames_of_the_whole_video(recorded):
    whole = videos.read(recorded, ALL)
    parts = list(windows.split(recorded, ALL, Length(8, "f"), Length(0.6, "s")))
    assert [(part.start, part.end) for part in parts] == [
        pytest.approx(times) for times in ((0, 0.8), (0.6, 1.4), (1.2, 2.0), (1.5, 2.3))
    ]
    assert [part.share for part in parts] == [8 / 23, 14 / 23, 20 / 23, 1]
    for part, first in zip(parts, (0, 6, 12, 15), strict=True):
        found = part.example
        assert found.keys() == whole.keys()
        assert found["fps"] == whole["fps"]
        assert found["video"] == whole["video"][first : first + 8]
        for axis in ("flow_x", "flow_y"):
            assert found[axis] == whole[axis][first : first + 7]
        for name in ("pose", "person_box"):
            np.testing.assert_array_equal(found[name], whole[name][first : first + 8])
        np.testing.assert_array_equal(found["objects"][:, 0], np.arange(8))
        np.testing.assert_array_equal(found["objects"][:, 1:], whole["objects"][first : first + 8, 1:])


def test_a_video_without_windows_is_one_clip(recorded):
    (part,) = windows.whole(str(recorded), RGB)
    assert (part.start, part.end, part.share) == (0, 2.3, 1)
    assert part.example == videos.read(recorded, RGB)
    (short,) = windows.split(recorded, RGB, Length(60, "s"), Length(60, "s"))
    assert (short.example, short.end) == (part.example, pytest.approx(2.3))


def test_a_long_video_is_never_in_memory(tmp_path, monkeypatch):
    write_video(tmp_path / "long.mp4", 400, size=(16, 16))
    alive, most, encode = [0], [0], video.encode_jpeg

    class Held(bytes):
        def __new__(cls, data):
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            return super().__new__(cls, data)

        def __del__(self):
            alive[0] -= 1

    monkeypatch.setattr(video, "encode_jpeg", lambda image: Held(encode(image)))
    job = lambda: windows.split(tmp_path / "long.mp4", RGB, Length(10, "f"), Length(10, "f"))  # noqa: E731
    count = 0
    for _, part in read_ahead.in_order([job], threads=1, ahead=1):
        count += part is not None
        del part
    assert count == 40
    # A window is used, one waits, one is handed over, and one is being decoded.
    assert most[0] <= 4 * 10 + 2


def test_videos_that_cannot_be_used(tmp_path, archive_dir):
    def read(data, window="8f", stored=RGB):
        (tmp_path / "a.mp4").write_bytes(data)
        return windows.split(tmp_path / "a.mp4", stored, windows.parse_length("window", window), Length(8, "f"))

    whole = (archive_dir / "video" / "CPR" / "CPR_019.mp4").read_bytes()
    with pytest.raises(videos.VideoError, match=r"a\.mp4: the file is empty"):
        next(read(b""))
    with pytest.raises(videos.VideoError, match=r"a\.mp4: "):
        next(read(whole[: len(whole) // 2]))  # before the first window
    with pytest.raises(videos.VideoError, match=r"a\.mp4: has a window of one frame, and flow needs two"):
        next(read(whole, "1f", {"flow": "dis"}))
    with pytest.raises(videos.VideoError, match="needs pose, and there is no"):
        next(read(whole, stored={"pose": ""}))


def test_readers_run_ahead_in_order_and_pass_on_what_is_wrong():
    def good(name):
        return lambda: iter([f"{name}0", f"{name}1"])

    def bad():
        yield "b0"
        raise videos.VideoError("b is bad")

    found = list(read_ahead.in_order([good("a"), bad, good("c")], threads=2, ahead=1))
    assert [(number, str(item)) for number, item in found] == [
        *((0, "a0"), (0, "a1"), (0, "None"), (1, "b0"), (1, "b is bad"), (2, "c0"), (2, "c1"), (2, "None"))
    ]

    def broken():
        yield 0
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(read_ahead.in_order([broken], threads=1, ahead=1))


def test_readers_end_when_nobody_reads_on():
    ended = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            ended.append(True)

    reading = read_ahead.in_order([endless, endless], threads=2, ahead=1)
    next(reading)
    reading.close()
    assert ended == [True, True]
