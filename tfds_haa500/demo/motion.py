"""What the people of the generated archive do: eight movements, each with two names, forward and backward.

A movement is a path through two or three key poses. A key pose gives the pelvis, the neck and the hands; the
feet do not move, and elbows and knees follow by two-bone inverse kinematics, so that a hand always
reaches the thing it holds. Coordinates are body heights: x to the right, y down, the floor at y = 0, the
top of a standing person's head at y = -1. Side views face +x.
"""

import dataclasses

import numpy as np

from tfds_haa500.streams import pose as pose_stream

# The COCO joints by their places in `pose_stream.JOINTS`.
(NOSE, L_EYE, R_EYE, L_EAR, R_EAR, L_SHOULDER, R_SHOULDER, L_ELBOW, R_ELBOW, L_WRIST, R_WRIST,
 L_HIP, R_HIP, L_KNEE, R_KNEE, L_ANKLE, R_ANKLE) = range(len(pose_stream.JOINTS))  # fmt: skip
UPPER_ARM = FOREARM = 0.17
THIGH = SHANK = 0.235
Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Key:
    """One key pose; `elbows`: to which side (sign) and how far (0 to 1) the left and right elbow bend."""

    pelvis: Point
    neck: Point
    hands: tuple[Point, Point]
    elbows: Point

    def array(self) -> np.ndarray:
        """Rows pelvis, neck, left hand, right hand, elbows: (5, 2)."""
        return np.array([self.pelvis, self.neck, *self.hands, self.elbows])


@dataclasses.dataclass(frozen=True)
class Motion:
    """A composite: `names` are its two classes, the keys played forward and backward.

    `window` is (left, right, top, bottom) in body heights: what every clip shows.
    """

    names: tuple[str, str]
    keys: tuple[Key, ...]
    feet: tuple[Point, Point]
    knees: Point
    window: tuple[float, float, float, float]
    side_view: bool = False


FRONT_KNEES, SIDE_KNEES = (-1, 1), (-1, -1)

MOTIONS = {
    "squat": Motion(
        names=("squat_down", "squat_up"),
        keys=(
            Key((0, -0.5), (0.01, -0.81), ((0.1, -0.5), (0.06, -0.49)), (1, 1)),
            Key((-0.17, -0.23), (0.05, -0.5), ((0.36, -0.54), (0.38, -0.52)), (1, 1)),
        ),
        feet=((-0.03, -0.04), (0.04, -0.03)),
        knees=SIDE_KNEES,
        window=(-0.36, 0.4, -1.0, 0.03),
        side_view=True,
    ),
    "barbell": Motion(
        names=("barbell_raise", "barbell_lower"),
        keys=(
            Key((0, -0.34), (0, -0.64), ((0.19, -0.33), (-0.19, -0.33)), (1, -1)),
            Key((0, -0.47), (0, -0.78), ((0.19, -0.75), (-0.19, -0.75)), (1, -1)),
            Key((0, -0.5), (0, -0.81), ((0.2, -1.09), (-0.2, -1.09)), (1, -1)),
        ),
        feet=((0.13, -0.04), (-0.13, -0.04)),
        knees=FRONT_KNEES,
        window=(-0.46, 0.46, -1.2, 0.03),
    ),
    "drum": Motion(
        names=("drum_down-stroke", "drum_up-stroke"),
        keys=(
            Key((0, -0.5), (0, -0.81), ((0.22, -1.05), (-0.22, -1.05)), (1, -1)),
            Key((0, -0.5), (0, -0.8), ((0.33, -0.84), (-0.33, -0.84)), (0.3, -0.3)),
            Key((0, -0.48), (0, -0.77), ((0.12, -0.54), (-0.12, -0.54)), (-0.9, 0.9)),
        ),
        feet=((0.1, -0.04), (-0.1, -0.04)),
        knees=FRONT_KNEES,
        window=(-0.42, 0.42, -1.18, 0.03),
    ),
    "cello": Motion(
        names=("cello_ bow_out", "cello_ bow_in"),
        keys=(
            Key((0, -0.34), (0.05, -0.65), ((0.13, -0.62), (-0.05, -0.34)), (-1, 1)),
            Key((0, -0.34), (-0.06, -0.65), ((0.13, -0.62), (-0.42, -0.46)), (-1, 0.6)),
        ),
        feet=((0.2, -0.04), (-0.2, -0.04)),
        knees=FRONT_KNEES,
        window=(-0.44, 0.4, -0.95, 0.03),
    ),
    "kite": Motion(
        names=("kite_rise", "kite_sink"),
        keys=(
            Key((0.14, -0.5), (0.14, -0.8), ((0.06, -0.54), (-0.1, -0.52)), (-1, -1)),
            Key((0.14, -0.5), (0.12, -0.81), ((0.08, -1.05), (-0.1, -1.05)), (-1, -1)),
        ),
        feet=((0.22, -0.04), (0.06, -0.04)),
        knees=FRONT_KNEES,
        window=(-0.44, 0.34, -1.16, 0.03),
    ),
    "dog_trick": Motion(
        names=("dog_trick_up", "dog_trick_down"),
        keys=(
            Key((-0.21, -0.48), (-0.08, -0.75), ((-0.2, -0.47), (0.08, -0.5)), (1, 1)),
            Key((-0.18, -0.5), (-0.17, -0.81), ((-0.2, -0.49), (0.02, -1.06)), (1, 1)),
        ),
        feet=((-0.22, -0.04), (-0.13, -0.03)),
        knees=SIDE_KNEES,
        window=(-0.32, 0.42, -1.14, 0.03),
        side_view=True,
    ),
    "apple": Motion(
        names=("apple_to_mouth", "apple_to_bowl"),
        keys=(
            Key((0, -0.5), (0, -0.79), ((0.2, -0.45), (-0.16, -0.5)), (-1, 1)),
            Key((0, -0.5), (0, -0.8), ((0.2, -0.45), (-0.04, -0.84)), (-1, 0.9)),
        ),
        feet=((0.1, -0.04), (-0.1, -0.04)),
        knees=FRONT_KNEES,
        window=(-0.36, 0.36, -1.0, -0.24),
    ),
    "SUV_hood": Motion(
        names=("SUV_hood_open", "SUV_hood_close"),
        keys=(
            Key((-0.18, -0.49), (-0.05, -0.75), ((0.05, -0.53), (0.03, -0.53)), (1, 1)),
            Key((-0.15, -0.5), (-0.12, -0.81), ((0.2, -0.91), (0.18, -0.9)), (1, 1)),
        ),
        feet=((-0.2, -0.04), (-0.1, -0.03)),
        knees=SIDE_KNEES,
        window=(-0.32, 0.44, -1.02, 0.03),
        side_view=True,
    ),
}


