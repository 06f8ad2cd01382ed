"""From stored values to what a network sees; runs on the device."""

import jax
import jax.numpy as jnp
import numpy as np

# COCO-17 joints by channel of the heatmap: head, upper body, lower body.
HEATMAP_GROUPS = (slice(0, 5), slice(5, 11), slice(11, 17))


def prepare(clips: jax.Array, config) -> jax.Array:
    """A batch of clips as the network's float32 input.

    Args:
      clips: (..., *shape) as `streams.clip_shape` says.
      config: `config.data`.

    Returns:
      rgb and flow: (..., frames, crop, crop, channels), (level - mean) / std. pose: a heatmap (..., frames, crop, crop,
      3) from 0 to the highest score. skeleton: as stored.
    """
    if config.stream == "skeleton":
        return clips
    if config.stream == "pose":
        return draw_joints(clips, config.crop, config.pose_sigma)
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
    centres = jnp.arange(size, dtype=jnp.float32) + 0.5
    bells = jnp.exp(-((centres - joints[..., :2, None]) ** 2) / (2 * sigma**2))  # (..., joints, 2, size)
    across, down = bells[..., 0, :], bells[..., 1, :] * joints[..., 2, None]
    channels = [(down[..., group, :, None] * across[..., group, None, :]).max(-3) for group in HEATMAP_GROUPS]
    return jnp.stack(channels, axis=-1)
