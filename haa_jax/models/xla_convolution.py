"""A convolution and its gradients as XLA's own operations, which GPUs compute.

Clips are (batch, time, height, width, channels), kernels (three extents, channels, features).
"""

import jax


def forward(x, kernel, stride, pads):
    """A kernel of extent 1 over time, or over height and width, as a 2-D convolution, for which libraries are tuned."""
    batch, time, height, width, channels = x.shape
    if kernel.shape[0] == 1 and stride[0] == 1 and pads[0] == (0, 0):  # a frame at a time
        y = _by_2d(x.reshape(batch * time, height, width, channels), kernel[0], stride[1:], pads[1:])
        return y.reshape(batch, time, *y.shape[1:])
    if kernel.shape[1:3] == (1, 1) and stride[1:] == (1, 1) and not any(map(any, pads[1:])):  # a pixel at a time
        x = x.reshape(batch, time, height * width, channels)
        y = _by_2d(x, kernel[:, 0], (stride[0], 1), [pads[0], (0, 0)])
        return y.reshape(batch, y.shape[1], height, width, y.shape[-1])
    return forward_3d(x, kernel, stride, pads)


def forward_3d(x, kernel, stride, pads):
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))


def gradient_of_x(x, kernel, dy, stride, pads):
    """The gradient for x, given dy, that for the convolution's output."""
    return jax.linear_transpose(lambda x: forward(x, kernel, stride, pads), x)(dy)[0]


def gradient_of_kernel(x, kernel, dy, stride, pads):
    """The gradient for the kernel, given dy, that for the convolution's output."""
    return jax.linear_transpose(lambda kernel: forward(x, kernel, stride, pads), kernel)(dy)[0]


def _by_2d(x, kernel, stride, pads):
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))
