"""The taps of a convolution's kernel, side by side as channels. Clips are (batch, time, height, width, channels)."""

import jax
import jax.numpy as jnp

TIME, ROWS, COLUMNS, CHANNELS = 1, 2, 3, 4  # axes of clips


def skip(x, kernel, stride, pads):
    """x at the positions that count, and the strides that are left: an axis of extent 1 has none."""
    skipped = [step if kernel.shape[axis] == 1 and pads[axis] == (0, 0) else 1 for axis, step in enumerate(stride)]
    x = x[:, :: skipped[0], :: skipped[1], :: skipped[2]]
    return x, tuple(step // skip for skip, step in zip(skipped, stride, strict=True))


def side_by_side(x, axis, extent, step, padding):
    """The taps of a kernel along one axis as channels, the first tap first."""
    x = pad(x, axis, padding)
    if extent == step == 1:
        return x
    x = jax.lax.optimization_barrier(x)  # or what makes x would be fused into, and computed for, every tap
    end = x.shape[axis] - extent + 1
    return jnp.concatenate([jax.lax.slice_in_dim(x, tap, tap + end, step, axis) for tap in range(extent)], axis=-1)


def all_side_by_side(x, shape, stride, pads):
    """All taps of a kernel of this shape as channels, in the order in which the kernel has them."""
    for axis in (COLUMNS, ROWS, TIME):
        x = side_by_side(x, axis, shape[axis - 1], stride[axis - 1], pads[axis - 1])
    return x


def are_few(x, kernel, stride, pads) -> bool:
    """Whether all taps of x, side by side, are fewer numbers than the kernel, which is then slower to rearrange.

    They are not for an exported program, whose batch is not known.
    """
    positions = x.shape[0]
    if jax.export.is_symbolic_dim(positions):
        return False
    for axis in (TIME, ROWS, COLUMNS):
        positions *= (x.shape[axis] + sum(pads[axis - 1]) - kernel.shape[axis - 1]) // stride[axis - 1] + 1
    return positions < kernel.shape[-1]


def gather(a, axis, channels, step, padding):
    """Each run of `step` positions along an axis as one position, their channels along the axis `channels`."""
    a = pad(a, axis, padding)
    return jnp.concatenate([jax.lax.slice_in_dim(a, at, None, step, axis) for at in range(step)], channels)


def pad(a, axis, padding):
    """`a` with zeros before and after, along one axis; less than none cuts it."""
    if not any(padding):
        return a
    return jax.lax.pad(a, jnp.zeros((), a.dtype), [(*padding, 0) if at == axis else (0, 0, 0) for at in range(a.ndim)])


def opposite(extent, padding):
    """The padding for the convolution by the flipped kernel."""
    return extent - 1 - padding[0], extent - 1 - padding[1]
