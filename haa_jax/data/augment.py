"""Where in the frame: crops and flips, the same for all frames of a clip, and the colors of RGB frames.

Decoding, resizing and slicing are the only work that the host does on most pixels; they stay uint8 until the device
normalizes them.
"""

import dataclasses
import itertools
import math

import cv2
import numpy as np

AUGMENTS = ("crop", "multi_scale", "resized_crop")
CROPS = (1, 3, 10)  # at test: the center; three along the long side; corners and center, and their mirror images
COLOUR_JITTER = 0.4  # of torchvision-style jitter: factors between 0.6 and 1.4


@dataclasses.dataclass(frozen=True)
class Box:
    """A part of a frame, in pixels, and whether it is mirrored."""

    top: int
    left: int
    height: int
    width: int
    flip: bool = False


def resized_shape(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) after scaling the short side to `short_side` pixels."""
    scale = short_side / min(height, width)
    return max(short_side, round(height * scale)), max(short_side, round(width * scale))


def train_short_side(config, rng: np.random.Generator) -> int:
    """Pixels of the short side before cropping: `resize`, or random up to `resize_max` (SlowFast: 320)."""
    return int(rng.integers(config.resize, config.resize_max + 1)) if config.resize_max else config.resize


def train_box(height: int, width: int, config, rng: np.random.Generator) -> Box:
    """What a training clip shows of frames of this size, drawn as `config.augment` says."""
    place = {"crop": _random_crop, "multi_scale": _multi_scale, "resized_crop": _resized_crop}[config.augment]
    top, left, box_height, box_width = place(height, width, config, rng)
    return Box(top, left, box_height, box_width, bool(config.flip and rng.random() < 0.5))


def _random_crop(height: int, width: int, config, rng) -> tuple[int, int, int, int]:
    crop = config.crop
    return int(rng.integers(height - crop + 1)), int(rng.integers(width - crop + 1)), crop, crop


def _multi_scale(height: int, width: int, config, rng) -> tuple[int, int, int, int]:
    """Corners, center and the places between, at one of a few sizes (yjxiong/tsn-pytorch GroupMultiScaleCrop).

    Height and width may differ by one step of the scales. Flow has no smallest scale.
    """
    scales = (1, 0.875, 0.75, 0.66) if config.stream == "rgb" else (1, 0.875, 0.75)
    sizes = [int(min(height, width) * scale) for scale in scales]
    steps = range(len(sizes))
    pairs = [(sizes[i], sizes[j]) for i, j in itertools.product(steps, steps) if abs(i - j) <= 1]
    box_height, box_width = pairs[rng.integers(len(pairs))]
    quarters = [*itertools.product((0, 2, 4), (0, 2, 4)), *itertools.product((1, 3), (1, 3))]
    down, right = quarters[rng.integers(len(quarters))]
    return (height - box_height) // 4 * down, (width - box_width) // 4 * right, box_height, box_width


def _resized_crop(height: int, width: int, config, rng) -> tuple[int, int, int, int]:
    """A random 8 % to 100 % of the frame, of a random ratio of 3:4 to 4:3, on its side half of the time.

    So TPN draws it (mmaction/datasets/transforms.py RandomResizedCrop); GoogLeNet (arXiv 1409.4842 section 6) says no
    more than the limits. Where ten draws do not fit, the largest centered square.
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


def test_boxes(height: int, width: int, crop: int, crops: int) -> list[Box]:
    """The crops of one of CROPS.

    Three are PySlowFast's (datasets/transform.py uniform_crop); ten, of which the last ones may end up to three pixels
    short of the edge, are tsn-pytorch's (transforms.py GroupOverSample), the mirrored ones after the others here.
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
    """The box of a picture (height, width, channels), `crop` pixels on each side (bilinear), mirrored if it says so."""
    part = picture[box.top : box.top + box.height, box.left : box.left + box.width]
    if part.shape[:2] != (crop, crop):
        part = cv2.resize(part, (crop, crop), interpolation=cv2.INTER_LINEAR)
    return part[:, ::-1] if box.flip else part


def jitter_colors(clip: np.ndarray, rng: np.random.Generator) -> None:
    """Changes brightness, contrast and saturation of a clip (frames, height, width, 3) uint8 in place."""
    brightness, contrast, saturation = rng.uniform(1 - COLOUR_JITTER, 1 + COLOUR_JITTER, 3).astype(np.float32)
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    bright = np.minimum(clip * brightness, 255)
    mean = (bright @ luma).mean()
    contrasted = np.clip((bright - mean) * contrast + mean, 0, 255)
    gray = (contrasted @ luma)[..., None]
    clip[...] = np.clip((contrasted - gray) * saturation + gray + 0.5, 0, 255)


def decode(jpeg: bytes, *, gray: bool = False) -> np.ndarray:
    """One picture as it is stored: (H, W, 3) uint8 RGB, (H, W) if `gray`.

    Raises:
      ValueError: the bytes are not an image.
    """
    flags = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError("a stored frame is not an image")
    return image


def scale(picture: np.ndarray, short_side: int) -> np.ndarray:
    """A picture with its short side scaled to `short_side` pixels (bilinear)."""
    height, width = resized_shape(*picture.shape[:2], short_side)
    if (height, width) == picture.shape[:2]:
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)


def person_windows(boxes: np.ndarray, height: int, width: int, margin: float) -> np.ndarray:
    """The square around the person in each frame: of `margin` times the longer side of the box, about its center.

    Args:
      boxes: (frames, 4): x, y, width, height in 0..1 of the frame.
      height, width: of the frame, pixels.

    Returns:
      (frames, 4) like `boxes`; squares in pixels, which may reach beyond the frame.
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
    # Between the centers of pixels: center i of the square lies at left + (i + 0.5) * across / side.
    steps = np.array(
        [[across / side, 0, left + across / side / 2 - 0.5], [0, down / side, top + down / side / 2 - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    levels = (outside,) * 3
    return cv2.warpAffine(picture, steps, (side, side), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=levels)
