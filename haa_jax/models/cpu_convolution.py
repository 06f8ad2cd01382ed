"""The forms of a convolution, and of its gradients, that are fast on a CPU: chosen by its shape alone.

XLA's own are two to ten times slower there (`benchmarks/convolution.py`), the gradients most of all.

    1x1x1                     a matrix product of the positions that the stride keeps
    over time alone           the taps side by side as channels, then a matrix product
    others                    a 2-D convolution of each frame, with the taps over time side by side as channels: of the
                              output if it has fewer than the input, or so few that the product would be narrow; else
                              of the input
    gradient of the input     the same with the flipped kernel; at other strides, the transpose of the same
    gradient of the kernel    matrix products over positions, with taps side by side as channels

Clips are (batch, time, height, width, channels), kernels (three extents, channels, features).
"""

import functools
import math

import jax
import jax.numpy as jnp

TIME, ROWS, COLUMNS = 1, 2, 3  # axes of clips
FEW = 4  # channels: those of an image, or of a field of flow
NARROW = 16  # features
LARGE = 8  # times more numbers in the operands than in their product


def forward(x, kernel, stride, pads):
    x, stride = _skip(x, kernel, stride, pads)
    time, rows, columns, channels, features = kernel.shape
    if time > 1 and (features <= NARROW or (stride[0] == 1 and channels > features)):
        return _taps_on_output(x, kernel, stride, pads)
    x = _side_by_side(x, TIME, time, stride[0], pads[0])
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(rows, columns, time * channels, features)
    return _by_frame(x, kernel, stride[1:], pads[1:])


