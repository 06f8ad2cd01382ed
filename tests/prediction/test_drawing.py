import av
import numpy as np
import pytest

from haa_jax.prediction import drawing, videos
from tests.conftest import write_video

RECORD = {
    "video": "a.mp4",
    "clips": [
        {"start": 0, "end": 1, "predictions": {"atomic": [{"label": "run", "score": 0.756}]}},
        {"start": 1, "end": 2, "predictions": {"atomic": [{"label": "sit", "score": 0.5}], "composite": []}},
    ],
}


def test_a_frame_shows_the_nearest_clip():
    assert drawing.lines(RECORD, 0.0) == ["0.76 run"]
    assert drawing.lines(RECORD, 1.2) == ["0.50 sit"]
    assert drawing.lines(RECORD, 9.0) == ["0.50 sit"]


def test_the_copy_has_all_frames_and_the_text(tmp_path):
    write_video(tmp_path / "a.mp4", 20, size=(96, 128))
    drawing.write(str(tmp_path / "a.mp4"), RECORD, tmp_path / "out" / "sub" / "a.mp4")
    given, drawn = (read(tmp_path / path) for path in ("a.mp4", "out/sub/a.mp4"))
    assert given.shape == drawn.shape == (20, 96, 128, 3)
    changed = np.abs(given.astype(int) - drawn).max(-1) > 60
    assert changed[:, :20, :60].any((1, 2)).all()
    assert not changed[:, 30:].any()
    assert [path.name for path in (tmp_path / "out" / "sub").iterdir()] == ["a.mp4"]


def test_odd_sizes_are_cut_to_even_ones(tmp_path):
    with av.open(str(tmp_path / "odd.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 49, 65, "bgr0"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((49, 65, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode())
    drawing.write(str(tmp_path / "odd.mkv"), RECORD, tmp_path / "even.mp4")
    assert read(tmp_path / "even.mp4").shape == (3, 48, 64, 3)


def test_a_video_that_breaks_off_leaves_nothing(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(videos.VideoError, match=r"bad\.mp4: cannot be decoded"):
        drawing.write(str(tmp_path / "bad.mp4"), RECORD, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.mp4"]


def read(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
