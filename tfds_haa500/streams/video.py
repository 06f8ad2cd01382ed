"""One clip: a video file -> JPEG frames at the stored size (PyAV decodes, OpenCV compresses).

A clip is decoded to its end, one or two frames in memory at a time. What a decoder would conceal (a truncated file, a
damaged frame) is an error here, since nobody looks at the frames again before they are trained on.
"""

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterable, Iterator, Sequence

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from tfds_haa500.problems import ClipError

SHORT_SIDE = 256  # pixels; larger frames are scaled down to it, smaller ones are stored in their own size
JPEG_QUALITY = 90  # 4:2:0; the README of this package has the size and the error it costs

# Seconds that a video may be shorter than stated, by what states its length:
CONTAINER_SLACK = 0.5  # its own container: lengths are rounded, and last frames often have no duration
LIST_SLACK = 1.0  # a segment of a split list: lists round, to whole seconds at worst
SOURCE_SLACK = 0.5  # a clip's annotation: the formats in which YouTube offers a video differ in length

_HAS_LENGTH = ("matroska,webm", "flv")  # containers that store their length and no number of frames
_GIF_TRAILER = b";"
# Metadata that are not UTF-8 are an error by default in PyAV before 19; PyAV 19 accepts them and lacks the argument.
_OPEN = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}


@dataclasses.dataclass(frozen=True)
class EncodedClip:
    """A clip of T frames.

    Attributes:
      frames: T JPEGs in order.
      fps: the native frame rate, frames per second.
      size: (width, height) of the video itself, upright, in pixels.
    """

    frames: list[bytes]
    fps: float
    size: tuple[int, int]


def open_container(file, **options):
    """`av.open` for reading; a title or comment that is not UTF-8 is not an error, with any version of PyAV."""
    return av.open(file, **_OPEN, **options)


@contextlib.contextmanager
def open_video(file) -> Iterator[tuple]:
    """(container, video stream) of an open file.

    Raises:
      ClipError: the file is empty, cannot be read as a video, has no video stream or no frame rate; or FFmpeg fails
        within the `with` block.
    """
    file.seek(0, io.SEEK_END)
    if not file.tell():  # not what `seek` returns: in a bucket that is None
        raise ClipError("the file is empty")
    file.seek(0)
    try:
        with open_container(file) as container:
            if not container.streams.video:
                raise ClipError("has no video stream")
            stream = container.streams.video[0]
            if not stream.average_rate:
                raise ClipError("has no frame rate")
            stream.thread_type = "NONE"  # one core a process: clips are what runs in parallel
            yield container, stream
    except av.error.FFmpegError as error:
        raise ClipError(f"cannot be decoded ({error.strerror or error})") from error


def encode_clip(
    data: bytes, short_side: int = SHORT_SIDE, on_frame: Sequence[Callable[[np.ndarray], None]] = ()
) -> EncodedClip:
    """Decodes a video file and compresses each frame as a JPEG.

    Args:
      data: the bytes of a video file.
      short_side: frames with a longer short side are scaled down to it by area averaging; never up.
      on_frame: each is called with every stored frame, (H, W, 3) uint8 BGR, before it is compressed.

    Raises:
      ClipError: the file is empty, unreadable, truncated, damaged, or has no frames or no frame rate; its
        frames change size; whatever `on_frame` raises.
    """
    with open_video(io.BytesIO(data)) as (container, stream):
        frames, size = encode_frames(decode_frames(container, stream), short_side, on_frame)
        check_complete(io.BytesIO(data), len(frames))
        return EncodedClip(frames, float(stream.average_rate), size)


def measure(file) -> tuple[int, tuple[int, int]]:
    """How many frames an open video has, and its upright (width, height); raises ClipError as `encode_clip`."""
    with open_video(file) as (container, stream):
        sizes = [_upright_size(frame) for frame in decode_frames(container, stream)]
    check_complete(file, len(sizes))
    return len(sizes), sizes[0]


def encode_frames(
    decoded: Iterable[av.VideoFrame],
    short_side: int = SHORT_SIDE,
    on_frame: Sequence[Callable[[np.ndarray], None]] = (),
) -> tuple[list[bytes], tuple[int, int] | None]:
    """JPEGs of decoded frames, and the video's upright (width, height), None without frames; see `encode_clip`."""
    frames, size = [], None
    for jpeg, size in encoded(decoded, short_side, on_frame):  # noqa: B007
        frames.append(jpeg)
    return frames, size


