"""Predictions drawn into a copy of their video: H.264 in an MP4 file, without sound (OpenCV draws, PyAV encodes)."""

import pathlib
from collections.abc import Iterator

import av
import cv2
import numpy as np

from haa_jax.prediction import videos
from haa_jax.runtime.files import atomic_write
from tfds_haa500.problems import ClipError
from tfds_haa500.streams import video

SUFFIX = ".mp4"
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINES = 18  # of text that fit into the height of a frame
_QUALITY = {"crf": "20", "preset": "veryfast"}


def write(path: str, found: dict, out: pathlib.Path) -> None:
    """Writes a copy of a video with its predictions, atomically; no more than a few frames are in memory.

    Args:
      path: the video.
      found: its record (see `results.py`). A frame shows the clip whose middle is nearest.

    Raises:
      VideoError: the video cannot be decoded, or frames change their size.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        videos.faults_of(path),
        atomic_write(out) as file,
        pathlib.Path(path).open("rb") as given,
        video.open_video(given) as (container, stream),
        av.open(file, "w", format="mp4") as drawn,
    ):
        rate = stream.average_rate
        encoder = drawn.add_stream("libx264", rate=rate, options=_QUALITY)
        for number, frame in enumerate(_upright(container, stream)):
            if not number:
                encoder.height, encoder.width, encoder.pix_fmt = *frame.shape[:2], "yuv420p"
            annotate(frame, lines(found, number / float(rate)))
            drawn.mux(encoder.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        drawn.mux(encoder.encode())


def lines(found: dict, time: float) -> list[str]:
    """The text of a frame at `time` seconds: a line for each label."""
    clip = min(found["clips"], key=lambda clip: abs((clip["start"] + clip["end"]) / 2 - time))
    return [f"{each['score']:.2f} {each['label']}" for best in clip["predictions"].values() for each in best]


def annotate(frame: np.ndarray, texts: list[str]) -> None:
    """Draws lines of text at the top left of a frame (height, width, 3) uint8 BGR, in place, on a darker ground."""
    if not texts:
        return
    texts = [text.encode("ascii", "replace").decode() for text in texts]  # what OpenCV's fonts have
    height = max(12, frame.shape[0] // _LINES)  # of a line, pixels
    scale = 0.6 * height / cv2.getTextSize("H", _FONT, 1, 1)[0][1]
    width = max(cv2.getTextSize(text, _FONT, scale, 1)[0][0] for text in texts)
    frame[: height * len(texts) + height // 2, : width + height] //= 3
    for number, text in enumerate(texts, start=1):
        place = (height // 2, number * height)
        cv2.putText(frame, text, place, _FONT, scale, (255, 255, 255), max(1, height // 16), cv2.LINE_AA)


def _upright(container, stream) -> Iterator[np.ndarray]:
    """The frames as players show them, (height, width, 3) uint8 BGR, sides cut to even numbers as H.264 needs."""
    size = None
    for frame in video.decode_frames(container, stream):
        image = np.rot90(frame.to_ndarray(format="bgr24"), round(frame.rotation / 90) % 4)
        image = np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
        if size not in (None, image.shape):
            raise ClipError("changes its frame size")
        size = image.shape
        yield image
