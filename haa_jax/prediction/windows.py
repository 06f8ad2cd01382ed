"""A long video as clips: windows of its frames, decoded in one pass with no more than one window in memory.

A window is a clip of its own: the network sees of it what the test sees of a clip that was cut there.
"""

import collections
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator

import numpy as np

from haa_jax.errors import UserError
from haa_jax.prediction import videos
from tfds_haa500.problems import ClipError
from tfds_haa500.streams import STREAMS, video


class WindowError(UserError, ValueError):
    """A length of time that cannot be used."""


@dataclasses.dataclass(frozen=True)
class Length:
    """A length of time: seconds ("s") or frames ("f")."""

    amount: float
    unit: str

    def frames(self, fps: float) -> float:
        """In frames, not rounded; at least 1."""
        return max(1.0, self.amount * fps if self.unit == "s" else self.amount)


@dataclasses.dataclass(frozen=True)
class Part:
    """A clip of a video.

    Attributes:
      start, end: seconds from the first frame.
      example: what a built dataset would store of it.
      share: how much of the video has been read, 0 to 1; 0 if unknown.
    """

    start: float
    end: float
    example: dict
    share: float = 0.0


def parse_length(flag: str, text: str) -> Length:
    """`2s`, `0.5s` or `64f`. Raises WindowError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s|(\d+)f", text)
    if not match or not float(match[1] or match[2]):
        raise WindowError(f"--{flag}={text}: must be seconds, such as 2s, or frames, such as 64f")
    return Length(float(match[1]), "s") if match[1] else Length(int(match[2]), "f")


def whole(path: str, stored: dict[str, str]) -> Iterator[Part]:
    """A video as one clip.

    Args:
      stored: the streams to read or compute, see `videos.needed`.

    Raises:
      VideoError: names the file and what is wrong with it.
    """
    example = videos.read(path, stored)
    yield Part(0.0, len(example["video"]) / example["fps"], example, share=1.0)


def split(path: str, stored: dict[str, str], window: Length, step: Length) -> Iterator[Part]:
    """The windows of a video in order, each read when it is asked for.

    A window begins every `step`. The last one ends with the video: it begins earlier, so that it is as long as the
    others. A video shorter than a window is one window.

    Args:
      stored: as of `whole`; flow must be computed.

    Raises:
      VideoError: names the file and what is wrong with it; what is missing at its end is noticed before the first
        window.
    """
    path = os.fspath(path)
    pathlib_path = pathlib.Path(path)
    with videos.faults_of(path), pathlib_path.open("rb") as file, video.open_video(file) as (container, stream):
        with pathlib_path.open("rb") as again:
            video.check_complete(again, num_frames=1)
        fps = float(stream.average_rate)
        expected = stream.frames or round((container.duration or 0) / 1e6 * fps)
        beside = _side_features(path, stored, fps)
        frames, last = _frames(container, stream, stored.get("flow")), 0
        for held, first, last in cut(frames, round(window.frames(fps)), step.frames(fps)):
            yield Part(
                held[0].time,
                held[-1].time + 1 / fps,
                _example(held, fps, stored)
                | {name: _within(name, values, first, last) for name, values in beside.items()},
                min(1.0, last / expected) if expected else 0.0,
            )
        if not last:
            raise ClipError("has no frames")


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame as it is stored: `time` in seconds, its JPEG, and the flow from the frame before it, x and y."""

    time: float
    jpeg: bytes
    flow: dict[str, bytes]


def cut(frames: Iterator, size: int, step: float) -> Iterator[tuple[list, int, int]]:
    """Windows of a sequence: (its items, first, last + 1); besides them, no more than `size` + 1 items are held.

    Args:
      size: items of a window.
      step: from a window to the next, 1 or more; may be a fraction, then starts are rounded.
    """
    held, number, start, end, total = collections.deque(), 0, 0, 0, 0
    for total, item in enumerate(frames, start=1):
        held.append(item)
        if total == start + size:
            yield list(held)[-size:], start, total
            end, number = total, number + 1
            start = round(number * step)
        while len(held) > size:
            held.popleft()
    if start < total and end < total:
        yield list(held), total - len(held), total


def _frames(container, stream, flow_method: str | None) -> Iterator[Frame]:
    """The frames of an open video, with flow if there is a method."""
    fps, images, times = float(stream.average_rate), collections.deque(maxlen=2), collections.deque(maxlen=1)
    on_frame = [images.append] if flow_method else []
    decoded = _timed(video.decode_frames(container, stream), container, stream, fps, times)
    for jpeg, _ in video.encoded(decoded, on_frame=on_frame):
        fields = {}
        if len(images) == 2:
            computation = STREAMS["flow"].Computation(flow_method)  # for each pair: it keeps all that it computes
            for image in images:
                computation(image)
            fields = {name: jpegs[0] for name, jpegs in computation.features().items()}
        yield Frame(times[0], jpeg, fields)


def _timed(decoded: Iterator, container, stream, fps: float, times: collections.deque) -> Iterator:
    """Passes frames through, and appends the time of each, in seconds from the first, to `times`.

    AVI has no timestamps; those that FFmpeg makes up are wrong around B-frames, so frames are counted.
    """
    counted, origin = container.format.name == "avi", None
    for number, frame in enumerate(decoded):
        if counted or frame.pts is None:
            times.append(number / fps)
        else:
            origin = frame.pts if origin is None else origin
            times.append(float((frame.pts - origin) * stream.time_base))
        yield frame


def _example(frames: list[Frame], fps: float, stored: dict[str, str]) -> dict:
    """What is stored of a clip of these frames. The flow that leads to the first one is not part of the clip."""
    if "flow" in stored and len(frames) == 1:
        raise ClipError("has a window of one frame, and flow needs two")
    example = {"video": [frame.jpeg for frame in frames], "fps": videos.stored_fps(fps)}
    fields = [frame.flow for frame in frames[1:]]
    return example | {name: [field[name] for field in fields] for name in (fields[0] if fields else ())}


def _side_features(path: str, stored: dict[str, str], fps: float) -> dict[str, np.ndarray]:
    """The features of a whole video that are read from files; they are checked against its number of frames."""
    if all(stored.values()):
        return {}
    with pathlib.Path(path).open("rb") as file, video.open_video(file) as (container, stream):
        last = collections.deque(enumerate(video.decode_frames(container, stream), start=1), maxlen=1)
        if not last:
            raise ClipError("has no frames")
        ((count, frame),) = last
        size = (frame.height, frame.width) if round(frame.rotation / 90) % 2 else (frame.width, frame.height)
    return videos.read_side_files(path, stored, video.EncodedClip(range(count), fps, size))


def _within(name: str, values: np.ndarray, first: int, last: int) -> np.ndarray:
    """A feature of a video as that of its frames from `first` to before `last`."""
    if name != "objects":
        return values[first:last]
    inside = values[(values[:, 0] >= first) & (values[:, 0] < last)]  # column 0: the frame
    return inside - np.eye(1, values.shape[1], dtype=values.dtype) * first
