"""Every kind of file that a folder of videos may have: all frames, or an error if some are missing."""

import fractions

import av
import numpy as np
import pytest

from tests.conftest import SIZE, numbered_frame
from tests.tfds_haa500.videos import brightness, gray_frame, write_encoded, write_gif
from tfds_haa500.problems import ClipError
from tfds_haa500.sources import cut, video_files
from tfds_haa500.streams import video

# Suffix -> what is usually in such a file, as far as PyAV's wheels have an encoder of it.
CODECS = {
    ".mp4": ("libx264", "mpeg4"),
    ".mkv": ("libx264", "mpeg4"),
    ".webm": ("libvpx", "libvpx-vp9"),
    ".mov": ("libx264", "mpeg4"),
    ".m4v": ("mpeg4",),
    ".avi": ("mpeg4", "msmpeg4"),
    ".3gp": ("mpeg4", "libx264"),
    ".flv": ("flv", "libx264"),
    ".wmv": ("wmv1", "wmv2", "msmpeg4"),
    ".mpg": ("mpeg1video", "mpeg2video"),
    ".mpeg": ("mpeg1video", "mpeg2video"),
    ".ts": ("mpeg2video", "libx264"),
    ".m2ts": ("mpeg2video", "libx264"),
}


def test_every_suffix_but_gif_has_its_codecs():
    assert set(CODECS) == set(video_files.SUFFIXES) - {".gif"}


@pytest.mark.parametrize(("suffix", "codec"), [(suffix, codec) for suffix in CODECS for codec in CODECS[suffix]])
def test_all_frames_of_every_container(tmp_path, suffix, codec):
    """MPEG-1 and -2 know 25 frames a second, and not 10."""
    path = tmp_path / f"clip{suffix}"
    write_encoded(path, codec, 40, rate=25)
    clip = video.encode_clip(path.read_bytes())
    expected = np.array([numbered_frame(t).mean() for t in range(40)])
    assert (clip.fps, clip.size) == (25, SIZE[::-1])
    assert brightness(clip.frames) == pytest.approx(expected, abs=2.5)
    for first, end in ((0, 10), (0, 40), (11, 20), (30, 40)):
        part = cut.encode_segment(path, first / 25, end / 25)
        assert brightness(part.frames) == pytest.approx(expected[first:end], abs=2.5)


WITHOUT_LENGTH = (".wmv", ".mpg", ".mpeg", ".ts", ".m2ts")


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize(("suffix", "codec"), [(s, CODECS[s][-1]) for s in CODECS if s not in WITHOUT_LENGTH])
def test_files_cut_short(tmp_path, suffix, codec, share):
    path = tmp_path / f"clip{suffix}"
    write_encoded(path, codec, 60, rate=25)
    data = path.read_bytes()
    with pytest.raises(ClipError, match="truncated|damaged|cannot be decoded|no video stream"):
        video.encode_clip(data[: int(len(data) * share)])


@pytest.mark.parametrize("frame", [3, 5])
def test_a_gif_cut_after_a_frame(tmp_path, frame):
    write_gif(tmp_path / "clip.gif", [10] * 6)
    data = (tmp_path / "clip.gif").read_bytes()
    assert len(video.encode_clip(data + bytes(3)).frames) == 6
    starts = [place for place in range(len(data)) if data.startswith(b"\x21\xf9\x04", place)]
    with pytest.raises(ClipError, match="truncated: its end is missing"):
        video.encode_clip(data[: starts[frame]])


def test_gif_with_delays_of_its_own(tmp_path):
    write_gif(tmp_path / "clip.gif", [10, 10, 50, 2, 2, 10])
    clip = video.encode_clip((tmp_path / "clip.gif").read_bytes())
    assert len(clip.frames) == 6
    assert np.all(np.diff(brightness(clip.frames)) > 0)
    assert clip.fps == pytest.approx(6 / 0.84)


def pack_b_frames(packets: list[bytes], mark: bytes) -> list[bytes]:
    """Puts each B-frame into the packet of the frame before it, and an empty frame into its own, as old encoders did.

    Like DivX and XviD for AVI, whose packets must come in display order. The decoder must be told by `mark`.
    """
    packed = [packets[0].replace(b"\x00\x00\x01\xb6", mark + b"\x00\x00\x01\xb6", 1)]
    for anchor, b_frame in zip(packets[1::2], packets[2::2], strict=True):
        packed += [anchor + b_frame, b"\x00\x00\x01\xb6\x50\x7f\xff"]  # a P-frame that is not coded
    return packed


def test_packed_bitstreams_of_old_avi_files_are_whole(tmp_path):
    packets, extradata = [], b""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.height, encoder.width, encoder.pix_fmt = *SIZE, "yuv420p"
    encoder.time_base, encoder.framerate = fractions.Fraction(1, 10), 10
    encoder.options = {"bf": "1", "b_strategy": "0", "g": "100", "sc_threshold": "1000000000"}
    encoder.bit_rate = 1_000_000
    for t in range(21):
        frame = gray_frame(t)
        frame.pts, frame.time_base = t, fractions.Fraction(1, 10)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    extradata = encoder.extradata or b""
    packed = pack_b_frames(packets, b"\x00\x00\x01\xb2DivX503b1393p")
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.extradata = extradata + b"\x00\x00\x01\xb2DivX503b1393p"
        for number, data in enumerate(packed):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = fractions.Fraction(1, 10), number == 0
            container.mux(packet)
    clip = video.encode_clip(path.read_bytes())
    assert len(clip.frames) == 21
    assert brightness(clip.frames) == pytest.approx([numbered_frame(t).mean() for t in range(21)], abs=2)
