"""People's joints on the host: cropped and mirrored with the frame, or moved at random as in ST-GCN."""

import numpy as np

from haa_jax.streams.images import Box

PEOPLE = 2  # in the dataset's poses, the most prominent first
NUM_JOINTS = {"coco17": 17, "openpose18": 18}
# COCO-17: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, the left one first.
_MIRRORED = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
# Order of OpenPose's COCO model without joint 1, the neck: nose, right arm, left arm, right leg, left leg, eyes, ears.
_OPENPOSE = np.array([0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3])


def flip(joints: np.ndarray) -> np.ndarray:
    """The mirror image of (..., 17, 3) with x in 0..1 of the width: left joints become right joints."""
    mirrored = joints[..., _MIRRORED, :].copy()
    mirrored[..., 0] = np.where(mirrored[..., 2] > 0, 1 - mirrored[..., 0], mirrored[..., 0])
    return mirrored


def to_crop(joints: np.ndarray, height: int, width: int, box: Box, crop: int) -> np.ndarray:
    """Joints in pixels of a crop.

    Args:
      joints: (..., 17, 3): x and y in 0..1 of the frame, score.
      height, width: of the frame that `box` is a part of.
      crop: side of the square that the box is scaled to.

    Returns:
      The same shape with x and y in pixels of the crop; joints outside are kept, with coordinates beyond it.
    """
    joints = joints.astype(np.float32, copy=True)
    joints[..., 0] = (joints[..., 0] * width - box.left) * crop / box.width
    joints[..., 1] = (joints[..., 1] * height - box.top) * crop / box.height
    if box.flip:
        joints = joints[..., _MIRRORED, :]
        joints[..., 0] = crop - joints[..., 0]
    return joints


def in_windows(joints: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Joints as fractions of a window of each frame instead of the whole frame.

    Args:
      joints: (frames, 17, 3): x and y in 0..1 of the frame, score.
      windows: (frames, 4): x, y, width, height in 0..1 of the frame.
    """
    joints = joints.astype(np.float32, copy=True)
    joints[..., :2] = (joints[..., :2] - windows[:, None, :2]) / windows[:, None, 2:]
    return joints


def to_openpose(joints: np.ndarray) -> np.ndarray:
    """COCO-17 (..., 17, 3) as OpenPose-18 (..., 18, 3): the neck is between the shoulders, with their lower score."""
    left, right = joints[..., _LEFT_SHOULDER, :], joints[..., _RIGHT_SHOULDER, :]
    neck = (left + right) / 2
    neck[..., 2] = np.minimum(left[..., 2], right[..., 2])
    neck[neck[..., 2] == 0] = 0
    rest = joints[..., _OPENPOSE, :]
    return np.concatenate([rest[..., :1, :], neck[..., None, :], rest[..., 1:, :]], axis=-2)


def centered(joints: np.ndarray) -> np.ndarray:
    """x and y in -0.5..0.5 around the center, zeros where the score is 0 (yysijie/st-gcn feeder/feeder_kinetics.py)."""
    moved = joints - np.array([0.5, 0.5, 0], joints.dtype)
    moved[joints[..., 2] == 0] = 0
    return moved


def random_move(joints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotates, scales and shifts all joints, by amounts that change linearly from the first frame to the last.

    The draws are those of yysijie/st-gcn feeder/tools.py random_move: up to 10 degrees, a tenth of the size and a fifth
    of the frame. Undetected joints stay at zero.

    Args:
      joints: (people, frames, joints, 3), centered.
    """
    frames = joints.shape[1]
    time = np.linspace(0, 1, frames)

    def ramp_between(choices) -> np.ndarray:
        first, last = rng.choice(choices, 2)
        return first + (last - first) * time

    angle = np.deg2rad(ramp_between([-10.0, -5.0, 0.0, 5.0, 10.0]))
    scale = ramp_between([0.9, 1.0, 1.1])
    shift = np.stack([ramp_between([-0.2, -0.1, 0.0, 0.1, 0.2]) for _ in range(2)], axis=-1)
    rotation = scale[:, None, None] * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).T
    moved = joints.copy()
    moved[..., :2] = np.einsum("ptvc,tcd->ptvd", joints[..., :2], rotation) + shift[:, None]
    moved[joints[..., 2] == 0] = 0
    return moved
