"""Where clips are cropped and whether they are mirrored: the same for all frames of a clip."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from haa_jax.streams.images import Box

CROPS = (1, 3, 10)  # at test: the center; three along the long side; corners and center, and their mirror images
CENTER = {1: 0, 3: 1, 10: 4}  # number of crops -> which of them is the center


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
