"""Residual blocks of ResNet-50 (arXiv 1512.03385) over clips, shared by SlowFast, TSN and TPN.

Stride and padding are those of torchvision's ResNet v1.5: the stride is on the 3x3 convolution, padding is the same
on both sides. A block is [temporal x1x1, 1x3x3, 1x1x1]; with temporal extent 1 it is the block of a 2-D network.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from haa_jax.models.layers import Conv, Triple, he_normal, scale
from haa_jax.models.pooling import max_pool
from haa_jax.models.residual import relu_of_sum

DEPTHS = (3, 4, 6, 3)  # blocks in each stage of ResNet-50
BN_EPSILON = 1e-5
SHIFTS = ("blockres", "inplace")


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, if `relu` is True, ReLU.

    Attributes:
      bn_momentum: weight of the old running statistics in an update.
      scale_init: of BatchNorm's gamma.
      Others as in `layers.Conv`.
    """

    features: int
    kernel: Triple
    stride: Triple = (1, 1, 1)
    padding: Triple | None = None
    groups: int = 1
    use_bias: bool = False
    relu: bool = True
    kernel_init: Callable[..., jax.Array] = he_normal
    scale_init: Callable[..., jax.Array] = nn.initializers.ones
    bn_momentum: float = 0.9
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        x = Conv(
            self.features,
            self.kernel,
            self.stride,
            self.padding,
            self.groups,
            self.use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            name="conv",
        )(x)
        norm = nn.BatchNorm(
            momentum=self.bn_momentum,
            epsilon=BN_EPSILON,
            scale_init=self.scale_init,
            dtype=self.dtype,
            name="bn",
        )
        x = norm(x, use_running_average=not train)
        return nn.relu(x) if self.relu else x


def temporal_shift(x: jax.Array) -> jax.Array:
    """Shifts an eighth of the channels one frame back in time and the next eighth one frame forward.

    At each frame, the first group then comes from the next frame and the second from the previous one, zeros at the
    ends (Temporal Shift Module, arXiv 1811.08383, with shift_div 8).

    Args:
      x: (batch, time, height, width, channels).
    """
    fold = x.shape[-1] // 8
    ahead, behind, rest = x[..., :fold], x[..., fold : 2 * fold], x[..., 2 * fold :]
    ahead = jnp.pad(ahead[:, 1:], ((0, 0), (0, 1), (0, 0), (0, 0), (0, 0)))
    behind = jnp.pad(behind[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)))
    return jnp.concatenate([ahead, behind, rest], axis=-1)


class Bottleneck(nn.Module):
    """One residual block.

    Attributes:
      channels: of the first two convolutions.
      features: of the output.
      temporal: extent over time of the first convolution.
      stride: over height and width.
      project: whether the shortcut has a 1x1x1 convolution, as in the first block of a stage, which changes channels or
        extents.
      shift: "" for none, or what the temporal shift acts on (arXiv 1811.08383): the residual branch alone ("blockres":
        mit-han-lab/temporal-shift-module, mmaction2) or the shortcut's projection too ("inplace":
        decisionforce/TPN). A shortcut without projection is never shifted.
      zero_gamma: initialize the last BatchNorm's gamma to zero, so that the block starts as the identity (arXiv
        1706.02677, section 5.1).
      unit: ConvNorm with the network's `bn_momentum` and `dtype`.
    """

    channels: int
    features: int
    unit: Callable[..., nn.Module]
    temporal: int = 1
    stride: int = 1
    project: bool = False
    shift: str = ""
    zero_gamma: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps (batch, time, height, width, channels) to (batch, time, height / stride, width / stride, features)."""
        stride = (1, self.stride, self.stride)
        gamma = nn.initializers.zeros if self.zero_gamma else nn.initializers.ones
        shifted = temporal_shift(x) if self.shift else x
        shortcut = shifted if self.shift == "inplace" and self.project else x
        y = self.unit(self.channels, (self.temporal, 1, 1), name="conv1")(shifted, train=train)
        y = self.unit(self.channels, (1, 3, 3), stride, name="conv2")(y, train=train)
        y = self.unit(self.features, (1, 1, 1), relu=False, scale_init=gamma, name="conv3")(y, train=train)
        if self.project:
            shortcut = self.unit(self.features, (1, 1, 1), stride, relu=False, name="downsample")(shortcut, train=train)
        return relu_of_sum(y + shortcut)


class ResNet50(nn.Module):
    """The trunk of ResNet-50 on every frame, optionally with temporal convolutions or temporal shift.

    Attributes:
      width: multiplies every channel count; published 1.0.
      temporal: extent over time of each block's first convolution, by stage.
      shift: as in Bottleneck, for all blocks.
      unit: ConvNorm with the network's `bn_momentum` and `dtype`.
    """

    width: float
    unit: Callable[..., nn.Module]
    temporal: tuple[int, int, int, int] = (1, 1, 1, 1)
    shift: str = ""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps (batch, time, height, width, channels) to the outputs of "stem" and "layer1" to "layer4"."""
        x = self.unit(scale(64, self.width), (1, 7, 7), (1, 2, 2), name="stem")(x, train=train)
        outputs = {"stem": stem_pool(x)}
        x = outputs["stem"]
        for index, (depth, temporal) in enumerate(zip(DEPTHS, self.temporal, strict=True)):
            name, channels = f"layer{index + 1}", 64 * 2**index
            for block in range(depth):
                x = Bottleneck(
                    channels=scale(channels, self.width),
                    features=scale(4 * channels, self.width),
                    unit=self.unit,
                    temporal=temporal,
                    stride=2 if index and not block else 1,
                    project=not block,
                    shift=self.shift,
                    name=f"{name}_block{block}",
                )(x, train=train)
            outputs[name] = x
        return outputs


def stem_pool(x: jax.Array) -> jax.Array:
    """Max pool of each frame: 3x3, stride 2, padding 1."""
    return max_pool(x, (1, 3, 3), (1, 2, 2), ((0, 0), (1, 1), (1, 1)))
