"""From stored values to what a network sees; runs on the device."""

import jax.numpy as jnp


def normalise_rgb(clips, dtype=jnp.float32):
    """uint8 (..., 3) to [-1, 1], as I3D scales RGB (arXiv 1705.07750 section 3)."""
    return (clips.astype(jnp.float32) / 127.5 - 1.0).astype(dtype)
