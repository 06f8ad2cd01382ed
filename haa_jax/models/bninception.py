"""BN-Inception, the 2-D network of TSN's authors: Inception with BatchNorm, arXiv 1502.03167, figure 5.

Layer for layer yjxiong/tensorflow-model-zoo.torch bninception/bn_inception.yaml, converted from the authors' Caffe
model: pools round up (Caffe's ceil mode), the average pools of the branches count the padding, every convolution has
a bias before its BatchNorm, and the blocks 3c and 4e halve the frame without a 1x1 branch.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from haa_jax.models.layers import scale
from haa_jax.models.pooling import ceil_pads, max_pool


class Block(NamedTuple):
    """Channels of an Inception block's convolutions, in the order of its branches; 0 for a missing one."""

    one: int  # 1x1
    three_reduce: int
    three: int  # 3x3
    double_reduce: int
    double: int  # each of two 3x3 in a row
    pool: int  # 1x1 after the pool
    pool_kind: str = "avg"
    stride: int = 1


BLOCKS = {
    "inception_3a": Block(64, 64, 64, 64, 96, 32),
    "inception_3b": Block(64, 64, 96, 64, 96, 64),
    "inception_3c": Block(0, 128, 160, 64, 96, 0, "max", stride=2),
    "inception_4a": Block(224, 64, 96, 96, 128, 128),
    "inception_4b": Block(192, 96, 128, 96, 128, 128),
    "inception_4c": Block(160, 128, 160, 128, 160, 128),
    "inception_4d": Block(96, 128, 192, 160, 192, 128),
    "inception_4e": Block(0, 128, 192, 192, 256, 0, "max", stride=2),
    "inception_5a": Block(352, 192, 320, 160, 224, 128),
    "inception_5b": Block(352, 192, 320, 192, 224, 128, "max"),
}


class BNInception(nn.Module):
    """The trunk on every frame.

    Attributes:
      width: multiplies every channel count; published 1.0.
      unit: resnet.ConvNorm with the network's `bn_momentum` and `dtype`.
    """

    width: float
    unit: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps (batch, time, height, width, channels) to outputs by name, the last (..., 1024 * width).

        Raises:
          ValueError: a block that halves the frames gets frames of an odd size, at which its branches do not fit.
        """

        def conv(x, name: str, channels: int, size: int, stride: int = 1):
            options = {"use_bias": True, "name": name}
            return self.unit(scale(channels, self.width), (1, size, size), (1, stride, stride), **options)(
                x, train=train
            )

        x = conv(x, "conv1_7x7_s2", 64, 7, 2)
        outputs = {"pool1_3x3_s2": pool(x, "max", 2)}
        x = conv(outputs["pool1_3x3_s2"], "conv2_3x3_reduce", 64, 1)
        x = conv(x, "conv2_3x3", 192, 3)
        x = outputs["pool2_3x3_s2"] = pool(x, "max", 2)
        for name, block in BLOCKS.items():
            x = outputs[name] = _block(x, name, block, conv)
        return outputs


def _block(x: jax.Array, name: str, block: Block, conv: Callable) -> jax.Array:
    height, width = x.shape[2:4]
    if block.stride == 2 and (height % 2 or width % 2):
        raise ValueError(
            f"BN-Inception halves its frames at {name}, where they are {height}x{width}: use crops whose sides are "
            "multiples of 32 pixels (published: 224)"
        )
    branches = [conv(x, f"{name}_1x1", block.one, 1)] if block.one else []
    y = conv(x, f"{name}_3x3_reduce", block.three_reduce, 1)
    branches.append(conv(y, f"{name}_3x3", block.three, 3, block.stride))
    y = conv(x, f"{name}_double_3x3_reduce", block.double_reduce, 1)
    y = conv(y, f"{name}_double_3x3_1", block.double, 3)
    branches.append(conv(y, f"{name}_double_3x3_2", block.double, 3, block.stride))
    pooled = pool(x, block.pool_kind, block.stride)
    branches.append(conv(pooled, f"{name}_pool_proj", block.pool, 1) if block.pool else pooled)
    return jnp.concatenate(branches, axis=-1)


def pool(x: jax.Array, kind: str, stride: int) -> jax.Array:
    """3x3 pool of each frame: at stride 2 rounded up as by Caffe, at stride 1 with a padding of 1.

    The average includes the zeros of the padding.
    """
    window, strides = (1, 3, 3), (1, stride, stride)
    pads = ceil_pads(x.shape[1:4], window, strides) if stride == 2 else ((0, 0), (1, 1), (1, 1))
    return max_pool(x, window, strides, pads) if kind == "max" else nn.avg_pool(x, window, strides, pads)
