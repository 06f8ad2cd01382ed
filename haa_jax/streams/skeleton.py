"""Joints of two people as coordinates, for graph networks: not cropped, but mirrored and moved as in ST-GCN."""

import jax
import numpy as np

from haa_jax.streams import joints, pictures
from haa_jax.streams.images import Box

FEATURES = {"pose": "pose"}
FIELDS = {"random_move": False}
INPUT = "skeleton"


def spec(data):
    return (joints.PEOPLE, data.frames, joints.NUM_JOINTS[data.skeleton], 3), np.float32


def check(data):
    if data.temporal_padding != "zero":
        given = f"config.data.temporal_padding={data.temporal_padding!r}"
        yield f"{given} does not go with config.data.stream={data.stream!r}, set it to 'zero'"


def num_frames(example: dict) -> int:
    return len(example["pose"])


def num_positions(num_frames: int, data) -> int:
    return num_frames


def write(clip: pictures.StoredClip, positions: np.ndarray, box: Box, out: np.ndarray, rng=None) -> None:
    """Writes (people, frames, joints, 3); frames past the end of a short clip are zero."""
    pose = clip.example["pose"]  # (frames, people, 17, 3)
    within = (positions < len(pose))[:, None, None, None]
    people = np.where(within, pose[np.minimum(positions, len(pose) - 1)], 0)
    people = joints.flip(people) if box.flip else people
    people = joints.to_openpose(people) if clip.data.skeleton == "openpose18" else people
    out[...] = joints.centered(people).transpose(1, 0, 2, 3)
    if rng and clip.data.random_move:
        out[...] = joints.random_move(out, rng)


def preprocess(clips: jax.Array, data) -> jax.Array:
    return clips
