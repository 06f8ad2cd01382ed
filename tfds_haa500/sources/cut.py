"""A part of a long video as a clip: the frames with start <= time < end, in seconds from the video's first frame.

Times are compared with a tolerance of a millisecond, since Matroska rounds its timestamps to that. Decoding starts at
the keyframe before the part and stops after it.

The check of `video.py` that a file is complete needs all of it, so it is not made here. Instead every frame of the
part must be there: what the decoder had to guess is an error, and so is a video that ends too early.
"""

import contextlib
import fractions
import itertools
from collections.abc import Callable, Iterator, Sequence

import av
import numpy as np
from etils import epath

from tfds_haa500.problems import ClipError
from tfds_haa500.streams import video

_EPSILON = 1e-3  # seconds; Matroska rounds its timestamps to this
_LEAD = 1.0  # seconds to seek before the start, to get the frames that the first ones are predicted from


def encode_segment(
    path: epath.PathLike, start: float, end: float, on_frame: Sequence[Callable[[np.ndarray], None]] = ()
) -> video.EncodedClip:
    """Decodes the frames with start <= time < end, and compresses them as `video.encode_clip` does.

    Args:
      path: a video file.
      start, end: seconds from the video's first frame.
      on_frame: each is called with every stored frame, (H, W, 3) uint8 BGR, before it is compressed.

    Raises:
      ClipError: the file is unreadable or damaged there, has no such frames, ends more than video.LIST_SLACK before
        `end`, or has no frame rate or timestamps; whatever `on_frame` raises.
      OSError: the file cannot be opened.
    """
    with open_part(path, start, end) as (decoded, rate):
        frames, size = video.encode_frames(decoded, on_frame=on_frame)
    return video.EncodedClip(frames, float(rate), size)


@contextlib.contextmanager
def open_part(
    path: epath.PathLike, start: float, end: float
) -> Iterator[tuple[Iterator[av.VideoFrame], fractions.Fraction]]:
    """The frames with start <= time < end, decoded as they are asked for, and the video's frames per second.

    Args and errors as of `encode_segment`.
    """
    with epath.Path(path).open("rb") as file, video.open_video(file) as (container, stream):
        yield _frames(container, stream, start, end), stream.average_rate


def _frames(container, stream, start: float, end: float) -> Iterator[av.VideoFrame]:
    """The frames of a part, in display order."""
    reached, empty = 0.0, True
    for time, frame in _from(container, stream, start):
        reached = time + float(1 / stream.average_rate)
        if time >= end - _EPSILON:
            break
        if time >= start - _EPSILON:
            video.check_whole(frame, time)
            empty = False
            yield frame
    else:
        if reached < end - video.LIST_SLACK:
            raise ClipError(f"ends at {reached:.2f} s, before the end of the part from {start:g} to {end:g} s")
    if empty:
        raise ClipError(f"has no frames from {start:g} to {end:g} s")


def _from(container, stream, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds, frame) from a time of at most `start`."""
    if container.format.name == "avi":
        # AVI has no timestamps, and those that FFmpeg makes up are wrong around B-frames: frames are counted.
        rate = float(stream.average_rate)
        return ((number / rate, frame) for number, frame in enumerate(_decode(container, stream)))
    origin = stream.start_time or 0
    # MPEG-TS finds no keyframe for the time of its first one, so the beginning is sought from before it.
    places = origin + int(max(0.0, start - _LEAD) / stream.time_base), min(origin, 0)
    for place in places:
        container.seek(place, stream=stream)
        frames = _timed(_decode(container, stream), stream, origin)
        first = next(frames, None)
        # Seeking may go too far in a file without an index; then start from the beginning.
        if first and (first[0] <= start + _EPSILON or place == places[-1]):
            return itertools.chain([first], frames)
    return iter(())


def _timed(frames, stream, origin: int) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds from the first frame, frame)."""
    for frame in frames:
        if frame.pts is None:
            raise ClipError("has frames without timestamps, so it cannot be cut")
        yield float((frame.pts - origin) * stream.time_base), frame


def _decode(container, stream) -> Iterator[av.VideoFrame]:
    """All frames from the container's position; those outside the part may be damaged."""
    for packet in video.whole_packets(container, stream):
        yield from packet.decode()
