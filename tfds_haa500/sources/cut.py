"""A part of a long video as a clip: decoding starts at the keyframe before it and stops behind it.

The check of `video.py` that a file is complete needs all of it, so it is not made here. Instead every frame of the
part must be there: what the decoder had to guess is an error, and so is a video that ends too early.
"""

import itertools

import av
import av.error
import cv2
import numpy as np
from etils import epath

from tfds_haa500.streams import flow, video

END_SLACK = 1.0  # seconds a list's segment may go beyond the video: lists round, and name whole seconds
_EPSILON = 1e-3  # seconds; Matroska rounds its timestamps to this
_LEAD = 1.0  # seconds to seek before the start: frames that lean on the keyframe before theirs are not wanted


def encode_segment(path: epath.PathLike, start: float, end: float, flow_method: str = "") -> video.EncodedClip:
    """Decodes the frames with start <= time < end, and compresses them as `video.encode_clip` does.

    Args:
      path: a video file.
      start, end: seconds from the video's first frame.
      flow_method: one of `flow.METHODS`; "" for none.

    Raises:
      video.VideoError: the file is unreadable or damaged there, has no such frames, ends more than END_SLACK before
        `end`, or has no frame rate or timestamps; with flow, there is only one frame.
      flow.FlowError: the frames are too small for flow, or this OpenCV does not have the method.
      OSError: the file cannot be opened.
    """
    estimate = flow.estimator(flow_method) if flow_method else None
    try:
        with epath.Path(path).open("rb") as file, video.open_container(file) as container:
            if not container.streams.video:
                raise video.VideoError("has no video stream")
            stream = container.streams.video[0]
            if not stream.average_rate:
                raise video.VideoError("has no frame rate")
            fps = float(stream.average_rate)
            frames, size, fields = _encode(_frames(container, stream, start, end, 1 / fps), estimate)
    except av.error.FFmpegError as error:
        raise video.VideoError(f"cannot be decoded ({error.strerror or error})") from error
    if not frames:
        raise video.VideoError(f"has no frames from {start:g} to {end:g} s")
    if estimate and len(frames) < 2:
        raise video.VideoError(f"has one frame from {start:g} to {end:g} s, and flow needs two")
    return video.EncodedClip(frames, fps, size, *fields)


def _frames(container, stream, start: float, end: float, duration: float):
    """The frames of a part, in display order; `duration` is a frame's, in seconds."""
    stream.thread_type = "NONE"  # one core a process, as in video.py
    reached = 0.0
    for time, frame in _from(container, stream, start):
        reached = time + duration
        if time >= end - _EPSILON:
            return
        if time >= start - _EPSILON:
            if frame.is_corrupt:
                raise video.VideoError(f"is damaged at {time:g} s (the decoder concealed missing data)")
            yield frame
    if reached < end - END_SLACK:
        raise video.VideoError(f"ends at {reached:.2f} s, before the end of the part from {start:g} to {end:g} s")


def _from(container, stream, start: float):
    """(seconds, frame) from at most `start` on."""
    if container.format.name == "avi":
        # AVI has no timestamps, and those that are made up for it are wrong around B-frames: frames are counted.
        rate = float(stream.average_rate)
        return ((number / rate, frame) for number, frame in enumerate(_decode(container, stream)))
    origin = stream.start_time or 0
    # MPEG-TS finds no keyframe for the time of its first one, so the front is sought from before it.
    places = origin + int(max(0.0, start - _LEAD) / stream.time_base), min(origin, 0)
    for place in places:
        container.seek(place, stream=stream)
        frames = _timed(_decode(container, stream), stream, origin)
        first = next(frames, None)
        # A file without an index may be sought too far; then from the front.
        if first and (first[0] <= start + _EPSILON or place == places[-1]):
            return itertools.chain([first], frames)
    return iter(())


def _timed(frames, stream, origin: int):
    for frame in frames:
        if frame.pts is None:
            raise video.VideoError("has frames without timestamps, so it cannot be cut")
        yield float((frame.pts - origin) * stream.time_base), frame


def _decode(container, stream):
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise video.VideoError("is truncated or damaged (an incomplete packet)")
        yield from packet.decode()


def _encode(decoded, estimate) -> tuple[list[bytes], tuple[int, int], tuple[list, list]]:
    """JPEGs of all frames, the video's (width, height), and the JPEGs of flow_x and flow_y."""
    frames, fields, size, previous = [], ([], []), None, None
    for frame in decoded:
        turned = round(frame.rotation / 90) % 4
        found = (frame.height, frame.width) if turned % 2 else (frame.width, frame.height)
        if size not in (None, found):
            raise video.VideoError(f"changes its frame size from {size[0]}x{size[1]} to {found[0]}x{found[1]}")
        image = np.ascontiguousarray(np.rot90(_scaled(frame), turned))
        frames.append(_jpeg(image))
        if estimate and previous is not None:
            levels = flow.to_levels(estimate(previous, image))
            for axis, jpegs in enumerate(fields):
                jpegs.append(_jpeg(np.ascontiguousarray(levels[..., axis])))
        size, previous = found, image
    return frames, size, fields


def _scaled(frame: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8 BGR, as it is stored in the file, with the short side that clips are kept at."""
    scale = min(1.0, video.SHORT_SIDE / min(frame.height, frame.width))
    width, height = round(frame.width * scale), round(frame.height * scale)
    return frame.reformat(width=width, height=height, format="bgr24", interpolation="AREA").to_ndarray()


def _jpeg(image: np.ndarray) -> bytes:
    ok, buffer = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, video.JPEG_QUALITY])
    if not ok:
        raise video.VideoError("a frame cannot be compressed as JPEG")
    return buffer.tobytes()
