"""Convolution over clips: `cpu_convolution` on a CPU, `tpu_convolution` on a TPU, `xla_convolution` elsewhere.

The kernel gradient of small ones is XLA's everywhere, and so are all passes of the smallest, since another form of them
would not be worth compiling.

The result is the same to float rounding. The choice is made when a program is compiled for a platform, so an exported
program has a form for each of its platforms.
"""

import functools
import math
from collections.abc import Sequence

import jax
from jax.custom_derivatives import SymbolicZero

from haa_jax.models import cpu_convolution, tpu_convolution, xla_convolution

Triple = tuple[int, int, int]  # over time, height, width
Pads = Sequence[tuple[int, int]]  # zeros before and after, for the same three axes
SMALL = 10**6  # multiply-adds a clip, below which some passes are XLA's, and below a tenth of it, all
FEW = 8  # positions of a clip; at fewer, taps side by side are mostly zeros


def convolve(x: jax.Array, kernel: jax.Array, stride: Triple, pads: Pads, in_3d: bool = False) -> jax.Array:
    """Convolution over time, height and width.

    It has gradients (`jax.grad`, `jax.vjp`), but no forward-mode derivatives (`jax.jvp`).

    Args:
      x: (batch, time, height, width, channels).
      kernel: (three extents, channels, features), of x's dtype.
      in_3d: whether the convolutions around it extend over all three axes, as in I3D. On a TPU, one of 1x1x1 then keeps
        the layout of their arrays.

    Returns:
      (batch, (time + padding - extent) // stride + 1, and so on, features).
    """
    return _convolve(x, kernel, tuple(stride), tuple(map(tuple, pads)), in_3d)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _convolve(x, kernel, stride, pads, in_3d):
    small = _is_small("forward", x, kernel, stride)
    return _compute("forward", small, x, kernel, stride=stride, pads=pads, in_3d=in_3d)


# `jit` remembers the traces: networks repeat their shapes, and each trace is of all forms. Programs are as without it.
# `small` is an argument so that a trace is not used again under another SMALL.
@functools.partial(jax.jit, static_argnames=("name", "small", "stride", "pads", "in_3d"), inline=True)
def _compute(name, small, x, kernel, *dy, stride, pads, in_3d):
    """Calls a function of that form which is best for the platform: `forward`, or one of the gradients."""

    def of(form, **more):
        return functools.partial(getattr(form, name), stride=stride, pads=pads, **more)

    if small:
        return of(xla_convolution)(x, kernel, *dy)
    own = {"cpu": of(cpu_convolution)}
    if tpu_convolution.differs(kernel, in_3d):
        own["tpu"] = of(tpu_convolution, in_3d=in_3d)
    return jax.lax.platform_dependent(x, kernel, *dy, **own, default=of(xla_convolution))


def _is_small(name, x, kernel, stride) -> bool:
    if math.prod(kernel.shape[:3]) == 1:  # a matrix product, soon compiled
        return False
    positions = math.prod(x.shape[1:4])
    work = positions * math.prod(kernel.shape) / math.prod(stride)
    # Another form of a kernel's gradient takes twice as long to compile; of the other passes, as long as XLA's.
    return work < SMALL / 10 or (work < SMALL and (name == "gradient_of_kernel" or positions < FEW))


def _save(x, kernel, stride, pads, in_3d):
    """Marks by None the gradients that nobody asks for: that of a batch of clips, or of a frozen kernel."""
    wanted = tuple(() if each.perturbed else None for each in (x, kernel))
    return _convolve(x.value, kernel.value, stride, pads, in_3d), (x.value, kernel.value, wanted)


def _gradients(stride, pads, in_3d, saved, dy):
    x, kernel, wanted = saved
    if isinstance(dy, SymbolicZero):
        return None, None
    names, options = ("gradient_of_x", "gradient_of_kernel"), {"stride": stride, "pads": pads, "in_3d": in_3d}
    return tuple(
        None if marked is None else _compute(name, _is_small(name, x, kernel, stride), x, kernel, dy, **options)
        for name, marked in zip(names, wanted, strict=True)
    )


_convolve.defvjp(_save, _gradients, symbolic_zeros=True)
