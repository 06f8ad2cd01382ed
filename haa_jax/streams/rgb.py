"""RGB frames."""

import jax
import numpy as np

from haa_jax.streams import images, pictures

FEATURES = {"video": ""}
FIELDS = pictures.FIELDS | pictures.LEVELS | {"color_jitter": False, "bgr": False}
INPUT = "clips"
SCALES = (*pictures.SCALES, 0.66)


def spec(data):
    return (data.frames, data.crop, data.crop, 3), np.uint8


def check(data):
    yield from pictures.check(data)
    yield from pictures.check_levels(data, 3)


def num_frames(example: dict) -> int:
    return len(example["video"])


def num_positions(num_frames: int, data) -> int:
    return num_frames


def picture(clip: pictures.StoredClip, position: int) -> np.ndarray:
    return clip.scaled(images.decode(clip.example["video"][position]), position)


def write(clip: pictures.StoredClip, positions: np.ndarray, box: images.Box, out: np.ndarray, rng=None) -> None:
    clip.crop(picture, positions, box, out)
    if rng and clip.data.color_jitter:
        images.jitter_colors(out, rng)


def preprocess(clips: jax.Array, data) -> jax.Array:
    return pictures.normalize(clips[..., ::-1] if data.bgr else clips, data)
