"""The forms of a convolution, and of its gradients, that are fast on a CPU: chosen by its shape alone.

XLA's own are two to ten times slower there (`benchmarks/convolution.py`), the gradients most of all.

    1x1x1                     a matrix product of the positions that the stride keeps
    to more features than     all taps side by side as channels, then a matrix product: the kernel, which has more
      positions                 numbers than the clips then, stays as it is
    narrower than its input   a 2-D convolution of each frame, to the channels of all taps over time side by side, then
      or narrow                 the sum over the taps
    over time alone           a 2-D convolution over time and, as one axis, all positions of a frame
    others                    a 2-D convolution of each frame, the taps over time side by side as its channels
    gradient of the input     the same with the flipped kernel; of a matrix product, and at other strides, the
                              transpose of the same
    gradient of the kernel    `cpu_kernel_gradient`

Clips are (batch, time, height, width, channels), kernels (three extents, channels, features).
"""

import functools
import math

import jax
import jax.numpy as jnp

from haa_jax.models import taps
from haa_jax.models.cpu_kernel_gradient import gradient_of_kernel
from haa_jax.models.taps import CHANNELS, TIME

__all__ = ["forward", "gradient_of_kernel", "gradient_of_x"]
NARROW = 16  # features


def forward(x, kernel, stride, pads):
    x, stride = taps.skip(x, kernel, stride, pads)
    time, rows, columns, channels, features = kernel.shape
    if taps.are_few(x, kernel, stride, pads):
        return taps.all_side_by_side(x, kernel.shape, stride, pads) @ kernel.reshape(-1, features)
    if time > 1 and (features <= NARROW or (stride[0] == 1 and channels > features)):
        return _taps_on_output(x, kernel, stride, pads)
    if time > 1 and _is_pointwise((rows, columns), stride[1:], pads[1:]):
        lines = x.reshape(*x.shape[: TIME + 1], -1, channels)
        y = _in_2d(lines, kernel[:, 0], (stride[0], 1), (pads[0], (0, 0)))
        return y.reshape(*y.shape[: TIME + 1], *x.shape[TIME + 1 : CHANNELS], features)
    x = taps.side_by_side(x, TIME, time, stride[0], pads[0])
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(rows, columns, time * channels, features)
    return _by_frame(x, kernel, stride[1:], pads[1:])


def gradient_of_x(x, kernel, dy, stride, pads):
    """The gradient for x, given dy, that for the convolution's output."""
    skip = functools.partial(taps.skip, kernel=kernel, stride=stride, pads=pads)
    kept, left = skip(x)
    is_product = math.prod(kernel.shape[:3]) == 1 or taps.are_few(kept, kernel, left, pads)
    if left == (1, 1, 1) and not is_product:
        flipped = jnp.flip(kernel, (0, 1, 2)).swapaxes(3, 4)
        opposite = [taps.opposite(extent, pad) for extent, pad in zip(kernel.shape, pads, strict=False)]
        dx = forward(dy, flipped, left, opposite)
        return jax.linear_transpose(lambda x: skip(x)[0], x)(dx)[0]
    return jax.linear_transpose(lambda x: forward(x, kernel, stride, pads), x)(dy)[0]


def _taps_on_output(x, kernel, stride, pads):
    """Each frame by all taps over time at once, then the sum of what belongs to one frame of the output."""
    step, (before, _) = stride[0], pads[0]
    length = (x.shape[TIME] + sum(pads[0]) - kernel.shape[0]) // step + 1
    # Frames in blocks of `step` have a stride of 1. Whole blocks of zeros need no convolution.
    x = taps.gather(x, TIME, CHANNELS, step, (before % step, -(x.shape[TIME] + before % step) % step))
    kernel = taps.gather(kernel, 0, 3, step, (0, -kernel.shape[0] % step))
    time, rows, columns, channels, features = kernel.shape
    wide = jnp.moveaxis(kernel, 0, 3).reshape(rows, columns, channels, time * features)
    y = _by_frame(x, wide, stride[1:], pads[1:])
    y = taps.pad(y, TIME, (before // step, length - 1 + time - before // step - y.shape[TIME]))
    return sum(y[:, tap : tap + length, :, :, tap * features : (tap + 1) * features] for tap in range(time))


def _by_frame(x, kernel, stride, pads):
    if _is_pointwise(kernel.shape[:2], stride, pads):
        return x @ kernel[0, 0]
    y = _in_2d(x.reshape(-1, *x.shape[2:]), kernel, stride, pads)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _is_pointwise(extents, stride, pads) -> bool:
    return tuple(extents) == tuple(stride) == (1, 1) and not any(map(any, pads))


def _in_2d(x, kernel, stride, pads):
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))
