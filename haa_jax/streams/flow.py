"""Optical flow: stacks of consecutive fields, x and y as gray images whose middle level is no motion."""

import jax
import numpy as np

from haa_jax.streams import images, pictures

FEATURES = {"flow_x": "flow", "flow_y": "flow"}
FIELDS = pictures.FIELDS | pictures.LEVELS | {"flow_stack": 1}
INPUT = "clips"
SCALES = pictures.SCALES
NO_MOTION = 128  # level


def spec(data):
    return (data.frames, data.crop, data.crop, 2 * data.flow_stack), np.uint8


def check(data):
    yield from pictures.check(data)
    yield from pictures.check_levels(data, 2 * data.flow_stack)


def num_frames(example: dict) -> int:
    return len(example["flow_x"]) + 1  # a field leads from each frame to the next


def num_positions(num_frames: int, data) -> int:
    """Where a whole stack of fields starts; at least 1: the last field of a shorter clip is repeated."""
    return max(1, num_frames - data.flow_stack)


def picture(clip: pictures.StoredClip, position: int) -> np.ndarray:
    """The stack that starts at a position: x1 y1 x2 y2 ..."""
    fields = np.minimum(position + np.arange(clip.data.flow_stack), len(clip.example["flow_x"]) - 1)
    planes = [
        clip.scaled(images.decode(clip.example[axis][field], gray=True), int(field), NO_MOTION)
        for field in fields
        for axis in ("flow_x", "flow_y")
    ]
    return np.stack(planes, axis=-1)


def write(clip: pictures.StoredClip, positions: np.ndarray, box: images.Box, out: np.ndarray, rng=None) -> None:
    clip.crop(picture, positions, box, out)
    if box.flip:
        out[..., 0::2] = 255 - out[..., 0::2]  # what moved right moves left


def preprocess(clips: jax.Array, data) -> jax.Array:
    return pictures.normalize(clips, data)
