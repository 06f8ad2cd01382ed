import pathlib
import re

import av
import cv2
import numpy as np
import pytest

from tests.conftest import REAL_CLASS, numbered_frame, write_video
from tfds_haa500.problems import ClipError
from tfds_haa500.sources import cut, relaxed
from tfds_haa500.streams import video


def decoded(clip: video.EncodedClip) -> np.ndarray:
    frames = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) for jpeg in clip.frames]
    return np.stack(frames)


def written(tmp_path, *args, **kwargs) -> bytes:
    path = tmp_path / "clip.mp4"
    write_video(path, *args, **kwargs)
    return path.read_bytes()


def test_all_frames_in_order_at_the_native_rate(tmp_path):
    clip = video.encode_clip(written(tmp_path, 31, fps=24))
    frames = decoded(clip)
    assert clip.fps == 24
    assert frames.shape == (31, 48, 64, 3)
    expected = np.stack([numbered_frame(t) for t in range(31)])
    assert np.abs(frames.mean(-1) - expected).mean() < 2.5
    assert np.all(np.diff(frames.mean((1, 2, 3))) > 2)


@pytest.mark.parametrize(
    ("size", "stored"), [((512, 1024), (256, 512)), ((400, 300), (341, 256)), ((48, 64), (48, 64))]
)
def test_short_side_is_scaled_down_never_up(tmp_path, size, stored):
    clip = video.encode_clip(written(tmp_path, 2, size=size))
    assert decoded(clip).shape[1:3] == stored
    assert clip.size == size[::-1]


def test_frames_of_two_sizes(tmp_path, monkeypatch):
    frames = [av.VideoFrame(width, 48, "yuv420p") for width in (64, 64, 80)]
    monkeypatch.setattr(video, "decode_frames", lambda container, stream: iter(frames))
    with pytest.raises(ClipError, match="changes its frame size from 64x48 to 80x48"):
        video.encode_clip(written(tmp_path, 3))


def test_rotated_phone_video_is_stored_upright(tmp_path):
    path = tmp_path / "rotated.mp4"

    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 255  # bright top left
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.set_display_rotation(90)  # counter-clockwise: top left becomes bottom left
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    clip = video.encode_clip(path.read_bytes())
    assert clip.size == (48, 64)
    frame = decoded(clip)[0].mean(-1)
    assert frame.shape == (64, 48)
    assert frame[40:, :20].mean() > 200
    assert frame[:24].mean() < 60


def write_with_foreign_metadata(path: pathlib.Path, num_frames: int) -> None:
    """As `write_video`, with a title of the file and one of its video stream whose bytes are not UTF-8."""
    title, foreign = "TITLETITLE", "Übung".encode("latin-1") + b"\xff\xfe\xc3("
    assert len(title) >= len(foreign)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = title
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.metadata["title"] = title
        for t in range(num_frames):
            image = np.repeat(numbered_frame(t)[..., None], 3, axis=2).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    data = path.read_bytes()
    assert title.encode() in data
    path.write_bytes(data.replace(title.encode(), foreign.ljust(len(title))))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mov"])
def test_metadata_that_are_not_utf8(tmp_path, suffix):
    """With the PyAV of every supported Python: they differ in how a file is opened."""
    path = tmp_path / f"clip.{suffix}"
    write_with_foreign_metadata(path, 12)
    assert len(video.encode_clip(path.read_bytes()).frames) == 12
    assert len(cut.encode_segment(path, 0.2, 0.6).frames) == 4
    assert relaxed.duration(path) == pytest.approx(1.2)


def fast_start(tmp_path, num_frames: int) -> bytes:
    """An mp4 with its index in front, which opens well when its end is missing."""
    return written(tmp_path, num_frames, container_options={"movflags": "faststart"})


@pytest.mark.parametrize("missing", [1, 200])
def test_truncated_video_with_its_index_in_front(tmp_path, missing):
    data = fast_start(tmp_path, 40)
    assert len(video.encode_clip(data).frames) == 40
    with pytest.raises(ClipError, match="truncated"):
        video.encode_clip(data[:-missing])


def test_samples_that_are_not_there_are_missed(tmp_path, monkeypatch):
    data = fast_start(tmp_path, 40)
    monkeypatch.setattr(video, "decode_frames", lambda container, stream: iter(()))
    with pytest.raises(ClipError, match="has no frames"):
        video.encode_clip(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "the file is empty"), (b"not a video" * 99, "cannot be decoded"), (bytes(5000), "cannot be decoded")],
)
def test_not_a_video(data, reason):
    with pytest.raises(ClipError, match=reason):
        video.encode_clip(data)


def test_cut_in_half(tmp_path):
    data = written(tmp_path, 40)
    with pytest.raises(ClipError):
        video.encode_clip(data[: len(data) // 2])


def test_sound_without_pictures(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ClipError, match="no video stream"):
        video.encode_clip(path.read_bytes())


def test_a_flipped_byte_in_the_pictures_is_hardly_ever_unnoticed(tmp_path):
    """Nearly every damaged byte must be noticed: a decoder that conceals would store made-up frames."""
    data = bytearray(fast_start(tmp_path, 40))
    start = data.find(b"mdat") + 700  # after the encoder's own text
    outcomes = []
    for position in np.linspace(start, len(data) - 1, 30).astype(int):
        damaged = data.copy()
        damaged[position] ^= 0x55
        try:
            video.encode_clip(bytes(damaged))
            outcomes.append("unnoticed")
        except ClipError as error:
            outcomes.append(str(error))
    assert outcomes.count("unnoticed") <= 3
    known = re.compile("unnoticed|cannot be decoded|is truncated|is damaged")
    assert [outcome for outcome in outcomes if not known.match(outcome)] == []


@pytest.mark.skipif(not REAL_CLASS.exists(), reason="the real clips are not on this machine")
def test_real_clips_keep_their_frame_counts():
    counts = [112, 58, 42, 61, 39, 28, 52, 115, 33, 43, 35, 33, 88, 58, 70, 35, 61, 85, 34, 44]
    folder = REAL_CLASS / "video" / "pushup"
    clips = [video.encode_clip((folder / f"pushup_{k:03d}.mp4").read_bytes()) for k in range(20)]
    assert [len(clip.frames) for clip in clips] == counts
    assert {clip.fps for clip in clips} == {30.0}
