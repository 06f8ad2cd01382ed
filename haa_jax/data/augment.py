"""Where in the frame: crops and flips, the same for all frames of a window.

Decoding, resizing and slicing are the only work that the host does on pixels; they stay uint8 until the
device normalises them.
"""

import cv2
import numpy as np

CROPS = (1, 3)  # at test: the centre, or three along the long side


def resized_shape(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) after scaling the short side to `short_side` pixels."""
    scale = short_side / min(height, width)
    return max(short_side, round(height * scale)), max(short_side, round(width * scale))


def random_corner(height: int, width: int, crop: int, rng: np.random.Generator) -> tuple[int, int]:
    """(top, left) of a square crop placed at random."""
    return int(rng.integers(height - crop + 1)), int(rng.integers(width - crop + 1))


def test_corners(height: int, width: int, crop: int, crops: int) -> list[tuple[int, int]]:
    """(top, left) of the crops at test: the centre, or start, centre and end of the long side."""
    room = np.array([height - crop, width - crop])
    fractions = [0.5] if crops == 1 else [0.0, 0.5, 1.0]
    along = np.array([height >= width, height < width])
    corners = [np.where(along, room * fraction, room / 2) for fraction in fractions]
    return [(int(top), int(left)) for top, left in np.floor(corners)]


def decode(jpeg: bytes, short_side: int) -> np.ndarray:
    """One frame: (H, W, 3) uint8 RGB with its short side scaled to `short_side` (bilinear).

    Raises:
      ValueError: the bytes are not an image.
    """
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags)
    if image is None:
        raise ValueError("a stored frame is not an image")
    height, width = resized_shape(*image.shape[:2], short_side)
    if (height, width) != image.shape[:2]:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image
