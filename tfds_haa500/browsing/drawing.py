"""Pictures of what goes with the frames of a clip: flow as colors, people as bones and joints, boxes."""

from collections.abc import Sequence

import cv2
import numpy as np

Bones = Sequence[tuple[int, int]]  # pairs of joints

# COCO-17 (see `streams.pose.JOINTS`): legs, trunk, arms, shoulders to the nose, eyes and ears.
COCO_BONES = ((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (11, 5), (12, 6), (5, 6), (9, 7), (7, 5), (10, 8),
              (8, 6), (5, 0), (6, 0), (1, 0), (3, 1), (2, 0), (4, 2))  # fmt: skip
# The first person and the second; clearly different for color-blind people too.
PEOPLE_COLORS = ((255, 159, 28), (72, 202, 255))
# The person of interest, and each group of objects (see `streams.objects.GROUPS`); Okabe and Ito's palette.
PERSON_COLOR = (255, 255, 255)
GROUP_COLORS = ((230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (240, 228, 66))

# The color wheel of Baker et al. 2007, "A Database and Evaluation Methodology for Optical Flow": six hues, and how
# large the arc between two of them is.
_HUES = np.array([[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255], [255, 0, 0]])
_ARCS = np.array([0, 15, 6, 4, 11, 13, 6])


def flow_colors(flow: np.ndarray, most: float) -> np.ndarray:
    """Flow as colors: white where nothing moves, hue by direction (red right, yellow down, blue up and left).

    Args:
      flow: (..., 2) float, pixels to the right and down.
      most: pixels; motion of this length has the full color, longer motion a darker one.

    Returns:
      uint8 (..., 3) RGB.
    """
    right, down = flow[..., 0], flow[..., 1]
    place = (np.arctan2(-down, -right) / np.pi + 1) / 2  # on the wheel: 0 to 1
    corners = np.cumsum(_ARCS) / _ARCS.sum()
    hue = np.stack([np.interp(place, corners, channel) for channel in _HUES.T], axis=-1) / 255
    length = (np.hypot(right, down) / most)[..., None]
    colors = np.where(length <= 1, 1 - length * (1 - hue), 0.75 * hue)
    return np.round(255 * colors).astype(np.uint8)


def full_length(flow: np.ndarray) -> float:
    """The length that has the full color in pictures of a clip's flow: its 99.5th percentile, at least 1 pixel."""
    return max(1.0, float(np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 99.5)))


def draw_people(picture: np.ndarray, people: np.ndarray, bones: Bones = COCO_BONES) -> None:
    """Draws the joints with a score above 0, and the bones between them; the lower a score, the grayer.

    Args:
      picture: uint8 (height, width, 3), changed in place.
      people: (people, joints, 3): x and y in pixels, score.
    """
    thickness = _thickness(picture)
    for person, color in zip(people, PEOPLE_COLORS, strict=False):
        for a, b in bones:
            if min(person[a, 2], person[b, 2]) > 0:
                ends = [_subpixel(person[joint]) for joint in (a, b)]
                shade = _grayed(color, min(person[a, 2], person[b, 2]))
                cv2.line(picture, *ends, shade, thickness, cv2.LINE_AA, _SHIFT)
        for joint in person[person[:, 2] > 0]:
            radius = int(0.8 * thickness * 2**_SHIFT)
            cv2.circle(picture, _subpixel(joint), radius, _grayed(color, joint[2]), -1, cv2.LINE_AA, _SHIFT)


def draw_box(picture: np.ndarray, box: np.ndarray, color: tuple[int, int, int]) -> None:
    """Draws the outline of a box: x, y, width, height in 0..1 of the picture, uint8 (height, width, 3)."""
    height, width = picture.shape[:2]
    x, y, across, down = box * (width, height, width, height)
    corners = [_subpixel(np.array(corner)) for corner in ((x, y), (x + across, y + down))]
    cv2.rectangle(picture, *corners, color, _thickness(picture), cv2.LINE_AA, _SHIFT)


def planes(levels: np.ndarray) -> np.ndarray:
    """A channel for each group of objects, (..., groups) of 0..1, as one picture: uint8 (..., 3)."""
    lit = levels[..., None] * np.array(GROUP_COLORS[: levels.shape[-1]], np.float32)
    return np.round(lit.max(-2)).astype(np.uint8)


def faded(picture: np.ndarray) -> np.ndarray:
    """A picture at half its brightness, to draw on."""
    return picture // 2


_SHIFT = 4  # bits of subpixels
_FARTHEST = 4096  # pixels; joints may be far outside, and OpenCV's coordinates are of 16 bits


def _subpixel(point: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(np.asarray(point[:2], np.float64) - 0.5, -_FARTHEST, _FARTHEST)  # pixel centers are at +0.5
    return round(x * 2**_SHIFT), round(y * 2**_SHIFT)


def _thickness(picture: np.ndarray) -> int:
    return max(1, round(min(picture.shape[:2]) / 60))


def _grayed(color: tuple[int, int, int], score: float) -> tuple[int, ...]:
    share = min(1.0, 0.3 + 0.7 * float(score))
    return tuple(round(share * channel + (1 - share) * 96) for channel in color)
