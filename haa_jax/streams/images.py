"""Single pictures on the host: decoding, scaling, cropping. Levels stay uint8 until the device normalizes them."""

import dataclasses

import cv2
import numpy as np

COLOR_JITTER = 0.4  # torchvision-style: factors between 0.6 and 1.4


@dataclasses.dataclass(frozen=True)
class Box:
    """A part of a frame, in pixels, and whether it is mirrored left to right."""

    top: int
    left: int
    height: int
    width: int
    flip: bool = False


def resized_shape(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) after scaling the short side to `short_side` pixels."""
    scale = short_side / min(height, width)
    return max(short_side, round(height * scale)), max(short_side, round(width * scale))


def cut(picture: np.ndarray, box: Box, crop: int) -> np.ndarray:
    """The box of a picture (height, width, channels), scaled to `crop` pixels on each side (bilinear)."""
    part = picture[box.top : box.top + box.height, box.left : box.left + box.width]
    if part.shape[:2] != (crop, crop):
        part = cv2.resize(part, (crop, crop), interpolation=cv2.INTER_LINEAR)
    # NumPy copies a mirrored view pixel by pixel, which takes longer than decoding the JPEG.
    return cv2.flip(part, 1) if box.flip else part


def jitter_colors(clip: np.ndarray, rng: np.random.Generator) -> None:
    """Changes brightness, contrast and saturation of a clip (frames, height, width, 3) uint8 in place."""
    brightness, contrast, saturation = rng.uniform(1 - COLOR_JITTER, 1 + COLOR_JITTER, 3).astype(np.float32)
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    bright = np.minimum(clip * brightness, 255)
    mean = (bright @ luma).mean()
    contrasted = np.clip((bright - mean) * contrast + mean, 0, 255)
    gray = (contrasted @ luma)[..., None]
    clip[...] = np.clip((contrasted - gray) * saturation + gray + 0.5, 0, 255)


def decode(image: bytes | np.ndarray, *, gray: bool = False) -> np.ndarray:
    """A stored picture: (height, width, 3) uint8 RGB, (height, width) if `gray`; an array is returned as it is.

    Raises:
      ValueError: the bytes are not an image.
    """
    if isinstance(image, np.ndarray):
        return image
    flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    picture = cv2.imdecode(np.frombuffer(image, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise ValueError("a stored frame is not an image")
    return picture


def scale(picture: np.ndarray, short_side: int) -> np.ndarray:
    """A picture with its short side scaled to `short_side` pixels (bilinear)."""
    height, width = resized_shape(*picture.shape[:2], short_side)
    if (height, width) == picture.shape[:2]:
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)


def person_windows(boxes: np.ndarray, height: int, width: int, margin: float) -> np.ndarray:
    """The square around the person in each frame: `margin` times the longer side of the box, around its center.

    Args:
      boxes: (frames, 4): x, y, width, height in 0..1 of the frame.
      height, width: of the frame, pixels.

    Returns:
      (frames, 4) like `boxes`; square in pixels, may reach beyond the frame.
    """
    sides = margin * (boxes[:, 2:] * (width, height)).max(1, keepdims=True) / (width, height)
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2 - sides / 2, sides], axis=1)


def show(picture: np.ndarray, window: np.ndarray, side: int, outside: int) -> np.ndarray:
    """The part of a picture that `window` (x, y, width, height in 0..1 of it) covers, as a square (bilinear).

    Args:
      side: of the square, pixels.
      outside: level where the window reaches beyond the picture.
    """
    height, width = picture.shape[:2]
    left, top, across, down = window * (width, height, width, height)
    # Maps centers of pixels: center i of the square is at left + (i + 0.5) * across / side in the picture.
    steps = np.array(
        [[across / side, 0, left + across / side / 2 - 0.5], [0, down / side, top + down / side / 2 - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    levels = (outside,) * 3
    return cv2.warpAffine(picture, steps, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=levels)
