"""SlowFast: two pathways of ResNet-50 with lateral connections, as haa_jax/models/slowfast.py.

In inference, ours averages the softmaxes over windows of 7x7 where several fit; up to 224 pixels there is only one.
"""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  PyTorch's own name for it

from benchmarks.torch_networks.heads import Head, positions_of
from benchmarks.torch_networks.i3d import arrange  # noqa: F401  SlowFast takes the same
from benchmarks.torch_networks.resnet import ConvNorm, add_stage, run_stage, stem_pool
from haa_jax.models.layers import scale
from haa_jax.models.slowfast import BETA_INVERSE, FAST_TEMPORAL, SLOW_TEMPORAL, STAGES, VARIANTS, Variant, slow_frames


def build(config, classes: int) -> nn.Module:
    return SlowFast(VARIANTS[config.variant], config.width, config.dropout, classes)


class SlowFast(nn.Module):
    def __init__(self, variant: Variant, width: float, dropout: float, classes: int):
        super().__init__()
        self.alpha = variant.alpha
        slow, fast = scale(64, width), scale(64 // BETA_INVERSE, width)
        self.slow_stem = ConvNorm(3, slow, (1, 7, 7), (1, 2, 2))
        self.fast_stem = ConvNorm(3, fast, (5, 7, 7), (1, 2, 2))
        for index, stage in enumerate(STAGES):
            lateral = ConvNorm(fast, 2 * fast, (variant.lateral, 1, 1), (variant.alpha, 1, 1))
            self.add_module(f"lateral_{('stem', *STAGES)[index]}", lateral)
            slow = add_stage(self, f"slow_{stage}", slow + 2 * fast, index, 64, width, SLOW_TEMPORAL[index])
            fast = add_stage(self, f"fast_{stage}", fast, index, 64 // BETA_INVERSE, width, FAST_TEMPORAL[index])
        self.Logits = Head(slow + fast, classes, dropout)

    def forward(self, x):
        """Maps (batch, channels, time, height, width) to logits."""
        frames = torch.as_tensor(slow_frames(x.shape[2], self.alpha))
        slow, fast = stem_pool(self.slow_stem(x[:, :, frames])), stem_pool(self.fast_stem(x))
        for index, stage in enumerate(STAGES):
            lateral = getattr(self, f"lateral_{('stem', *STAGES)[index]}")
            slow = run_stage(self, f"slow_{stage}", index, torch.cat([slow, lateral(fast)], 1))
            fast = run_stage(self, f"fast_{stage}", index, fast)
        return (self.Logits(torch.cat([positions_of(pool(slow)), positions_of(pool(fast))], 2)),)


def pool(x):
    """Averages over all steps and windows of 7x7."""
    return F.avg_pool3d(x, [x.shape[2], *(min(7, extent) for extent in x.shape[3:])], stride=1)
