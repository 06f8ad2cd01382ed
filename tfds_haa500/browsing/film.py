"""Animated thumbnails for a page: pictures side by side in one image (a film strip), which CSS moves behind a window.

Unlike animated images, the films of one clip stay in step, can be paused, and respect the system's setting for reduced
motion.
"""

import base64
import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

SHORT_SIDE = 96  # pixels of a picture
LONG_SIDE = 240
FRAMES = 16  # pictures of a film
QUALITY = 60  # of WebP


@dataclasses.dataclass(frozen=True)
class Film:
    """Pictures of one size, played in a loop.

    Attributes:
      caption: what they show, as plain text.
      strip: WebP bytes, all pictures side by side.
      frames: how many there are.
      size: (width, height) of each, pixels.
      seconds: the duration of the loop.
    """

    caption: str
    strip: bytes
    frames: int
    size: tuple[int, int]
    seconds: float

    @property
    def uri(self) -> str:
        return f"data:image/webp;base64,{base64.b64encode(self.strip).decode()}"


def make(caption: str, pictures: Sequence[np.ndarray], seconds: float) -> Film:
    """A film of pictures, uint8 (height, width, 3) RGB of one size, which are scaled down to a thumbnail's size."""
    pictures = [shrunk(picture) for picture in pictures]
    height, width = pictures[0].shape[:2]
    _, strip = cv2.imencode(".webp", np.concatenate(pictures, axis=1)[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return Film(caption, strip.tobytes(), len(pictures), (width, height), seconds)


def shrunk(picture: np.ndarray) -> np.ndarray:
    """A picture (height, width) or (height, width, channels) at a thumbnail's size; never enlarged."""
    height, width = picture.shape[:2]
    scale = min(1.0, SHORT_SIDE / min(height, width), LONG_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def chosen(length: int, most: int = FRAMES) -> np.ndarray:
    """Which of `length` pictures a film shows: all of them, or `most` that are spread evenly: int64 (pictures,)."""
    count = min(length, most)
    return (np.arange(count) * length) // count
