"""SlowFast networks of Feichtenhofer et al., arXiv 1812.03982, with a ResNet-50 in both pathways.

Layer for layer the network of facebookresearch/SlowFast slowfast/models/video_model_builder.py and its configs
SLOWFAST_4x16_R50 and SLOWFAST_8x8_R50 (paper, table 1): the slow pathway sees every alpha-th frame, the fast pathway
all frames with an eighth of the channels, and after the stem and each stage but the last a lateral connection appends
fast features to the slow ones. The laterals end in BatchNorm and ReLU, which the paper does not show.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from haa_jax.models.heads import LinearHeads, average_pool, average_softmax, check_endpoints
from haa_jax.models.layers import scale
from haa_jax.models.resnet import DEPTHS, Bottleneck, ConvNorm, stem_pool


class Variant(NamedTuple):
    alpha: int  # frames of the fast pathway per frame of the slow
    lateral: int  # extent over time of the lateral convolutions


VARIANTS = {"4x16": Variant(8, 5), "8x8": Variant(4, 7)}
CHOICES = {"variant": tuple(VARIANTS)}
INPUT, HEADS, STEM = "clips", ("Logits",), ("slow_stem", "fast_stem")
BETA_INVERSE = 8  # channels of the slow pathway per channel of the fast
SLOW_TEMPORAL, FAST_TEMPORAL = (1, 1, 3, 3), (3, 3, 3, 3)  # extent of each block's first convolution, by stage
STAGES = ("res2", "res3", "res4", "res5")
# Outputs of the pathways; those of slow stem, res2, res3 and res4 include the lateral's channels.
ENDPOINTS = (*(f"{path}_{stage}" for stage in ("stem", *STAGES) for path in ("slow", "fast")), "features")


ONE_WINDOW = 224  # pixels of the largest crop whose last feature maps are one window of 7x7


def check(config: ConfigDict) -> Iterator[str]:
    """Yields a line for each setting of a whole config that this network cannot have."""
    crop = config.eval.crop or config.data.crop
    if config.objective == "multi_label" and crop > ONE_WINDOW:
        yield (
            f"crops of {crop} pixels at test (config.eval.crop): above {ONE_WINDOW}, slowfast averages softmaxes, which "
            "do not go with config.objective='multi_label'"
        )


def build(config: ConfigDict, heads: Mapping[str, int]) -> "SlowFast":
    """Returns the SlowFast of `config`: variant, width, dropout, bn_momentum, dtype (see SlowFast's attributes)."""
    return SlowFast(
        heads=heads,
        variant=VARIANTS[config.variant],
        width=config.width,
        dropout=config.dropout,
        bn_momentum=config.bn_momentum,
        dtype=jnp.dtype(config.dtype),
    )


def cam_endpoints(config: ConfigDict) -> tuple[str, ...]:
    return "slow_res5", "fast_res5"


def endpoint_frames(config: ConfigDict, endpoint: str, frames: int) -> np.ndarray:
    """The frame of the clip that each step in time of an endpoint is at: int (steps,)."""
    alpha = VARIANTS[config.variant].alpha
    return slow_frames(frames, alpha) if endpoint.startswith("slow_") else np.arange(frames)


def slow_frames(frames: int, alpha: int) -> np.ndarray:
    """Indices of the frames of the slow pathway: frames / alpha of them, evenly spaced from the first to the last.

    They are floor(linspace(0, frames - 1)), as in slowfast/datasets/utils.py pack_pathway_output: 0, 10, 20 and 31 of
    32 frames at an alpha of 8.

    Raises:
      ValueError: `frames` is not a multiple of `alpha`, as the laterals require.
    """
    if frames % alpha:
        raise ValueError(f"SlowFast with alpha={alpha} needs a multiple of {alpha} frames, not {frames}")
    slow = frames // alpha
    return np.arange(slow) * (frames - 1) // max(1, slow - 1)


class SlowFast(nn.Module):
    """Both pathways, then average pool, concatenation, dropout and one linear layer per head.

    Attributes:
      heads: number of classes by head name.
      variant: one of VARIANTS.
      width: multiplies every channel count, rounded to the nearest, at least 1; published 1.0.
      dropout: rate before the linear layers; published 0.5.
      bn_momentum: weight of the old running statistics in an update; published 0.9.
      dtype: of activations and convolutions. Parameters, BatchNorm statistics and logits are float32.
    """

    heads: Mapping[str, int]
    variant: Variant = VARIANTS["4x16"]
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
          clips: (batch, time, height, width, channels) float, normalized; time a multiple of alpha (published: 32).
          train: batch statistics and dropout if True, running statistics and no dropout if False.
          endpoints: names from ENDPOINTS to return.

        Returns:
          Logits (batch, classes) float32 by head, and the endpoints asked for. Each pathway is averaged over all its
          frames and windows of 7x7; where several windows fit (crops above 224 pixels), the softmaxes over them are
          averaged, in training the logits. "features" is (batch, 2304 * width) float32, slow before fast.

        Raises:
          ValueError: unknown endpoint, or a number of frames that does not fit.
        """
        check_endpoints(endpoints, ENDPOINTS)
        unit = partial(ConvNorm, bn_momentum=self.bn_momentum, dtype=self.dtype)
        alpha, extent = self.variant
        clips = clips.astype(self.dtype)
        slow_channels, fast_channels = scale(64, self.width), scale(64 // BETA_INVERSE, self.width)
        slow, fast = (
            clips[:, slow_frames(clips.shape[1], alpha)],
            clips,
        )  # (batch, time / alpha, ...), (batch, time, ...)
        slow = stem_pool(unit(slow_channels, (1, 7, 7), (1, 2, 2), name="slow_stem")(slow, train=train))
        fast = stem_pool(unit(fast_channels, (5, 7, 7), (1, 2, 2), name="fast_stem")(fast, train=train))
        outputs = {}

        def join(stage: str, slow, fast):
            """The slow features, followed by those of the lateral."""
            lateral = unit(2 * fast.shape[-1], (extent, 1, 1), (alpha, 1, 1), name=f"lateral_{stage}")
            return jnp.concatenate([slow, lateral(fast, train=train)], axis=-1)

        slow = join("stem", slow, fast)
        outputs |= {"slow_stem": slow, "fast_stem": fast}
        for index, stage in enumerate(STAGES):
            slow = _stage(slow, f"slow_{stage}", index, 64, SLOW_TEMPORAL[index], self.width, unit, train)
            fast = _stage(
                fast, f"fast_{stage}", index, 64 // BETA_INVERSE, FAST_TEMPORAL[index], self.width, unit, train
            )
            if stage != STAGES[-1]:
                slow = join(stage, slow, fast)
            outputs |= {f"slow_{stage}": slow, f"fast_{stage}": fast}
        pooled = [average_pool(x, (x.shape[1], 7, 7)) for x in (slow, fast)]
        pooled = jnp.concatenate(pooled, axis=-1)  # (batch, 1, rows, columns, channels)
        outputs["features"] = pooled.mean((1, 2, 3))
        init = nn.initializers.normal(0.01)
        logits = LinearHeads(self.heads, self.dropout, init, average_softmax, name="Logits")(pooled, train=train)
        return logits, {name: outputs[name] for name in endpoints}


def _stage(x, name: str, index: int, channels: int, temporal: int, width: float, unit: Callable, train: bool):
    """One stage of one pathway: stride 2 in the first block of all stages but the first."""
    channels *= 2**index
    for block in range(DEPTHS[index]):
        x = Bottleneck(
            channels=scale(channels, width),
            features=scale(4 * channels, width),
            unit=unit,
            temporal=temporal,
            stride=2 if index and not block else 1,
            project=not block,
            zero_gamma=True,
            name=f"{name}_block{block}",
        )(x, train=train)
    return x
