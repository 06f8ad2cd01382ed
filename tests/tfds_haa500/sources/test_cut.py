"""Parts of videos: exactly their frames, wherever keyframes are."""

import numpy as np
import pytest

from tests.conftest import SIZE, write_video
from tests.tfds_haa500.videos import REAL_CLIPS, brightness, write_encoded
from tfds_haa500.problems import ClipError
from tfds_haa500.sources import cut
from tfds_haa500.streams import flow, video


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".ts"])
@pytest.mark.parametrize("options", [{"g": 1}, {"g": 12, "bf": 2}, {"g": 600}])
def test_a_part_holds_exactly_its_frames(tmp_path, options, suffix):
    """Wherever keyframes are, and whether frames lean on later ones or not."""
    path = tmp_path / f"clip{suffix}"
    write_encoded(path, "libx264" if suffix == ".ts" else "mpeg4", 40, **options)
    whole = brightness(video.encode_clip(path.read_bytes()).frames)
    for start, end in ((0, 1), (1.1, 2.4), (2.35, 2.45), (3.9, 4.0), (0, 5)):
        computed = [flow.Computation("dis")] if end - start > 0.2 else []
        clip = cut.encode_segment(path, start, end, computed)
        wanted = [t for t in range(40) if start <= t / 10 < end]
        assert np.array_equal(brightness(clip.frames), whole[wanted])
        assert all(len(computation.features()["flow_x"]) == len(wanted) - 1 for computation in computed)
        assert (clip.fps, clip.size) == (10, SIZE[::-1])


def test_a_file_that_is_sought_too_far_is_read_from_the_front(tmp_path, monkeypatch):
    write_encoded(tmp_path / "clip.mp4", "mpeg4", 40, g=5)
    monkeypatch.setattr(cut, "_LEAD", -0.7)  # seeks to a keyframe after the start
    clip = cut.encode_segment(tmp_path / "clip.mp4", 1.2, 2)
    whole = video.encode_clip((tmp_path / "clip.mp4").read_bytes())
    assert clip.frames == whole.frames[12:20]


def test_parts_that_are_not_there(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, 40)
    for start, end, reason in (
        (2, 5.2, "ends at 4.00 s, before the end of the part from 2 to 5.2 s"),
        (4.5, 4.9, "has no frames from 4.5 to 4.9 s"),
        (1.11, 1.15, "has no frames"),
    ):
        with pytest.raises(ClipError, match=reason):
            cut.encode_segment(path, start, end)
    path.write_bytes(b"not a video" * 99)
    with pytest.raises(ClipError, match="cannot be decoded"):
        cut.encode_segment(path, 1, 2)


@pytest.mark.skipif(not REAL_CLIPS.exists(), reason="the real clips are not on this machine")
@pytest.mark.parametrize("name", ["arm_wrestling_k400.mp4", "flipping_a_pancake.mkv", "mpeg4_320x240.avi"])
def test_parts_of_real_clips(name):
    """A part's frames are the whole clip's, also between keyframes."""
    whole = video.encode_clip((REAL_CLIPS / name).read_bytes())
    part = cut.encode_segment(REAL_CLIPS / name, 4.0, 5.0)
    first = round(4 * whole.fps)
    assert part.frames == whole.frames[first : first + round(whole.fps)]
