"""A part of a video as a file of its own: H.264 in mp4, as the clips of the release.

Every frame of the part is there once, in its own size, upright, at the source's average frame rate and without sound:
a dataset built from the file has the frames that one built from the source would have. The encoder is x264 at a
constant rate factor of 18. On one thread it writes the same bytes every time, with the same libraries.
"""

import dataclasses
import io
from collections.abc import Iterable

import av
import numpy as np
from av.video.frame import PictureType
from etils import epath

from tfds_haa500.problems import ClipError
from tfds_haa500.sources import cut

ENCODER = {"crf": "18", "preset": "medium", "threads": "1"}
_COLORS = ("colorspace", "color_primaries", "color_trc", "color_range")


@dataclasses.dataclass(frozen=True)
class ClipFile:
    """An encoded clip.

    Attributes:
      data: the bytes of the mp4.
      frames: how many it has.
      fps: frames per second.
      trimmed: (width, height) of the source's frames if they lost a column or a row because a side is odd, which
        H.264's 4:2:0 format cannot store; else None.
    """

    data: bytes
    frames: int
    fps: float
    trimmed: tuple[int, int] | None


def encode(path: epath.PathLike, start: float, end: float) -> ClipFile:
    """Cuts a part out of a video; `start` and `end` and the errors are those of `cut.encode_segment`."""
    file = io.BytesIO()
    options = {"fflags": "+bitexact"}  # keeps the date and the library versions out of the file
    with cut.open_part(path, start, end) as (frames, rate), av.open(file, "w", "mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=rate, options=ENCODER)
        count, size = _write(container, stream, frames)
    trimmed = size if size != (stream.width, stream.height) else None
    return ClipFile(file.getvalue(), count, float(rate), trimmed)


def _write(container, stream, decoded: Iterable[av.VideoFrame]) -> tuple[int, tuple[int, int]]:
    """Encodes the frames; how many there are, and their (width, height)."""
    count, size = 0, None
    for frame in decoded:
        picture = _upright(frame)
        found = picture.width, picture.height
        if size is None:
            size = found
            _set_format(stream, picture)
        elif size != found:
            raise ClipError(f"changes its frame size from {size[0]}x{size[1]} to {found[0]}x{found[1]}")
        picture = _even(picture)
        picture.pts, picture.time_base = count, 1 / stream.codec_context.framerate
        picture.pict_type = PictureType.NONE  # else x264 repeats the source's choice of keyframes
        container.mux(stream.encode(picture))
        count += 1
    container.mux(stream.encode())
    return count, size


def _set_format(stream, picture: av.VideoFrame) -> None:
    """The size and colors of the stream, from its first picture."""
    stream.width, stream.height, stream.pix_fmt = picture.width // 2 * 2, picture.height // 2 * 2, "yuv420p"
    for name in _COLORS:
        setattr(stream.codec_context, name, getattr(picture, name))


def _upright(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame in 4:2:0, turned as players would turn it."""
    turns = round(frame.rotation / 90) % 4
    if turns:
        image = np.rot90(frame.to_ndarray(format="rgb24"), turns)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    return frame if frame.format.name == "yuv420p" else frame.reformat(format="yuv420p")


def _even(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture without its last column and row where their number is odd."""
    if picture.width % 2 == 0 and picture.height % 2 == 0:
        return picture
    image = picture.to_ndarray(format="rgb24")[: picture.height // 2 * 2, : picture.width // 2 * 2]
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(format="yuv420p")
