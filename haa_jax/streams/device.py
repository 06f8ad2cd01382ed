"""From stored values to what a network sees; runs on the device."""

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax.streams.views import parts

# COCO-17 joints by channel of the heatmap: head, upper body, lower body.
HEATMAP_GROUPS = (slice(0, 5), slice(5, 11), slice(11, 17))


def preprocess(clips: dict[str, jax.Array], config) -> jax.Array:
    """A batch of clips as the network's float32 input.

    Args:
      clips: part -> (..., *shape) as `streams.clip_spec` says.
      config: `config.data`.

    Returns:
      rgb and flow: (..., frames, crop, crop, channels), (level - mean) / std. pose: a heatmap (..., frames, crop, crop,
      3) from 0 to the highest score. objects: (..., frames, crop, crop, 5) from 0 to 1. Several parts: their channels
      side by side. skeleton: as stored.
    """
    return jnp.concatenate([_preprocess(part, clips[part], config) for part in parts(config)], axis=-1)


def _preprocess(part: str, clips: jax.Array, config) -> jax.Array:
    if part == "skeleton":
        return clips
    if part == "pose":
        return draw_joints(clips, config.crop, config.pose_sigma)
    if part == "objects":
        return clips.astype(jnp.float32) / 255
    mean, std = np.array(config.mean), np.array(config.std)
    if config.bgr:
        clips = clips[..., ::-1]
    return clips.astype(jnp.float32) / np.float32(std) - np.float32(mean / std)


def draw_joints(joints: jax.Array, size: int, sigma: float) -> jax.Array:
    """Joints as Gaussians, as high as their score, the highest of each group in a channel.

    Args:
      joints: (..., joints, 3): x, y in pixels and score.
      size: side of the square, pixels.
      sigma: of the Gaussians, pixels.

    Returns:
      (..., size, size, 3) float32.
    """
    centers = jnp.arange(size, dtype=jnp.float32) + 0.5
    bells = jnp.exp(-((centers - joints[..., :2, None]) ** 2) / (2 * sigma**2))  # (..., joints, 2, size)
    across, down = bells[..., 0, :], bells[..., 1, :] * joints[..., 2, None]
    channels = [(down[..., group, :, None] * across[..., group, None, :]).max(-3) for group in HEATMAP_GROUPS]
    return jnp.stack(channels, axis=-1)
