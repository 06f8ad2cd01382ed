"""Parts of videos as files of their own: the same frames, to the frame."""

import fractions
import io

import av
import cv2
import numpy as np
import pytest

from tests.conftest import SIZE
from tests.tfds_haa500.videos import REAL_CLIPS, brightness, write_encoded
from tfds_haa500.problems import ClipError
from tfds_haa500.sources import clip_file, cut
from tfds_haa500.streams import video


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".ts"])
def test_a_file_holds_exactly_the_frames_of_its_part(tmp_path, suffix):
    path = tmp_path / f"source{suffix}"
    write_encoded(path, "libx264" if suffix == ".ts" else "mpeg4", 40, g=12, bf=2)
    whole = brightness(video.encode_clip(path.read_bytes()).frames)
    for start, end in ((0, 1), (1.1, 2.4), (2.35, 2.45), (3.9, 4.0)):
        made = clip_file.encode(path, start, end)
        stored, wanted = video.encode_clip(made.data), [t for t in range(40) if start <= t / 10 < end]
        assert len(stored.frames) == made.frames == len(wanted)
        np.testing.assert_allclose(brightness(stored.frames), whole[wanted], atol=1)  # 4 levels a frame
        assert (stored.fps, stored.size, made.fps, made.trimmed) == (10, SIZE[::-1], 10, None)


def test_the_same_part_is_the_same_file(tmp_path):
    write_encoded(tmp_path / "source.mp4", "mpeg4", 20)
    assert (
        clip_file.encode(tmp_path / "source.mp4", 0.5, 1).data == clip_file.encode(tmp_path / "source.mp4", 0.5, 1).data
    )


# Rows of the release's pushup.txt, and the frames of their clips. The sources' rates are not known: these fit.
NTSC, FILM = fractions.Fraction(30000, 1001), fractions.Fraction(24000, 1001)
RELEASED = ((NTSC, 3.37, 7.08, 112), (FILM, 182.71, 185.11, 58), (NTSC, 7.18, 8.58, 42))


@pytest.mark.parametrize(("rate", "start", "end", "frames"), RELEASED)
def test_rows_of_the_release_give_as_many_frames_as_its_clips_have(tmp_path, rate, start, end, frames):
    with av.open(str(tmp_path / "source.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate, options={"g": "12"})
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        image = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        for t in range(round(rate * (end + 1))):
            image.pts, image.time_base = t, 1 / rate
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    made = clip_file.encode(tmp_path / "source.mp4", start, end)
    assert made.frames == frames
    with av.open(io.BytesIO(made.data)) as container:
        assert container.streams.video[0].average_rate == rate


def test_an_odd_side_loses_its_last_row_and_says_so(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (6, 8)).repeat(8, 0).repeat(8, 1)[:47, :63, None].repeat(3, 2)
    with av.open(str(tmp_path / "odd.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 47, 63, "bgr0"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image.astype(np.uint8), format="rgb24")))
        container.mux(stream.encode())
    made = clip_file.encode(tmp_path / "odd.mkv", 0, 0.5)
    assert made.trimmed == (63, 47)
    (first, *_), wanted = video.encode_clip(made.data).frames, image[:46, :62]
    stored = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR)
    assert stored.shape == wanted.shape
    assert np.abs(stored.astype(int) - wanted).mean() < 4


def test_a_video_that_is_stored_sideways_becomes_upright(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 255
    with av.open(str(tmp_path / "phone.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.set_display_rotation(90)  # counter-clockwise: top left becomes bottom left
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    made = clip_file.encode(tmp_path / "phone.mp4", 0, 0.5)
    with av.open(io.BytesIO(made.data)) as container:
        (first, *_) = container.decode(video=0)
        stored = first.to_ndarray(format="gray")
    assert (stored.shape, first.rotation, made.trimmed) == ((64, 48), 0, None)
    assert stored[40:, :16].min() > 200
    assert stored[:24].max() < 50


def test_parts_that_are_not_there(tmp_path):
    write_encoded(tmp_path / "source.mp4", "mpeg4", 20)
    with pytest.raises(ClipError, match="ends at 2.00 s, before the end"):
        clip_file.encode(tmp_path / "source.mp4", 1, 3.5)
    with pytest.raises(ClipError, match="has no frames from"):
        clip_file.encode(tmp_path / "source.mp4", 2.1, 2.2)


@pytest.mark.skipif(not REAL_CLIPS.exists(), reason="the real clips are not on this machine")
@pytest.mark.parametrize("name", ["clean_and_jerk.mp4", "flipping_a_pancake.mkv", "mpeg4_320x240.avi"])
def test_real_clips_look_as_before(name):
    made = clip_file.encode(REAL_CLIPS / name, 2.01, 2.52)
    with cut.open_part(REAL_CLIPS / name, 2.01, 2.52) as (frames, _):
        source = np.array([frame.to_ndarray(format="rgb24") for frame in frames], float)
    with av.open(io.BytesIO(made.data)) as container:
        stored = np.array([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)], float)
    assert stored.shape == source.shape
    errors = ((stored - source) ** 2).mean((1, 2, 3))
    assert 10 * np.log10(255**2 / errors.max()) > 37  # dB; that of the next frame instead is less
    assert np.abs((stored - source).mean()) < 0.5  # no shift of brightness
