"""ST-GCN, spatial temporal graph convolution of Yan et al., arXiv 1801.07455, on the joints of people in a video.

Layer for layer yysijie/st-gcn net/st_gcn.py: BatchNorm on the coordinates, ten blocks of graph and temporal
convolution with a learned importance of each edge, average over time and joints, then over people.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from haa_jax.models.convolution import convolve
from haa_jax.models.graph import sum_over_neighbors
from haa_jax.models.heads import LinearHeads, at_least_float32, check_endpoints
from haa_jax.models.layers import scale
from haa_jax.models.residual import relu_of_sum
from haa_jax.models.skeleton import PARTITIONS, SKELETONS, spatial_adjacency

CHOICES = {"variant": tuple(SKELETONS), "partition": PARTITIONS}
INPUT, HEADS, STEM = "skeleton", ("Logits",), ()
BN_EPSILON = 1e-5
TEMPORAL = 9  # extent of a temporal convolution, frames
BLOCKS = (  # channels, stride in time
    *((64, 1), (64, 1), (64, 1), (64, 1)),
    *((128, 2), (128, 1), (128, 1)),
    *((256, 2), (256, 1), (256, 1)),
)
ENDPOINTS = ("data_bn", *(f"block{index}" for index in range(len(BLOCKS))), "features")

conv_init = nn.initializers.normal(0.02)


def gamma_init(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Normal with mean 1 and standard deviation 0.02 (net/st_gcn.py via net/utils weights_init)."""
    return 1 + 0.02 * jax.random.normal(key, shape, dtype)


def build(config: ConfigDict, heads: Mapping[str, int]) -> "STGCN":
    """Returns the ST-GCN of `config`: variant, partition, width, dropout, bn_momentum, dtype."""
    return STGCN(
        heads=heads,
        skeleton=config.variant,
        partition=config.partition,
        width=config.width,
        dropout=config.dropout,
        bn_momentum=config.bn_momentum,
        dtype=jnp.dtype(config.dtype),
    )


def check(config: ConfigDict) -> Iterator[str]:
    """Yields a line for each setting of a whole config that this network cannot have."""
    if config.model.variant != config.data.skeleton:
        yield f"config.model.variant={config.model.variant!r} needs the same config.data.skeleton"


def cam_endpoints(config: ConfigDict) -> tuple[str, ...]:
    return (f"block{len(BLOCKS) - 1}",)


