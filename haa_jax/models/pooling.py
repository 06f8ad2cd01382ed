"""Max pools: XLA's windowed form, and on a CPU one axis after the other, with a gradient of its own."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from haa_jax.models import by_platform


def ceil_pads(shape: Sequence[int], window: Sequence[int], stride: Sequence[int]) -> list[tuple[int, int]]:
    """Padding at the end of each axis with which a pool covers all of its input: Caffe's rounding (ceil mode).

    For a window of 3 and stride 2 this is SAME at even sizes, and less at odd ones.
    """
    steps = [math.ceil(max(size - reach, 0) / step) for size, reach, step in zip(shape, window, stride, strict=True)]
    return [(0, n * step + reach - size) for n, size, reach, step in zip(steps, shape, window, stride, strict=True)]


def max_pool(
    x: jax.Array, window: Sequence[int], stride: Sequence[int], padding: str | Sequence[tuple[int, int]]
) -> jax.Array:
    """Max pool over the axes between the first and the last, as `flax.linen.max_pool`, one axis after the other.

    The maximum over a box is the maximum over its axes in turn. On CPU, elementwise maxima of shifted slices take,
    with their gradient, a third to a twentieth of the time of XLA's windowed form (`benchmarks/pool.py`). Other
    devices, where this was not measured, use XLA's; the choice is made when a program is compiled for a platform, so
    an exported program has both. If several positions hold the maximum, the gradient is shared among them on CPU, while
    XLA gives all of it to the first. It has no forward-mode derivatives (`jax.jvp`).

    Args:
      x: (batch, *extents, channels).
      window, stride: one number for each extent.
      padding: "SAME", another name that `jax.lax.padtype_to_pads` knows, or (before, after) for each extent;
        the padding is -inf.
    """
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:-1], window, stride, padding)
    return _max_pool(x, tuple(window), tuple(stride), tuple(map(tuple, padding)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(x, window, stride, pads):
    return by_platform.choose(_by_axis, _windowed, x, window=window, stride=stride, pads=pads)


def _save(x, window, stride, pads):
    return _max_pool(x, window, stride, pads), x


def _gradient(window, stride, pads, x, dy):
    options = {"window": window, "stride": stride, "pads": pads}
    return (by_platform.choose(_gradient_by_axis, _gradient_windowed, x, dy, **options),)


_max_pool.defvjp(_save, _gradient)


def _windowed(x, window, stride, pads):
    return nn.max_pool(x, window_shape=window, strides=stride, padding=pads)


def _gradient_windowed(x, dy, **options):
    return jax.vjp(functools.partial(_windowed, **options), x)[1](dy)[0]


def _by_axis(x, window, stride, pads):
    for axis in _axes(window, stride):
        x = functools.reduce(jnp.maximum, _taps(x, axis, window, stride, pads))
    return x


def _gradient_by_axis(x, dy, window, stride, pads):
    """The same maxima again, which the compiler finds to be those of the forward pass, then the axes backwards."""
    steps = []
    for axis in _axes(window, stride):
        taps = functools.partial(_taps, axis=axis, window=window, stride=stride, pads=pads)
        steps.append((x, taps))
        x = functools.reduce(jnp.maximum, taps(x))
    for before, taps in reversed(steps):
        holds = [tap == x for tap in taps(before)]
        share = dy / sum(each.astype(dy.dtype) for each in holds)
        zero = jnp.zeros((), dy.dtype)
        dy = jax.linear_transpose(taps, before)([jnp.where(each, share, zero) for each in holds])[0]
        x = before
    return dy


def _axes(window, stride):
    return [axis for axis, (size, step) in enumerate(zip(window, stride, strict=True), start=1) if size > 1 or step > 1]


def _taps(x, axis, window, stride, pads):
    """What each position of the window along an axis sees."""
    size, step = window[axis - 1], stride[axis - 1]
    config = [(*pads[axis - 1], 0) if at == axis else (0, 0, 0) for at in range(x.ndim)]
    x = jax.lax.pad(x, jnp.array(-jnp.inf, x.dtype), config)
    end = x.shape[axis] - size + 1
    return [jax.lax.slice_in_dim(x, tap, tap + end, step, axis) for tap in range(size)]
