"""The gradient of a convolution's kernel on a CPU: matrix products over positions, with taps side by side as channels.

XLA's own is two to ten times slower there (`benchmarks/convolution.py`). What takes time is memory rather than the
products: so few clips at once that their taps stay in the cache, and products of matrices alone.

Clips are (batch, time, height, width, channels), kernels (three extents, channels, features).
"""

import math

import jax
import jax.numpy as jnp

from haa_jax.models import taps
from haa_jax.models.taps import CHANNELS, COLUMNS, ROWS, TIME

FEW = 4  # channels: those of an image, or of a field of flow
AT_ONCE = 2_000_000  # numbers in the taps of the clips that are computed together


def gradient_of_kernel(x, kernel, dy, stride, pads):
    """The gradient for the kernel, given dy, that for the convolution's output."""
    x, stride = taps.skip(x, kernel, stride, pads)
    if taps.are_few(x, kernel, stride, pads):
        return _product(taps.all_side_by_side(x, kernel.shape, stride, pads), dy).reshape(kernel.shape)
    batch = x.shape[0]
    at_once = _clips_at_once(x, kernel, dy, stride, _devices(x, dy))
    if at_once == batch:
        return _of_clips(x, kernel, dy, stride, pads)

    def add(total, clips):
        return total + _of_clips(clips[0], kernel, clips[1], stride, pads), None

    # Clips that are far apart are computed together, as many of each device, so that a split batch stays split.
    parts = [each.reshape(at_once, batch // at_once, *each.shape[1:]).swapaxes(0, 1) for each in (x, dy)]
    return jax.lax.scan(add, jnp.zeros_like(kernel), parts)[0]


def _devices(*arrays) -> int:
    """Over how many devices the arrays may be split, by the mesh that JAX knows of while it traces; 1 without one."""
    return max(1, *(jax.typeof(array).sharding.mesh.size for array in arrays))


def _clips_at_once(x, kernel, dy, stride, devices):
    """How many clips are computed together, of all devices: a divisor of the batch, and equally many of each device.

    As many as have at most AT_ONCE numbers in the taps of both operands on a device, but at least one; all where the
    kernel has a single tap, since taking some of the clips would copy them.
    """
    if math.prod(kernel.shape[:3]) == 1:
        return x.shape[0]
    _, rows, columns, channels, features = kernel.shape
    on_x, on_dy = channels * columns * stride[0] * stride[1], features * rows / stride[1]
    most = AT_ONCE // (math.prod(dy.shape[1:CHANNELS]) * (on_x + on_dy))
    devices = math.gcd(x.shape[0], devices)
    batch = x.shape[0] // devices
    return devices * max((size for size in range(1, batch + 1) if batch % size == 0 and size <= most), default=1)


def _of_clips(x, kernel, dy, stride, pads):
    if kernel.shape[3] > FEW or stride == (1, 1, 1):
        return _products(x, dy, kernel.shape, stride, pads)
    # At a stride of 2, a pair of neighbors becomes one position with the channels of both.
    for axis, (step, (before, _)) in enumerate(zip(stride, pads, strict=True)):
        blocks = dy.shape[axis + 1] - 1 + -(-kernel.shape[axis] // step)
        x = taps.gather(x, axis + 1, CHANNELS, step, (before, step * blocks - x.shape[axis + 1] - before))

    def gathered(kernel):
        for axis, step in enumerate(stride):
            kernel = taps.gather(kernel, axis, 3, step, (0, -kernel.shape[axis] % step))
        return kernel

    products = _products(x, dy, jax.eval_shape(gathered, kernel).shape, (1, 1, 1), ((0, 0),) * 3)
    return jax.linear_transpose(gathered, kernel)(products)[0]


def _products(x, dy, shape, stride, pads):
    """The gradient of a kernel of this shape, as matrix products over all positions.

    The taps over height are side by side as channels of dy, the last first, where the stride is 1; those over time are
    in products of their own, but for a kernel over time alone. All others are side by side as channels of x.
    """
    *extents, channels, features = shape
    over_time_alone = extents[1] == extents[2] == 1
    on_dy = {ROWS} if stride[1] == 1 else set()
    if over_time_alone and stride[0] == 1 and features < channels:
        on_dy |= {TIME}
    for axis in (COLUMNS, ROWS, TIME):
        extent, step, pad = extents[axis - 1], stride[axis - 1], pads[axis - 1]
        if axis in on_dy:
            dy = taps.side_by_side(dy, axis, extent, 1, taps.opposite(extent, pad))
        elif axis == TIME and not over_time_alone:
            x = taps.pad(x, axis, pad)
        else:
            x = taps.side_by_side(x, axis, extent, step, pad)
    frames = [x]
    if not over_time_alone:
        reach = stride[0] * (dy.shape[TIME] - 1) + 1
        frames = [jax.lax.slice_in_dim(x, tap, tap + reach, stride[0], TIME) for tap in range(extents[0])]
    products = [_product(each, dy) for each in frames]
    order = [axis for axis in (TIME, ROWS, COLUMNS) if axis not in on_dy] + [4, *sorted(on_dy), 5]
    products = jnp.stack(products).reshape([shape[axis - 1] for axis in order])
    products = products.transpose([order.index(axis) for axis in range(1, 6)])
    return jnp.flip(products, [axis - 1 for axis in on_dy])


def _product(x, dy):
    """The sum over all positions of x times dy: (channels of x, channels of dy)."""
    if dy.shape[-1] < x.shape[-1]:  # faster with the smaller operand first
        return _product(dy, x).T
    # XLA would transpose arrays of several axes in memory; of matrices, the product reads the first one by columns.
    x, dy = (each.reshape(-1, each.shape[-1]) for each in (x, dy))
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.einsum("pi,po->io", x, dy, preferred_element_type=wide).astype(x.dtype)
