"""Maps over the joints of people, drawn as skeletons over the frames."""

import cv2
import numpy as np

from haa_jax.explanation import drawing
from haa_jax.models.skeleton import SKELETONS
from haa_jax.streams import joints

BONE = (200, 200, 200)
_SIDES = ("left", "right")
_LIMBS = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
NAMES = {
    "coco17": (
        "nose",
        *(f"{side} {joint}" for joint in ("eye", "ear", *_LIMBS[0], *_LIMBS[1]) for side in _SIDES),
    ),
    "openpose18": (
        *("nose", "neck"),
        *(f"{side} {joint}" for limb in _LIMBS for side in _SIDES[::-1] for joint in limb),
        *(f"{side} {joint}" for joint in ("eye", "ear") for side in _SIDES[::-1]),
    ),
}


def people_of(example: dict, frames: np.ndarray, skeleton: str) -> np.ndarray:
    """The joints at each step, zeros past the end of the video.

    Args:
      example: a stored clip.
      frames: int (steps,).
      skeleton: "coco17" or "openpose18".

    Returns:
      float32 (people, steps, joints, 3): x, y in 0..1 of the frame, score.
    """
    pose = example["pose"]  # (frames, people, 17, 3)
    within = (frames < len(pose))[:, None, None, None]
    people = np.where(within, pose[np.minimum(frames, len(pose) - 1)], 0)
    people = joints.to_openpose(people) if skeleton == "openpose18" else people
    return people.transpose(1, 0, 2, 3)


def draw(frame: np.ndarray, people: np.ndarray, values: np.ndarray, skeleton: str) -> np.ndarray:
    """A darkened frame with bones in gray, and the joints that were detected colored by their values.

    Args:
      frame: uint8 (height, width, 3), RGB.
      people: (people, joints, 3), see `people_of`.
      values: (people, joints) in 0..1.
    """
    picture = (drawing.UNSEEN * frame).astype(np.uint8)
    size = min(frame.shape[:2]) / 240
    for person, own in zip(people, values, strict=True):
        points = np.round(person[:, :2] * (frame.shape[1], frame.shape[0])).astype(int)
        for a, b in SKELETONS[skeleton].bones:
            if person[a, 2] > 0 and person[b, 2] > 0:
                cv2.line(picture, points[a].tolist(), points[b].tolist(), BONE, round(2 * size), cv2.LINE_AA)
        shades = drawing.colors(own[None])[0]
        for joint in np.argsort(own):  # the highest on top
            if person[joint, 2] > 0:
                radius = round(size * (3 + 5 * own[joint]))
                cv2.circle(picture, points[joint].tolist(), radius, shades[joint].tolist(), -1, cv2.LINE_AA)
    return picture


def strongest(values: np.ndarray, skeleton: str, count: int = 3) -> list[tuple[str, float]]:
    """The joints with the largest shares of a map (people, steps, joints), by name."""
    shares = values.sum((0, 1)) / values.sum()
    return [(NAMES[skeleton][joint], float(shares[joint])) for joint in np.argsort(-shares)[:count]]
