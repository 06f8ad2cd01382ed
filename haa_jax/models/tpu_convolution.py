"""The forms of a convolution, and of its gradients, for a TPU: XLA's own, but for two cases.

A TPU pads the two fastest axes of an array to tiles of 8x128. Of a convolution over clips with few channels, XLA makes
those axes the channels and the clips of the batch: 8 clips take the memory of 128. With the taps over time side by side
as channels, and the frames as the batch of a 2-D convolution, both fill their tiles.

A 1x1x1 convolution is one of frames, as the others of a residual network are; among 3-D convolutions (`in_3d`) it is
3-D too, or arrays are copied from one layout to another before and after it. What each form takes was compiled, not
run: docs/scaling.md.

Clips are (batch, time, height, width, channels), kernels (three extents, channels, features).
"""

import jax
import jax.numpy as jnp

from haa_jax.models import xla_convolution

FEW = 8  # channels: of clips, fused streams too


def differs(kernel, in_3d: bool) -> bool:
    """Whether the form for this kernel is another than `xla_convolution`'s."""
    time, rows, columns, channels, _ = kernel.shape
    if time == rows == columns == 1:
        return in_3d
    return channels <= FEW and time > 1 and not rows == columns == 1


def forward(x, kernel, stride, pads, in_3d=False):
    if not differs(kernel, in_3d):
        return xla_convolution.forward(x, kernel, stride, pads)
    time, rows, columns, channels, features = kernel.shape
    if time == rows == columns == 1:
        return xla_convolution.forward_3d(x, kernel, stride, pads)
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (*pads[0], 0), *[(0, 0, 0)] * 3])
    end = x.shape[1] - time + 1
    x = jnp.concatenate([jax.lax.slice_in_dim(x, tap, tap + end, stride[0], 1) for tap in range(time)], axis=-1)
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(1, rows, columns, time * channels, features)
    return xla_convolution.forward(x, kernel, (1, *stride[1:]), ((0, 0), *pads[1:]))


def gradient_of_x(x, kernel, dy, stride, pads, in_3d=False):
    """The gradient for x, given dy, that for the convolution's output."""
    return jax.linear_transpose(lambda x: forward(x, kernel, stride, pads, in_3d), x)(dy)[0]


def gradient_of_kernel(x, kernel, dy, stride, pads, in_3d=False):
    """The gradient for the kernel, given dy, that for the convolution's output."""
    return jax.linear_transpose(lambda kernel: forward(x, kernel, stride, pads, in_3d), kernel)(dy)[0]
