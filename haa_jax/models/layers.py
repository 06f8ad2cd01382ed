"""Layers that several architectures share."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from haa_jax.models.convolution import Triple, convolve

# He initialization by fan-out, the default of the residual networks.
he_normal = jax.nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def scale(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to the nearest integer (halves to even), at least 1."""
    return max(1, round(channels * width))


class Conv(nn.Module):
    """Convolution over time, height and width, with the same padding on both sides of each axis.

    This is PyTorch's padding, which differs from XLA's SAME at stride 2.

    Attributes:
      features: output channels.
      kernel: extents over time, height, width.
      stride: along the same three axes.
      padding: zeros on each side of each axis; None for half the kernel, rounded down; "SAME" for TensorFlow's, which
        at stride 2 may differ from side to side.
      groups: channel groups; both channel counts must be multiples of it.
      dtype: of the computation; parameters are float32.
      in_3d: whether it is among convolutions over all three axes (see `convolve`).
    """

    features: int
    kernel: Triple
    stride: Triple = (1, 1, 1)
    padding: Triple | str | None = None
    groups: int = 1
    use_bias: bool = False
    kernel_init: Callable[..., jax.Array] = he_normal
    dtype: jnp.dtype = jnp.float32
    in_3d: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (batch, time, height, width, channels) to (extent + padding - kernel) // stride + 1, features."""
        shape = (*self.kernel, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape).astype(self.dtype)
        x = x.astype(self.dtype)
        if isinstance(self.padding, str):
            pads = jax.lax.padtype_to_pads(x.shape[1:4], self.kernel, self.stride, self.padding)
        else:
            pads = [(each, each) for each in self.padding or [extent // 2 for extent in self.kernel]]
        if self.groups > 1:
            y = _convolve_groups(x, kernel, self.stride, pads, self.groups)
        else:
            y = convolve(x, kernel, self.stride, pads, self.in_3d)
        if self.use_bias:
            y += self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return y


def _convolve_groups(x, kernel, stride, pads, groups):
    """The sum over the kernel's taps of shifted inputs times matrices, one matrix a group.

    For a grouped convolution, XLA's partitioner would gather the whole batch on every device
    (`benchmarks/collectives.py` shows it); for this it does not.
    """
    x = jnp.pad(x, [(0, 0), *pads, (0, 0)])
    x = x.reshape(*x.shape[:-1], groups, -1)
    kernel = kernel.reshape(*kernel.shape[:-1], groups, -1)
    total, accumulator = 0.0, jnp.promote_types(x.dtype, jnp.float32)
    for tap in np.ndindex(kernel.shape[:3]):
        ends = [at + size - extent + 1 for at, size, extent in zip(tap, x.shape[1:4], kernel.shape[:3], strict=True)]
        slices = [slice(at, end, step) for at, end, step in zip(tap, ends, stride, strict=True)]
        total += jnp.einsum("bthwgi,igo->bthwgo", x[:, *slices], kernel[tap], preferred_element_type=accumulator)
    return total.reshape(*total.shape[:-2], -1).astype(x.dtype)