class STGCN(nn.Module):
    """The whole network.

    Attributes:
      heads: number of classes by head name.
      skeleton: key of SKELETONS.
      partition: of the adjacency, see skeleton.spatial_adjacency.
      width: multiplies every channel count, rounded to the nearest, at least 1; published 1.0.
      dropout: rate in every block but the first; published 0 (Kinetics), 0.5 (NTU).
      bn_momentum: weight of the old running statistics in an update; published 0.9.
      dtype: of activations and convolutions. Parameters, BatchNorm statistics and logits are float32.
    """

    heads: Mapping[str, int]
    skeleton: str = "coco17"
    partition: str = "released"
    width: float = 1.0
    dropout: float = 0.0
    bn_momentum: float = 0.9
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, clips: jax.Array, *, train: bool, endpoints: tuple[str, ...] = ()
    ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Classifies skeletons.

        Args:
          clips: (batch, people, time, joints, coordinates) float: x, y, score; zeros where nobody was seen.
          train: batch statistics and dropout if True, running statistics and no dropout if False.
          endpoints: names from ENDPOINTS to return.

        Returns:
          Logits (batch, classes) float32 by head, and the endpoints asked for: (batch * people, time', joints,
          channels), but "features" is (batch, 256 * width) float32.

        Raises:
          ValueError: unknown endpoint, or a number of joints that is not the skeleton's.
        """
        check_endpoints(endpoints, ENDPOINTS)
        adjacency = spatial_adjacency(SKELETONS[self.skeleton], self.partition)
        batch, people, time, joints, coordinates = clips.shape
        if joints != adjacency.shape[1]:
            raise ValueError(f"ST-GCN on {self.skeleton} needs {adjacency.shape[1]} joints, the clips have {joints}")
        norm = partial(
            nn.BatchNorm,
            momentum=self.bn_momentum,
            epsilon=BN_EPSILON,
            dtype=self.dtype,
        )
        # BatchNorm of each coordinate of each joint, all people together.
        x = clips.astype(self.dtype).reshape(batch * people, time, joints * coordinates)
        x = norm(name="data_bn")(x, use_running_average=not train).reshape(batch * people, time, joints, coordinates)
        outputs = {"data_bn": x}
        for index, (channels, stride) in enumerate(BLOCKS):
            name = f"block{index}"
            x = Block(
                scale(channels, self.width),
                stride,
                residual=index > 0,
                project=stride > 1,
                dropout=self.dropout if index else 0.0,
                norm=partial(norm, scale_init=gamma_init),
                dtype=self.dtype,
                name=name,
            )(x, adjacency, train=train)
            outputs[name] = x  # (batch * people, time', joints, channels)
        features = at_least_float32(x).mean((1, 2)).reshape(batch, people, -1).mean(1)  # (batch, channels)
        outputs["features"] = features
        logits = LinearHeads(self.heads, 0.0, conv_init, name="Logits")(features, train=train)
        return logits, {name: outputs[name] for name in endpoints}


class Block(nn.Module):
    """Graph convolution over the joints, then convolution over time, plus the shortcut.

    Attributes:
      channels: of the output.
      stride: over time.
      residual: whether there is a shortcut; the first block has none.
      project: whether the shortcut has a 1x1 convolution and BatchNorm, since channels and extents change.
      dropout: rate after the temporal convolution.
      norm: BatchNorm with the network's options.
    """

    channels: int
    stride: int
    residual: bool
    project: bool
    dropout: float
    norm: partial
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, adjacency, *, train: bool) -> jax.Array:
        """Maps (batch, time, joints, channels) to (batch, time / stride, joints, channels').

        Args:
          adjacency: (subsets, joints, joints).
        """
        conv = partial(TimeConv, dtype=self.dtype)
        importance = self.param("edge_importance", nn.initializers.ones, adjacency.shape)
        weights = (adjacency * importance).astype(self.dtype)
        y = conv(len(adjacency) * self.channels, name="gcn_conv")(x)
        y = y.reshape(*x.shape[:3], len(adjacency), self.channels)  # (batch, time, joints, subsets, channels)
        y = sum_over_neighbors(y, weights, tuple(map(tuple, np.argwhere(adjacency).tolist())))
        y = nn.relu(self.norm(name="gcn_bn")(y, use_running_average=not train))
        y = conv(self.channels, TEMPORAL, self.stride, name="tcn_conv")(y)
        y = self.norm(name="tcn_bn")(y, use_running_average=not train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        if self.project:
            x = conv(self.channels, 1, self.stride, name="residual_conv")(x)
            x = self.norm(name="residual_bn")(x, use_running_average=not train)
        return relu_of_sum(y + x if self.residual else y)


class TimeConv(nn.Module):
    """Convolution over time of each joint, with padding of half the extent on both sides, and a bias.

    Attributes:
      features: output channels.
      extent: of the kernel, frames; odd.
      stride: over time.
      dtype: of the computation; parameters are float32.
    """

    features: int
    extent: int = 1
    stride: int = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (batch, time, joints, channels) to (batch, time / stride, joints, features)."""
        kernel = self.param("kernel", conv_init, (self.extent, 1, x.shape[-1], self.features)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        pads = [(self.extent // 2,) * 2, (0, 0), (0, 0)]
        # The joints as rows of one column.
        y = convolve(x[:, :, :, None].astype(self.dtype), kernel[:, None], (self.stride, 1, 1), pads)
        return y[:, :, :, 0] + bias
