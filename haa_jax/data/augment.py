"""Crops and flips, the same for all frames of a clip, and the colors of RGB frames.

The host only decodes, resizes and slices: levels stay uint8 until the device normalizes them.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np

CROPS = (1, 3, 10)  # at test: the center; three along the long side; corners and center, and their mirror images
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


def train_short_side(data, rng: np.random.Generator) -> int:
    """Pixels of the short side before cropping: `resize`, or random up to `resize_max` (SlowFast: 320)."""
    return int(rng.integers(data.resize, data.resize_max + 1)) if data.resize_max else data.resize


def train_box(height: int, width: int, data, scales: Sequence[float], rng: np.random.Generator) -> Box:
    """The box that a training clip shows of frames of this size, drawn by the augmentation `data.augment`.

    Args:
      data: `config.data`.
      scales: sizes of multi-scale crops, as fractions of the short side.
    """
    return random_flip(Box(*AUGMENTS[data.augment](height, width, data.crop, scales, rng)), data, rng)


def random_flip(box: Box, data, rng: np.random.Generator) -> Box:
    """The box, mirrored half of the time if `data.flip` is set."""
    return dataclasses.replace(box, flip=bool(data.flip and rng.random() < 0.5))


def _random_crop(height: int, width: int, crop: int, _, rng) -> tuple[int, int, int, int]:
    return int(rng.integers(height - crop + 1)), int(rng.integers(width - crop + 1)), crop, crop


def _multi_scale(height: int, width: int, _, scales: Sequence[float], rng) -> tuple[int, int, int, int]:
    """Corners, center and the places between, at one of a few sizes (yjxiong/tsn-pytorch GroupMultiScaleCrop).

    Height and width may differ by one step of the scales, which are in falling order.
    """
    sizes = [int(min(height, width) * scale) for scale in scales]
    steps = range(len(sizes))
    pairs = [(sizes[i], sizes[j]) for i, j in itertools.product(steps, steps) if abs(i - j) <= 1]
    box_height, box_width = pairs[rng.integers(len(pairs))]
    quarters = [*itertools.product((0, 2, 4), (0, 2, 4)), *itertools.product((1, 3), (1, 3))]
    down, right = quarters[rng.integers(len(quarters))]
    return (height - box_height) // 4 * down, (width - box_width) // 4 * right, box_height, box_width


def _resized_crop(height: int, width: int, _crop, _scales, rng) -> tuple[int, int, int, int]:
    """A random 8 % to 100 % of the frame with a random aspect ratio of 3:4 to 4:3, inverted half of the time.

    Drawn as by TPN (mmaction/datasets/transforms.py RandomResizedCrop); GoogLeNet (arXiv 1409.4842 section 6) only
    gives the limits. If ten draws do not fit, the largest centered square.
    """
    for _ in range(10):
        area = height * width * rng.uniform(0.08, 1.0)
        ratio = rng.uniform(3 / 4, 4 / 3) ** rng.choice((-1, 1))
        box_height, box_width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < box_height <= height and 0 < box_width <= width:
            top, left = int(rng.integers(height - box_height + 1)), int(rng.integers(width - box_width + 1))
            return top, left, box_height, box_width
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


# (height, width, crop, scales, rng) to (top, left, height, width) of a training crop.
AUGMENTS = {"crop": _random_crop, "multi_scale": _multi_scale, "resized_crop": _resized_crop}


def test_boxes(height: int, width: int, crop: int, crops: int) -> list[Box]:
    """The boxes of `crops` crops at test, one of CROPS.

    Three are those of PySlowFast (datasets/transform.py uniform_crop). Ten are those of tsn-pytorch (transforms.py
    GroupOverSample), but with the mirrored crops last; corners may be up to three pixels short of the edge.
    """
    down, right = height - crop, width - crop
    if crops == 1:
        return [Box(down // 2, right // 2, crop, crop)]
    if crops == 3:
        middle = -(-down // 2), -(-right // 2)
        along = (
            [(0, middle[1]), middle, (down, middle[1])]
            if height > width
            else [(middle[0], 0), middle, (middle[0], right)]
        )
        return [Box(*corner, crop, crop) for corner in along]
    down, right = down // 4, right // 4
    corners = [(0, 0), (0, 4 * right), (4 * down, 0), (4 * down, 4 * right), (2 * down, 2 * right)]
    return [Box(*corner, crop, crop, flip) for flip in (False, True) for corner in corners]


def cut(picture: np.ndarray, box: Box, crop: int) -> np.ndarray:
    """The box of a picture (height, width, channels), scaled to `crop` pixels on each side (bilinear)."""
    part = picture[box.top : box.top + box.height, box.left : box.left + box.width]
    if part.shape[:2] != (crop, crop):
        part = cv2.resize(part, (crop, crop), interpolation=cv2.INTER_LINEAR)
    return part[:, ::-1] if box.flip else part


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