def _taps_on_output(x, kernel, stride, pads):
    """Each frame by all taps over time at once, then the sum of what belongs to one frame of the output."""
    step, (before, _) = stride[0], pads[0]
    length = (x.shape[TIME] + sum(pads[0]) - kernel.shape[0]) // step + 1
    # Frames in blocks of `step` have a stride of 1. Whole blocks of zeros need no convolution.
    x = _gather(x, TIME, 4, step, (before % step, -(x.shape[TIME] + before % step) % step))
    kernel = _gather(kernel, 0, 3, step, (0, -kernel.shape[0] % step))
    time, rows, columns, channels, features = kernel.shape
    wide = jnp.moveaxis(kernel, 0, 3).reshape(rows, columns, channels, time * features)
    y = _by_frame(x, wide, stride[1:], pads[1:])
    y = _pad(y, TIME, (before // step, length - 1 + time - before // step - y.shape[TIME]))
    return sum(y[:, tap : tap + length, :, :, tap * features : (tap + 1) * features] for tap in range(time))


def gradient_of_x(x, kernel, dy, stride, pads):
    """The gradient for x, given dy, that for the convolution's output."""
    skip = functools.partial(_skip, kernel=kernel, stride=stride, pads=pads)
    _, left = skip(x)
    if left == (1, 1, 1):
        flipped = jnp.flip(kernel, (0, 1, 2)).swapaxes(3, 4)
        opposite = [_opposite(extent, pad) for extent, pad in zip(kernel.shape, pads, strict=False)]
        dx = forward(dy, flipped, left, opposite)
        return jax.linear_transpose(lambda x: skip(x)[0], x)(dx)[0]
    return jax.linear_transpose(lambda x: forward(x, kernel, stride, pads), x)(dy)[0]


def gradient_of_kernel(x, kernel, dy, stride, pads):
    """The gradient for the kernel, given dy, that for the convolution's output."""
    x, stride = _skip(x, kernel, stride, pads)
    if kernel.shape[3] > FEW or stride == (1, 1, 1):
        return _products(x, dy, kernel.shape, stride, pads)
    # At a stride of 2, a pair of neighbors becomes one position with the channels of both.
    for axis, (step, (before, _)) in enumerate(zip(stride, pads, strict=True)):
        blocks = dy.shape[axis + 1] - 1 + -(-kernel.shape[axis] // step)
        x = _gather(x, axis + 1, 4, step, (before, step * blocks - x.shape[axis + 1] - before))

    def gathered(kernel):
        for axis, step in enumerate(stride):
            kernel = _gather(kernel, axis, 3, step, (0, -kernel.shape[axis] % step))
        return kernel

    products = _products(x, dy, jax.eval_shape(gathered, kernel).shape, (1, 1, 1), ((0, 0),) * 3)
    return jax.linear_transpose(gathered, kernel)(products)[0]


def _skip(x, kernel, stride, pads):
    """x at the positions that count, and the strides that are left: an axis of extent 1 has none."""
    skipped = [step if kernel.shape[axis] == 1 and pads[axis] == (0, 0) else 1 for axis, step in enumerate(stride)]
    x = x[:, :: skipped[0], :: skipped[1], :: skipped[2]]
    return x, tuple(step // skip for skip, step in zip(skipped, stride, strict=True))


def _by_frame(x, kernel, stride, pads):
    if kernel.shape[:2] == stride == (1, 1) and not any(map(any, pads)):
        return x @ kernel[0, 0]
    frames, numbers = x.reshape(-1, *x.shape[2:]), ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(frames, kernel, stride, pads, dimension_numbers=numbers)
    return y.reshape(*x.shape[:2], *y.shape[1:])


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
            dy = _side_by_side(dy, axis, extent, 1, _opposite(extent, pad))
        elif axis == TIME and not over_time_alone:
            x = _pad(x, axis, pad)
        else:
            x = _side_by_side(x, axis, extent, step, pad)
    reach = stride[0] * (dy.shape[TIME] - 1) + 1
    taps = [slice(tap, tap + reach, stride[0]) for tap in range(extents[0])]
    products = [_product(x[:, tap], dy) for tap in (taps if not over_time_alone else [slice(None)])]
    order = [axis for axis in (TIME, ROWS, COLUMNS) if axis not in on_dy] + [4, *sorted(on_dy), 5]
    products = jnp.stack(products).reshape([shape[axis - 1] for axis in order])
    products = products.transpose([order.index(axis) for axis in range(1, 6)])
    return jnp.flip(products, [axis - 1 for axis in on_dy])


def _product(x, dy):
    """The sum over all positions of x times dy: (channels of x, channels of dy)."""
    if dy.shape[-1] < x.shape[-1]:  # XLA transposes the first operand, so the smaller one comes first
        return _product(dy, x).T
    # Operands of a clip, or even of a frame, stay in the cache. Products are added up then, which must not cost more.
    axes = ""
    for leading in ("b", "bt"):
        positions = math.prod(x.shape[len(leading) : 4])
        if positions * (x.shape[-1] + dy.shape[-1]) >= LARGE * x.shape[-1] * dy.shape[-1]:
            axes = leading
    wide = jnp.promote_types(x.dtype, jnp.float32)
    products = jnp.einsum(f"bthwi,bthwo->{axes}io", x, dy, preferred_element_type=wide)
    return products.sum(range(len(axes))).astype(x.dtype)


def _opposite(extent, pad):
    """The padding for the convolution by the flipped kernel."""
    return extent - 1 - pad[0], extent - 1 - pad[1]


def _side_by_side(x, axis, extent, step, pad):
    """The taps of a kernel along one axis as channels, the first tap first."""
    x = _pad(x, axis, pad)
    if extent == step == 1:
        return x
    x = jax.lax.optimization_barrier(x)  # or what makes x would be fused into, and computed for, every tap
    end = x.shape[axis] - extent + 1
    return jnp.concatenate([jax.lax.slice_in_dim(x, tap, tap + end, step, axis) for tap in range(extent)], axis=-1)


def _gather(a, axis, channels, step, pad):
    """Each run of `step` positions along an axis as one position, their channels along the axis `channels`."""
    a = _pad(a, axis, pad)
    return jnp.concatenate([jax.lax.slice_in_dim(a, at, None, step, axis) for at in range(step)], channels)


def _pad(a, axis, pad):
    return jax.lax.pad(a, jnp.zeros((), a.dtype), [(*pad, 0) if at == axis else (0, 0, 0) for at in range(a.ndim)])
