"""Operations that several architectures share."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn


def max_pool(x: jax.Array, window: tuple[int, ...], stride: tuple[int, ...], padding: str) -> jax.Array:
    """Max pool over the axes between the first and the last, as `flax.linen.max_pool`, one axis after the other.

    The maximum over a box is the maximum over its axes in turn. As elementwise maxima of shifted slices, with the
    gradient, it takes a CPU a third to a twentieth of the time of XLA's windowed form (`benchmarks/pool.py`); other
    devices, where this was not measured, use XLA's. Where several positions hold the maximum, the gradient is shared
    among them here, while XLA gives it all to the first.

    Args:
      x: (batch, *extents, channels).
      window, stride: one number for each extent.
      padding: "SAME" (padded with -inf) or another name that `jax.lax.padtype_to_pads` knows.
    """
    if jax.default_backend() != "cpu":
        return nn.max_pool(x, window, stride, padding)
    pads = jax.lax.padtype_to_pads(x.shape[1:-1], window, stride, padding)
    for axis, (size, step, (before, after)) in enumerate(zip(window, stride, pads, strict=True), start=1):
        config = [(0, 0, 0)] * x.ndim
        config[axis] = (before, after, 0)
        padded = jax.lax.pad(x, jnp.array(-jnp.inf, x.dtype), config)
        reach = padded.shape[axis] - size
        taps = [jax.lax.slice_in_dim(padded, i, i + reach + 1, step, axis) for i in range(size)]
        x = functools.reduce(jnp.maximum, taps)
    return x
