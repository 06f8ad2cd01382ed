"""I3D, the inflated Inception-v1 of Carreira and Zisserman: Quo Vadis, Action Recognition?, arXiv 1705.07750.

Layer for layer the network of google-deepmind/kinetics-i3d i3d.py (paper, figure 3): TensorFlow's SAME
padding throughout, BatchNorm without gamma, epsilon 1e-3. The parameter tree keeps the published names:

    RGB/inception_i3d/Mixed_3b/Branch_1/Conv3d_0b_3x3/...    here Mixed_3b/Branch_1/Conv3d_0b_3x3/...
      conv_3d/w                                                conv_3d/kernel in params
      batch_norm/beta                                          batch_norm/bias in params
      batch_norm/moving_mean, moving_variance                  batch_norm/mean, var in batch_stats
    RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/w, b      Logits/<head>/kernel, bias; w without its 1x1x1
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from haa_jax.models import layers
from haa_jax.models.heads import LinearHeads, average_pool, check_endpoints
from haa_jax.models.layers import Triple, scale
from haa_jax.models.pooling import max_pool

# At stride 2 and even sizes, SAME pads more after than before: symmetric padding would be a different network.
PADDING = "SAME"
BN_EPSILON = 1e-3
LOGITS_WINDOW = (2, 7, 7)
CHOICES = {"variant": ("",)}
INPUT, HEADS, STEM = "clips", ("Logits",), ("Conv3d_1a_7x7",)


class Conv(NamedTuple):
    channels: int
    kernel: Triple
    stride: Triple = (1, 1, 1)


class MaxPool(NamedTuple):
    window: Triple
    stride: Triple


class Inception(NamedTuple):
    """Channels of the six convolutions of a Mixed block, by branch."""

    b0: int
    b1a: int
    b1b: int
    b2a: int
    b2b: int
    b3b: int
    b2b_name: str = "Conv3d_0b_3x3"


TRUNK: dict[str, Conv | MaxPool | Inception] = {
    "Conv3d_1a_7x7": Conv(64, (7, 7, 7), (2, 2, 2)),
    "MaxPool3d_2a_3x3": MaxPool((1, 3, 3), (1, 2, 2)),
    "Conv3d_2b_1x1": Conv(64, (1, 1, 1)),
    "Conv3d_2c_3x3": Conv(192, (3, 3, 3)),
    "MaxPool3d_3a_3x3": MaxPool((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": Inception(64, 96, 128, 16, 32, 32),
    "Mixed_3c": Inception(128, 128, 192, 32, 96, 64),
    "MaxPool3d_4a_3x3": MaxPool((3, 3, 3), (2, 2, 2)),
    "Mixed_4b": Inception(192, 96, 208, 16, 48, 64),
    "Mixed_4c": Inception(160, 112, 224, 24, 64, 64),
    "Mixed_4d": Inception(128, 128, 256, 24, 64, 64),
    "Mixed_4e": Inception(112, 144, 288, 32, 64, 64),
    "Mixed_4f": Inception(256, 160, 320, 32, 128, 128),
    "MaxPool3d_5a_2x2": MaxPool((2, 2, 2), (2, 2, 2)),
    # The published checkpoints misname the last convolution of this block; the name is kept.
    "Mixed_5b": Inception(256, 160, 320, 32, 128, 128, b2b_name="Conv3d_0a_3x3"),
    "Mixed_5c": Inception(384, 192, 384, 48, 128, 128),
}
ENDPOINTS = (*TRUNK, "features")


def build(config: ConfigDict, heads: Mapping[str, int]) -> "I3D":
    """Returns the I3D of `config`: width, dtype, dropout, bn_momentum (see I3D's attributes)."""
    return I3D(
        heads=heads,
        width=config.width,
        dropout=config.dropout,
        bn_momentum=config.bn_momentum,
        dtype=jnp.dtype(config.dtype),
    )


def cam_endpoints(config: ConfigDict) -> tuple[str, ...]:
    return ("Mixed_5c",)


def sonnet_init(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Sonnet v1's default (conv.py): normal, standard deviation 1/sqrt(fan_in), truncated at two, not rescaled."""
    fan_in = math.prod(shape[:-1])
    return jax.nn.initializers.truncated_normal(stddev=fan_in**-0.5)(key, shape, dtype)


class I3D(nn.Module):
    """The whole network: TRUNK in order, then average pool, dropout and one linear layer per head.

    Attributes:
      heads: number of classes by head name.
      width: multiplies every channel count of the trunk, rounded to the nearest, at least 1; published 1.0.
      dropout: rate before the linear layers; published 0.5.
      bn_momentum: weight of the old running statistics in an update; published 0.999 (Sonnet's decay_rate).
      dtype: of activations and convolutions. Parameters, BatchNorm statistics and logits are float32.
    """

    heads: Mapping[str, int]
    width: float = 1.0
    dropout: float = 0.5
    bn_momentum: float = 0.999
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, clips: jax.Array, *, train: bool, endpoints: tuple[str, ...] = ()
    ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Classifies clips.

        Args:
          clips: (batch, time, height, width, channels) float, normalized (published: to [-1, 1]).
          train: batch statistics and dropout if True, running statistics and no dropout if False.
          endpoints: names from ENDPOINTS to return.

        Returns:
          Logits (batch, classes) float32 by head, the mean over the positions that the (2, 7, 7) average pool
          leaves (its window shrinks to fit short or small clips, see heads.average_pool: from 9 frames on at
          224 pixels the head is the published one), and the endpoints asked for: (batch, time', height',
          width', channels') in `dtype`, but "features" is (batch, 1024 * width) float32, the mean over the
          pooled positions before dropout.

        Raises:
          ValueError: unknown endpoint; the message names the nearest known one.
        """
        check_endpoints(endpoints, ENDPOINTS)
        unit = partial(Unit3D, bn_momentum=self.bn_momentum, dtype=self.dtype)
        outputs = {}
        x = clips.astype(self.dtype)
        for name, spec in TRUNK.items():
            match spec:
                case Conv(channels, kernel, stride):
                    x = unit(scale(channels, self.width), kernel, stride, name=name)(x, train=train)
                case MaxPool(window, stride):
                    x = max_pool(x, window, stride, PADDING)
                case Inception():
                    x = Mixed(spec, self.width, unit, name=name)(x, train=train)
            outputs[name] = x
        pooled = average_pool(x, LOGITS_WINDOW)  # (batch, time', height', width', channels)
        outputs["features"] = pooled.mean((1, 2, 3))
        logits = LinearHeads(self.heads, self.dropout, sonnet_init, name="Logits")(pooled, train=train)
        return logits, {name: outputs[name] for name in endpoints}


class Mixed(nn.Module):
    """Inception block: four parallel branches, their channels concatenated in order (paper, figure 3 right)."""

    spec: Inception
    width: float
    unit: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps (batch, time, height, width, channels) to the same extents, b0 + b1b + b2b + b3b channels."""
        b = self.spec
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1), PADDING)
        branches = (
            (x, {"Conv3d_0a_1x1": (b.b0, 1)}),
            (x, {"Conv3d_0a_1x1": (b.b1a, 1), "Conv3d_0b_3x3": (b.b1b, 3)}),
            (x, {"Conv3d_0a_1x1": (b.b2a, 1), b.b2b_name: (b.b2b, 3)}),
            (pooled, {"Conv3d_0b_1x1": (b.b3b, 1)}),
        )
        outputs = []
        for index, (y, units) in enumerate(branches):
            scaled = {name: (scale(channels, self.width), size) for name, (channels, size) in units.items()}
            outputs.append(Branch(scaled, self.unit, name=f"Branch_{index}")(y, train=train))
        return jnp.concatenate(outputs, axis=-1)


class Branch(nn.Module):
    """A sequence of Unit3Ds: `units` gives channels and kernel size by name."""

    units: Mapping[str, tuple[int, int]]
    unit: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        for name, (channels, size) in self.units.items():
            x = self.unit(channels, (size, size, size), name=name)(x, train=train)
        return x


class Unit3D(nn.Module):
    """Convolution without bias, BatchNorm without gamma, ReLU. Attributes as in I3D and layers.Conv."""

    channels: int
    kernel: Triple
    stride: Triple = (1, 1, 1)
    bn_momentum: float = 0.999
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps (batch, time, height, width, channels) to extents / stride, rounded up, and `channels`."""
        options = {"kernel_init": sonnet_init, "dtype": self.dtype, "in_3d": True, "name": "conv_3d"}
        x = layers.Conv(self.channels, self.kernel, self.stride, PADDING, **options)(x)
        norm = nn.BatchNorm(
            momentum=self.bn_momentum,
            epsilon=BN_EPSILON,
            use_scale=False,
            dtype=self.dtype,
            name="batch_norm",
        )
        return nn.relu(norm(x, use_running_average=not train))