def encoded(
    decoded: Iterable[av.VideoFrame],
    short_side: int = SHORT_SIDE,
    on_frame: Sequence[Callable[[np.ndarray], None]] = (),
) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """The JPEG of each frame, one at a time, and the video's upright (width, height); see `encode_clip`."""
    size, reformatter = None, VideoReformatter()
    for frame in decoded:
        found = _upright_size(frame)
        if size not in (None, found):
            raise ClipError(f"changes its frame size from {size[0]}x{size[1]} to {found[0]}x{found[1]}")
        image, size = _to_bgr(frame, short_side, reformatter), found
        for observe in on_frame:
            observe(image)
        yield encode_jpeg(image), size


def whole_packets(container, *streams) -> Iterator[av.Packet]:
    """The packets of some streams, of all by default; raises ClipError for an incomplete one."""
    for packet in container.demux(*streams):
        if packet.is_corrupt:
            raise ClipError("is truncated or damaged (an incomplete packet)")
        yield packet


def check_whole(frame: av.VideoFrame, seconds: float | None) -> None:
    """Raises ClipError for a frame, shown at `seconds`, that the decoder had to guess."""
    if frame.is_corrupt:
        place = "" if seconds is None else f" at {seconds:g} s"
        raise ClipError(f"is damaged{place} (the decoder concealed missing data)")


def decode_frames(container, stream) -> Iterator[av.VideoFrame]:
    """All frames in display order; raises ClipError for one that is incomplete."""
    for packet in whole_packets(container, stream):
        for frame in packet.decode():
            check_whole(frame, frame.time)
            yield frame


def check_complete(file, num_frames: int) -> None:
    """Raises ClipError if an open file's own index, length or last byte shows that frames are missing.

    A file cut short decodes without an error. Frames hidden by an edit list are missing on purpose, so packets are
    counted with edit lists ignored. AVI's index counts dropped frames too: PyAV does not return their empty packets,
    but the timestamps of the others count them.
    """
    file.seek(0)
    with open_container(file, options={"ignore_editlist": "1"}) as container:
        stream, kind = container.streams.video[0], container.format.name
        found, end = [], 0.0
        for packet in container.demux():
            if packet.size and packet.stream.index == stream.index:
                found.append(packet.dts)
            if packet.size and kind in _HAS_LENGTH and packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        count = max(found, default=-1) + 1 if kind == "avi" and None not in found else len(found)
        if count < stream.frames:
            raise ClipError(f"is truncated: {count} of {stream.frames} frames are there")
        length = (container.duration or 0) / av.time_base
        if kind in _HAS_LENGTH and end < length - CONTAINER_SLACK:
            raise ClipError(f"is truncated: it ends at {end:.2f} of {length:.2f} s")
    if kind == "gif":
        file.seek(0)
        if not file.read().rstrip(b"\0").endswith(_GIF_TRAILER):
            raise ClipError("is truncated: its end is missing")
    if not num_frames:
        raise ClipError("has no frames")


def _to_bgr(frame: av.VideoFrame, short_side: int, reformatter: VideoReformatter) -> np.ndarray:
    """(H, W, 3) uint8, upright, short side at most `short_side`."""
    scale = min(1.0, short_side / min(frame.height, frame.width))
    # One reformatter a clip, and one thread: setting either up for every frame takes longer than the scaling.
    image = reformatter.reformat(
        frame,
        width=round(frame.width * scale),
        height=round(frame.height * scale),
        format="bgr24",
        interpolation="AREA",
        threads=1,
    ).to_ndarray()
    # Phones store portrait video sideways, with a rotation that players apply.
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


def _upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """(width, height) as players show the frame."""
    size = frame.width, frame.height
    return size[::-1] if round(frame.rotation / 90) % 2 else size


def encode_jpeg(image: np.ndarray) -> bytes:
    """A picture, (H, W, 3) uint8 BGR or (H, W) gray, as a JPEG's bytes."""
    ok, buffer = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise ClipError("a frame cannot be compressed as JPEG")
    return buffer.tobytes()


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a picture in pixels."""
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE).shape
    return width, height