def moved(point: np.ndarray, x: float, y: float) -> np.ndarray:
    """`point` (2,) moved by `x` and `y`."""
    return point + np.array([x, y])


def key_array(motion: Motion) -> np.ndarray:
    """The keys as numbers: (K, 5, 2), see `Key.array`."""
    return np.stack([key.array() for key in motion.keys])


def pose(motion: Motion, keys: np.ndarray, progress: float) -> np.ndarray:
    """The 17 COCO joints at `progress` (0 to 1) along `keys` (K, 5, 2): (17, 2) body heights."""
    place = np.clip(progress, 0, 1) * (len(keys) - 1)
    first = min(int(place), len(keys) - 2)
    pelvis, neck, *hands, elbows = keys[first] + (place - first) * (keys[first + 1] - keys[first])
    shoulder, hip = (0.02, 0.015) if motion.side_view else (0.11, 0.07)
    joints = np.zeros((17, 2))
    joints[:5] = _head(pelvis, neck, motion.side_view)
    for side, sign in enumerate((1, -1)):
        joints[L_SHOULDER + side] = moved(neck, sign * shoulder, 0.015)
        joints[L_HIP + side] = moved(pelvis, sign * hip, 0)
        arm = _two_bones(joints[L_SHOULDER + side], hands[side], UPPER_ARM, FOREARM, elbows[side])
        leg = _two_bones(joints[L_HIP + side], np.array(motion.feet[side]), THIGH, SHANK, motion.knees[side])
        joints[[L_ELBOW + side, L_WRIST + side]] = arm
        joints[[L_KNEE + side, L_ANKLE + side]] = leg
    return joints


def _head(pelvis: np.ndarray, neck: np.ndarray, side_view: bool) -> np.ndarray:
    """Nose, eyes and ears (5, 2); the head leans half as much as the torso, as people look ahead."""
    lean = moved((neck - pelvis) / np.linalg.norm(neck - pelvis), 0, -1)
    center = neck + 0.115 * lean / np.linalg.norm(lean)
    if side_view:
        face = [(0.075, 0.01), (0.05, -0.018), (0.045, -0.018), (-0.005, 0), (-0.005, 0)]
    else:
        face = [(0, 0.012), (0.026, -0.014), (-0.026, -0.014), (0.062, 0), (-0.062, 0)]
    return center + np.array(face)


def _two_bones(root: np.ndarray, target: np.ndarray, upper: float, lower: float, bend: float):
    """The middle and end joint of a limb that reaches from `root` for `target`, or as far as its length allows."""
    gap = target - root
    reach = float(np.clip(np.linalg.norm(gap), 1e-3, 0.999 * (upper + lower)))
    along = gap / max(float(np.linalg.norm(gap)), 1e-3)
    middle = (upper**2 - lower**2 + reach**2) / (2 * reach)
    height = bend * np.sqrt(max(upper**2 - middle**2, 0.0))
    return root + middle * along + height * np.array([-along[1], along[0]]), root + reach * along
