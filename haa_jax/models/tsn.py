"""TSN, temporal segment networks of Wang et al., arXiv 1608.00859, and their temporal shift variant, TSM.

A 2-D network classifies one frame (or one stack of flow) of each segment of the video, and the consensus is the mean of
the segments' logits (yjxiong/tsn-pytorch models.py, ops/basic_ops.py). Backbones: torchvision's ResNet-50, the
authors' BN-Inception (`bninception.py`), and ResNet-50 with the temporal shift of Lin et al., arXiv 1811.08383
(mit-han-lab/temporal-shift-module ops/temporal_shift.py).
"""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from haa_jax.models.bninception import BNInception
from haa_jax.models.heads import LinearHeads, at_least_float32, check_endpoints
from haa_jax.models.resnet import SHIFTS, ConvNorm, ResNet50

CHOICES = {"variant": ("resnet50", "bninception", "tsm"), "shift": SHIFTS}
INPUT, HEADS = "clips", ("Logits",)
STEM = ("backbone/stem", "backbone/conv1_7x7_s2")  # of ResNet-50 and of BN-Inception


def build(config: ConfigDict, heads: Mapping[str, int]) -> "TSN":
    """Returns the TSN of `config`: variant, shift (tsm only), width, dropout, bn_momentum, dtype."""
    return TSN(
        heads=heads,
        variant=config.variant,
        shift=config.shift,
        width=config.width,
        dropout=config.dropout,
        bn_momentum=config.bn_momentum,
        dtype=jnp.dtype(config.dtype),
    )


def cam_endpoints(config: ConfigDict) -> tuple[str, ...]:
    return ("inception_5b" if config.variant == "bninception" else "layer4",)


class TSN(nn.Module):
    """Backbone on every segment, average pool over the frame, dropout, one linear layer per head, and the consensus.

    Attributes:
      heads: number of classes by head name.
      variant: one of CHOICES.
      shift: of "tsm", as in resnet.Bottleneck; published "blockres".
      width: multiplies every channel count, rounded to the nearest, at least 1; published 1.0.
      dropout: rate before the linear layers, drawn for each segment; published 0.8 (UCF101), 0.5 (Kinetics).
      bn_momentum: weight of the old running statistics in an update; published 0.9.
      dtype: of activations and convolutions. Parameters, BatchNorm statistics and logits are float32.
    """

    heads: Mapping[str, int]
    variant: str = "resnet50"
    shift: str = "blockres"
    width: float = 1.0
    dropout: float = 0.5
    bn_momentum: float = 0.9
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, clips: jax.Array, *, train: bool, endpoints: tuple[str, ...] = ()
    ) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Classifies clips.

        Args:
          clips: (batch, segments, height, width, channels) float, normalized: 3 channels, or 10 of stacked flow.
          train: batch statistics and dropout if True, running statistics and no dropout if False.
          endpoints: names of the backbone's stages, or "features", to return.

        Returns:
          Logits (batch, classes) float32 by head, the mean over segments, and the endpoints asked for: (batch,
          segments, height', width', channels'), but "features" is (batch, channels) float32, the mean over segments.

        Raises:
          ValueError: unknown endpoint, or frames of a size that does not fit BN-Inception.
        """
        unit = partial(ConvNorm, bn_momentum=self.bn_momentum, dtype=self.dtype)
        if self.variant == "bninception":
            backbone = BNInception(self.width, unit, name="backbone")
        else:
            backbone = ResNet50(self.width, unit, shift=self.shift if self.variant == "tsm" else "", name="backbone")
        outputs = backbone(clips.astype(self.dtype), train=train)
        last = list(outputs)[-1]
        pooled = at_least_float32(outputs[last]).mean((2, 3))  # (batch, segments, channels)
        outputs["features"] = pooled.mean(1)
        check_endpoints(endpoints, outputs)
        init = nn.initializers.normal(0.001)
        logits = LinearHeads(self.heads, self.dropout, init, name="Logits")(pooled, train=train)
        return logits, {name: outputs[name] for name in endpoints}
