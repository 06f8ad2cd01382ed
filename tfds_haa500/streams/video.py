"""One clip: mp4 bytes -> JPEG frames, and flow where wanted, at the stored size (PyAV decodes, OpenCV compresses).

A clip is decoded to its end, one or two frames in memory at a time. What a decoder would paper over (a truncated
file, a concealed frame) is an error here, since nobody looks at the frames again before they are trained on.
"""

import dataclasses
import io

import av
import av.error
import cv2
import numpy as np

from tfds_haa500.streams import flow

SHORT_SIDE = 256  # pixels; larger clips are scaled down to it, smaller ones are stored as they are
JPEG_QUALITY = 90  # 4:2:0; the README of this package has the size and the error it costs


LENGTH_SLACK = 0.5  # seconds that a file may be shorter than it says: lengths are rounded, and last frames have none
_NAMES_LENGTH = ("matroska,webm", "flv")  # containers without a number of frames whose head has their length
_GIF_TRAILER = b";"
# Metadata that are not UTF-8: PyAV 19 lets them pass and has no such argument, before it they are an error by default.
_OPEN = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "surrogateescape"}


class VideoError(ValueError):
    """A video that cannot be decoded completely; the message is the reason."""


@dataclasses.dataclass(frozen=True)
class EncodedClip:
    """A clip of T frames.

    Attributes:
      frames: T JPEGs in order.
      fps: the native frame rate, frames per second.
      size: (width, height) of the video itself, upright, in pixels.
      flow_x, flow_y: T - 1 gray JPEGs each (see `flow.py`); empty where no flow was asked for.
    """

    frames: list[bytes]
    fps: float
    size: tuple[int, int]
    flow_x: list[bytes]
    flow_y: list[bytes]


def open_container(file, **options):
    """`av.open` for reading, alike with every PyAV: a title or comment in another encoding is no fault of a video."""
    return av.open(file, **_OPEN, **options)


def encode_clip(
    data: bytes, short_side: int = SHORT_SIDE, quality: int = JPEG_QUALITY, flow_method: str = ""
) -> EncodedClip:
    """Decodes a video file and compresses each frame as a JPEG.

    Args:
      data: the bytes of a video file.
      short_side: frames with a longer short side are scaled down to it by area averaging; never up.
      quality: JPEG quality, 0 to 100, of frames and flow.
      flow_method: one of `flow.METHODS`, to compute flow from the scaled frames; "" for none.

    Raises:
      VideoError: the file is empty, unreadable, truncated, damaged, or has no frames or no frame rate; its
        frames change size; with flow, there is only one.
      flow.FlowError: the frames are too small for flow, or this OpenCV does not have the method.
    """
    if not data:
        raise VideoError("the file is empty")
    estimate = flow.estimator(flow_method) if flow_method else None
    try:
        with open_container(io.BytesIO(data)) as container:
            if not container.streams.video:
                raise VideoError("has no video stream")
            stream = container.streams.video[0]
            if not stream.average_rate:
                raise VideoError("has no frame rate")
            frames, size, fields = _encode_frames(_decode(container, stream), short_side, quality, estimate)
            fps = float(stream.average_rate)
        _check_complete(data, len(frames))
    except av.error.FFmpegError as error:
        raise VideoError(f"cannot be decoded ({error.strerror or error})") from error
    if estimate and len(frames) < 2:
        raise VideoError("has one frame, and flow needs two")
    return EncodedClip(frames, fps, size, *fields)


def _encode_frames(decoded, short_side: int, quality: int, estimate) -> tuple[list, tuple[int, int], tuple[list, list]]:
    """JPEGs of all frames, the video's (width, height), and the JPEGs of flow_x and flow_y."""
    frames, fields, size, previous = [], ([], []), None, None
    for frame in decoded:
        found = _upright_size(frame)
        if size not in (None, found):
            raise VideoError(f"changes its frame size from {size[0]}x{size[1]} to {found[0]}x{found[1]}")
        image = _to_bgr(frame, short_side)
        frames.append(encode_jpeg(image, quality))
        if estimate and previous is not None:
            levels = flow.to_levels(estimate(previous, image))
            for axis, jpegs in enumerate(fields):
                jpegs.append(encode_jpeg(np.ascontiguousarray(levels[..., axis]), quality))
        size, previous = found, image
    return frames, size, fields


def _decode(container, stream):
    """All frames in display order; raises on a packet or frame that the decoder had to guess."""
    stream.thread_type = "NONE"  # one core a process: the clips are what runs in parallel
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise VideoError("is truncated or damaged (an incomplete packet)")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise VideoError(f"is damaged at {frame.time} s (the decoder concealed missing data)")
            yield frame


def _check_complete(data: bytes, num_frames: int) -> None:
    """A file cut short decodes without an error; its own index, length or last byte tells that samples are missing.

    Frames hidden by an edit list are missing on purpose, so packets are counted with edit lists ignored. AVI counts
    dropped frames too, as empty packets that are not given out, but the times of the others count on over them.
    """
    with open_container(io.BytesIO(data), options={"ignore_editlist": "1"}) as container:
        stream, kind = container.streams.video[0], container.format.name
        found, end = [], 0.0
        for packet in container.demux():
            if packet.size and packet.stream.index == stream.index:
                found.append(packet.dts)
            if packet.size and kind in _NAMES_LENGTH and packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        count = max(found, default=-1) + 1 if kind == "avi" and None not in found else len(found)
        if count < stream.frames:
            raise VideoError(f"is truncated: {count} of {stream.frames} frames are there")
        length = (container.duration or 0) / av.time_base
        if kind in _NAMES_LENGTH and end < length - LENGTH_SLACK:
            raise VideoError(f"is truncated: it ends at {end:.2f} of {length:.2f} s")
    if kind == "gif" and not data.rstrip(b"\0").endswith(_GIF_TRAILER):
        raise VideoError("is truncated: its end is missing")
    if not num_frames:
        raise VideoError("has no frames")


def _to_bgr(frame: av.VideoFrame, short_side: int) -> np.ndarray:
    """(H, W, 3) uint8, upright, short side at most `short_side`."""
    scale = min(1.0, short_side / min(frame.height, frame.width))
    image = frame.reformat(
        width=round(frame.width * scale),
        height=round(frame.height * scale),
        format="bgr24",
        interpolation="AREA",
    ).to_ndarray()
    # Phones store portrait video lying on its side, with a rotation that players apply.
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


def _upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """(width, height) as players show the frame."""
    size = frame.width, frame.height
    return size[::-1] if round(frame.rotation / 90) % 2 else size


def encode_jpeg(image: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """A picture, (H, W, 3) uint8 BGR or (H, W) gray, as a JPEG's bytes."""
    ok, buffer = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise VideoError("a frame cannot be compressed as JPEG")
    return buffer.tobytes()


def jpeg_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a picture in pixels."""
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE).shape
    return width, height
