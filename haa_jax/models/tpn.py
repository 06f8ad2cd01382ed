"""TPN, the temporal pyramid network of Yang et al., arXiv 2004.03548, on a ResNet-50.

Layer for layer decisionforce/TPN mmaction/models (backbones/resnet_i3d_slow.py, backbones/resnet.py, necks/tpn.py) in
the settings of its R50 configs: the pyramid has two levels, layer3 and layer4, each max-pooled over time to one step.
The backbone is the slow-only network (3x1x1 convolutions in layer3 and layer4) or a 2-D one with temporal shift.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from haa_jax.models.heads import AUX, LinearHeads, at_least_float32, check_endpoints
from haa_jax.models.layers import Conv, scale
from haa_jax.models.resnet import SHIFTS, ConvNorm, ResNet50

CHOICES = {
    "variant": ("slowonly", "tsm"),
    "shift": SHIFTS,
    "information_flow": ("cascade", "parallel"),
}
INPUT, HEADS, STEM = "clips", ("Logits", "AuxLogits"), ("backbone/stem",)
GROUPS = 32
ENDPOINTS = (
    *("stem", "layer1", "layer2", "layer3", "layer4"),
    *("spatial_modulation_0", "temporal_modulation_0", "temporal_modulation_1"),
    *("top_down", "bottom_up", "pyramid_fusion", "features", "aux_features"),
)


def build(config: ConfigDict, heads: Mapping[str, int]) -> "TPN":
    """Returns the TPN of `config`: variant, shift (tsm only), information_flow, aux_head, width, dropout, bn_momentum,
    dtype (see TPN's attributes).
    """
    return TPN(
        heads=heads,
        variant=config.variant,
        shift=config.shift,
        information_flow=config.information_flow,
        aux_head=config.aux_head,
        width=config.width,
        dropout=config.dropout,
        bn_momentum=config.bn_momentum,
        dtype=jnp.dtype(config.dtype),
    )


def cam_endpoints(config: ConfigDict) -> tuple[str, ...]:
    """The last endpoint with the clip's steps in time; "pyramid_fusion" has one step."""
    return ("layer4",)


class TPN(nn.Module):
    """Backbone, pyramid, average pool, dropout and one linear layer per head; in training the auxiliary heads too.

    Attributes:
      heads: number of classes by head name.
      variant: one of CHOICES.
      shift: of "tsm", as in resnet.Bottleneck; published "inplace".
      information_flow: "cascade": the bottom-up pass starts from the result of the top-down pass, as in the released
        code, by which the released weights were trained (decisionforce/TPN issue 17); "parallel": both start from the
        modulated features, as in the paper (figure 3d, "parallel flow").
      aux_head: whether there are auxiliary heads on layer3 (paper, section 3.4); they act in training only.
      width: multiplies every channel count; published 1.0. The pyramid's channels stay multiples of 32.
      dropout: rate before the linear layers; published 0.5.
      bn_momentum: weight of the old running statistics in an update; published 0.9.
      dtype: of activations and convolutions. Parameters, BatchNorm statistics and logits are float32.
    """

    heads: Mapping[str, int]
    variant: str = "slowonly"
    shift: str = "inplace"
    information_flow: str = "cascade"
    aux_head: bool = True
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
          clips: (batch, time, height, width, channels) float, normalized; published: 8 frames.
          train: batch statistics, dropout and the auxiliary heads if True; running statistics if False.
          endpoints: names from ENDPOINTS to return ("aux_features" only with `aux_head`).

        Returns:
          Logits (batch, classes) float32 by head, in training also those of the auxiliary heads under "aux_<head>",
          and the endpoints asked for: (batch, time', height', width', channels'), but "features" and "aux_features"
          are (batch, 2048 * width) float32.

        Raises:
          ValueError: unknown endpoint.
        """
        check_endpoints(endpoints, ENDPOINTS if self.aux_head else ENDPOINTS[:-1])
        unit = partial(ConvNorm, bn_momentum=self.bn_momentum, dtype=self.dtype)
        tsm = self.variant == "tsm"
        temporal, shift = ((1, 1, 1, 1), self.shift) if tsm else ((1, 1, 3, 3), "")
        backbone = ResNet50(self.width, unit, temporal, shift, name="backbone")
        outputs = backbone(clips.astype(self.dtype), train=train)
        channels = GROUPS * scale(2048 // GROUPS, self.width)
        neck = partial(unit, kernel_init=nn.initializers.xavier_uniform())
        pyramid = Pyramid(channels, self.information_flow, neck, self.dtype, name="neck")
        outputs |= pyramid(outputs["layer3"], outputs["layer4"], train=train)
        outputs["features"] = at_least_float32(outputs["pyramid_fusion"]).mean((1, 2, 3))
        init = nn.initializers.normal(0.01)
        logits = LinearHeads(self.heads, self.dropout, init, name="Logits")(outputs["features"], train=train)
        if self.aux_head and (train or self.is_initializing() or "aux_features" in endpoints):
            aux = neck(channels, (1, 3, 3), (1, 2, 2), name="aux_conv")(outputs["layer3"], train=train)
            outputs["aux_features"] = at_least_float32(aux).mean((1, 2, 3))
            aux_heads = LinearHeads(self.heads, self.dropout, init, name="AuxLogits")
            aux_logits = aux_heads(outputs["aux_features"], train=train)
            if train:
                logits |= {AUX + name: values for name, values in aux_logits.items()}
        return logits, {name: outputs[name] for name in endpoints}


class Pyramid(nn.Module):
    """The neck: both levels are brought to the same size and semantics, passed top-down and bottom-up, and fused.

    Attributes:
      channels: of the output and of each level's spatial modulation; published 2048. A multiple of 32.
      information_flow: as in TPN.
      unit: ConvNorm with the network's `bn_momentum` and `dtype` and the neck's initializer.
    """

    channels: int
    information_flow: str
    unit: Callable[..., nn.Module]
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, level0: jax.Array, level1: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps layer3 (batch, time, height, width, c) and layer4 (batch, time, height / 2, width / 2, 2c) to ENDPOINTS'
        outputs of the neck, "pyramid_fusion" (batch, 1, height / 2, width / 2, channels) the last.
        """
        half = self.channels // 2
        init = nn.initializers.xavier_uniform()
        conv = partial(Conv, half, (3, 1, 1), kernel_init=init, dtype=self.dtype)
        spatial = self.unit(self.channels, (1, 3, 3), (1, 2, 2), name="spatial_modulation_0")(level0, train=train)
        levels = [
            conv(groups=GROUPS, name=f"temporal_modulation_{index}")(x).max(1, keepdims=True)
            for index, x in enumerate((spatial, level1))
        ]  # both (batch, 1, height / 2, width / 2, channels / 2)
        top_down = [levels[0] + levels[1], levels[1]]
        bottom = levels if self.information_flow == "parallel" else top_down
        bottom_up = [bottom[0], bottom[1] + conv(name="downsampling_0")(bottom[0])]
        fused = {
            name: LevelFusion(self.channels, self.unit, name=name)(pair, train=train)
            for name, pair in {"top_down": top_down, "bottom_up": bottom_up}.items()
        }
        joined = jnp.concatenate([fused["top_down"], fused["bottom_up"]], axis=-1)
        pyramid = self.unit(self.channels, (1, 1, 1), name="pyramid_fusion")(joined, train=train)
        modulated = {"temporal_modulation_0": levels[0], "temporal_modulation_1": levels[1]}
        return {"spatial_modulation_0": spatial, **modulated, **fused, "pyramid_fusion": pyramid}


class LevelFusion(nn.Module):
    """A grouped 1x1x1 convolution of each level, concatenation, and a 1x1x1 convolution over all channels."""

    channels: int
    unit: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, levels: list[jax.Array], *, train: bool) -> jax.Array:
        """Maps two arrays (batch, 1, height, width, channels / 2) to one (batch, 1, height, width, channels)."""
        converted = [
            self.unit(self.channels // 2, (1, 1, 1), groups=GROUPS, name=f"level{index}")(x, train=train)
            for index, x in enumerate(levels)
        ]
        return self.unit(self.channels, (1, 1, 1), name="fusion")(jnp.concatenate(converted, axis=-1), train=train)
