"""Convolution over clips: XLA's own form on accelerators, `cpu_convolution`'s on a CPU if it is worth compiling.

The result is the same to float rounding. The choice is made when a program is compiled for a platform, so an exported
program has both.
"""

import functools
import math
from collections.abc import Sequence

import jax
from jax.custom_derivatives import SymbolicZero

from haa_jax.models import cpu_convolution

Triple = tuple[int, int, int]  # over time, height, width
Pads = Sequence[tuple[int, int]]  # zeros before and after, for the same three axes
SMALL = 10**6  # multiply-adds a clip, below which a form that takes twice as long to compile does not pay


def convolve(x: jax.Array, kernel: jax.Array, stride: Triple, pads: Pads) -> jax.Array:
    """Convolution over time, height and width.

    It has gradients (`jax.grad`, `jax.vjp`), but no forward-mode derivatives (`jax.jvp`).

    Args:
      x: (batch, time, height, width, channels).
      kernel: (three extents, channels, features), of x's dtype.

    Returns:
      (batch, (time + padding - extent) // stride + 1, and so on, features).
    """
    return _convolve(x, kernel, tuple(stride), tuple(map(tuple, pads)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve(x, kernel, stride, pads):
    by_xla = functools.partial(_by_xla, stride=stride, pads=pads)
    if _is_small(x, kernel, stride):
        return by_xla(x, kernel)
    on_cpu = functools.partial(cpu_convolution.forward, stride=stride, pads=pads)
    return jax.lax.platform_dependent(x, kernel, cpu=on_cpu, default=by_xla)


def _is_small(x, kernel, stride) -> bool:
    if math.prod(kernel.shape[:3]) == 1:  # a matrix product, soon compiled
        return False
    return math.prod(x.shape[1:4]) * math.prod(kernel.shape) < SMALL * math.prod(stride)


def _save(x, kernel, stride, pads):
    """Marks by None the gradients that nobody asks for: that of a batch of clips, or of a frozen kernel."""
    wanted = tuple(() if each.perturbed else None for each in (x, kernel))
    return _convolve(x.value, kernel.value, stride, pads), (x.value, kernel.value, wanted)


def _gradients(stride, pads, saved, dy):
    x, kernel, wanted = saved
    if isinstance(dy, SymbolicZero):
        return None, None
    options = {"stride": stride, "pads": pads}

    def of_x(x, kernel, dy):
        return jax.linear_transpose(lambda x: _by_xla(x, kernel, **options), x)(dy)[0]

    def of_kernel(x, kernel, dy):
        return jax.linear_transpose(lambda kernel: _by_xla(x, kernel, **options), kernel)(dy)[0]

    def gradient(on_cpu, by_xla):
        if _is_small(x, kernel, stride):
            return by_xla(x, kernel, dy)
        return jax.lax.platform_dependent(x, kernel, dy, cpu=functools.partial(on_cpu, **options), default=by_xla)

    return (
        None if wanted[0] is None else gradient(cpu_convolution.gradient_of_x, of_x),
        None if wanted[1] is None else gradient(cpu_convolution.gradient_of_kernel, of_kernel),
    )


_convolve.defvjp(_save, _gradients, symbolic_zeros=True)


def _by_xla(x, kernel, stride, pads):
    """A kernel of extent 1 over time, or over height and width, as a 2-D convolution, for which libraries are tuned."""
    batch, time, height, width, channels = x.shape
    if kernel.shape[0] == 1 and stride[0] == 1 and pads[0] == (0, 0):  # a frame at a time
        y = _by_xla_2d(x.reshape(batch * time, height, width, channels), kernel[0], stride[1:], pads[1:])
        return y.reshape(batch, time, *y.shape[1:])
    if kernel.shape[1:3] == (1, 1) and stride[1:] == (1, 1) and not any(map(any, pads[1:])):  # a pixel at a time
        x = x.reshape(batch, time, height * width, channels)
        y = _by_xla_2d(x, kernel[:, 0], (stride[0], 1), [pads[0], (0, 0)])
        return y.reshape(batch, y.shape[1], height, width, y.shape[-1])
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))


def _by_xla_2d(x, kernel, stride, pads):
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))
