"""The forms of a convolution, and of its gradients, that are fast on a CPU: chosen by its shape alone.

XLA's own are two to ten times slower there (`benchmarks/convolution.py`), the gradients most of all.

    1x1x1                     a matrix product of the positions that the stride keeps
    over time alone           the taps side by side as channels, then a matrix product
    others                    a 2-D convolution of each frame, with the taps over time side by side as channels: of the
                              output if it has fewer than the input, or so few that the product would be narrow; else
                              of the input
    gradient of the input     the same with the flipped kernel; at other strides, the transpose of the same
    gradient of the kernel    `cpu_kernel_gradient`

Clips are (batch, time, height, width, channels), kernels (three extents, channels, features).
"""

import functools

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
    if time > 1 and (features <= NARROW or (stride[0] == 1 and channels > features)):
        return _taps_on_output(x, kernel, stride, pads)
    x = taps.side_by_side(x, TIME, time, stride[0], pads[0])
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(rows, columns, time * channels, features)
    return _by_frame(x, kernel, stride[1:], pads[1:])


def gradient_of_x(x, kernel, dy, stride, pads):
    """The gradient for x, given dy, that for the convolution's output."""
    skip = functools.partial(taps.skip, kernel=kernel, stride=stride, pads=pads)
    _, left = skip(x)
    if left == (1, 1, 1):
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
    if kernel.shape[:2] == stride == (1, 1) and not any(map(any, pads)):
        return x @ kernel[0, 0]
    frames, numbers = x.reshape(-1, *x.shape[2:]), ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(frames, kernel, stride, pads, dimension_numbers=numbers)
    return y.reshape(*x.shape[:2], *y.shape[1:])
