"""Objects around people as pictures, fused with RGB: a channel for each group of objects, bright inside their boxes.

The groups are the dataset's (`tfds_haa500/streams/objects.py`): sports equipment, food, animals, vehicles, cutlery.
"""

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax.streams import pictures, rgb
from haa_jax.streams.images import Box

FEATURES = {"video": "", "objects": "objects"}
FIELDS = pictures.FIELDS
INPUT = "clips"
SCALES = pictures.SCALES
GROUPS = 5
# Columns of the dataset's `objects`: frame, group, then x, y, width, height of the box in 0..1 of the frame, and score.
_FRAME, _GROUP, _BOX, _SCORE = 0, 1, slice(2, 6), 6

check = pictures.check
num_frames, num_positions, picture = rgb.num_frames, rgb.num_positions, rgb.picture


def spec(data):
    return (data.frames, data.crop, data.crop, GROUPS), np.uint8


def write(clip: pictures.StoredClip, positions: np.ndarray, box: Box, out: np.ndarray, rng=None) -> None:
    paint(clip.example["objects"], clip.windows(positions), positions, clip.shape(positions), box, out)


def preprocess(clips: jax.Array, data) -> jax.Array:
    return clips.astype(jnp.float32) / 255


def paint(objects: np.ndarray, windows: np.ndarray, positions: np.ndarray, shape, box: Box, out: np.ndarray) -> None:
    """Draws the boxes of the objects that were detected in some frames of a clip.

    Args:
      objects: (N, 7) as stored.
      windows: (frames, 4): which part of each frame the picture shows; x, y, width, height in 0..1 of the frame.
      positions: (frames,) numbers of the frames.
      shape: (height, width) of the picture that `box` is a part of.
      out: uint8 (frames, crop, crop, 5), overwritten: 255 * the highest score of the objects over a pixel's center, or
        0.
    """
    out[...] = 0
    crop = out.shape[1]
    for row, window, position in zip(out, windows, positions, strict=True):
        for found in objects[objects[:, _FRAME] == position]:
            x, y, width, height = found[_BOX]
            across = np.array([x, x + width]) - window[0]
            down = np.array([y, y + height]) - window[1]
            left, right = (across / window[2] * shape[1] - box.left) * crop / box.width
            top, bottom = (down / window[3] * shape[0] - box.top) * crop / box.height
            rows, columns = _centers(top, bottom, crop), _centers(left, right, crop)
            channel = row[rows, columns, int(found[_GROUP])]
            np.maximum(channel, np.uint8(round(255 * float(found[_SCORE]))), out=channel)
    if box.flip:
        out[...] = out[:, :, ::-1].copy()


def _centers(first: float, last: float, size: int) -> slice:
    """The pixels of an axis whose centers are between two places."""
    start, stop = np.ceil(np.array([first, last]) - 0.5).clip(0, size)
    return slice(int(start), int(stop))
