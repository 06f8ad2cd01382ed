"""Heatmaps of the most prominent person's joints: a batch holds the joints, the device draws them."""

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax.streams import joints, pictures, rgb
from haa_jax.streams.images import Box

FEATURES = {"video": "", "pose": "pose"}
FIELDS = pictures.FIELDS
INPUT = "clips"
SCALES = pictures.SCALES
# COCO-17 joints by channel of the heatmap: head, upper body, lower body.
HEATMAP_GROUPS = (slice(0, 5), slice(5, 11), slice(11, 17))

check = pictures.check
num_frames, num_positions, picture = rgb.num_frames, rgb.num_positions, rgb.picture


def spec(data):
    return (data.frames, joints.NUM_JOINTS["coco17"], 3), np.float32


def write(clip: pictures.StoredClip, positions: np.ndarray, box: Box, out: np.ndarray, rng=None) -> None:
    person = clip.example["pose"][positions, 0]  # (frames, 17, 3)
    person = joints.in_windows(person, clip.windows(positions))
    out[...] = joints.to_crop(person, *clip.shape(positions), box, clip.data.crop)


def preprocess(clips: jax.Array, data) -> jax.Array:
    return draw_joints(clips, data.crop, data.pose_sigma)


def draw_joints(pose: jax.Array, size: int, sigma: float) -> jax.Array:
    """Joints as Gaussians, each as high as its score; a channel has the maximum over its group of joints.

    Args:
      pose: (..., 17, 3): x, y in pixels, score.
      size: side of the square, pixels.
      sigma: standard deviation of the Gaussians, pixels.

    Returns:
      (..., size, size, 3) float32.
    """
    centers = jnp.arange(size, dtype=jnp.float32) + 0.5
    bells = jnp.exp(-((centers - pose[..., :2, None]) ** 2) / (2 * sigma**2))  # (..., joints, 2, size)
    across, down = bells[..., 0, :], bells[..., 1, :] * pose[..., 2, None]
    channels = [(down[..., group, :, None] * across[..., group, None, :]).max(-3) for group in HEATMAP_GROUPS]
    return jnp.stack(channels, axis=-1)
