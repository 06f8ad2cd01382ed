"""TPN on the slow-only ResNet-50 with the released code's cascade, as haa_jax/models/tpn.py."""

import torch
from torch import nn

from benchmarks.torch_networks.heads import Head
from benchmarks.torch_networks.i3d import arrange  # noqa: F401  TPN takes the same
from benchmarks.torch_networks.resnet import ConvNorm, ResNet50
from haa_jax.models.layers import scale
from haa_jax.models.tpn import GROUPS


def build(config, classes: int) -> nn.Module:
    return TPN(config.width, config.dropout, classes)


class TPN(nn.Module):
    def __init__(self, width: float, dropout: float, classes: int):
        super().__init__()
        self.backbone = ResNet50(width, (1, 1, 3, 3))
        level1 = self.backbone.features
        channels = GROUPS * scale(2048 // GROUPS, width)
        self.neck = Pyramid(level1 // 2, level1, channels)
        self.Logits = Head(channels, classes, dropout)
        self.aux_conv = ConvNorm(level1 // 2, channels, (1, 3, 3), (1, 2, 2))
        self.AuxLogits = Head(channels, classes, dropout)

    def forward(self, x):
        """Maps (batch, channels, time, height, width) to logits and, in training, those of the auxiliary head."""
        level0, level1 = self.backbone(x)
        logits = self.Logits(self.neck(level0, level1).mean((2, 3, 4))[:, None])
        if not self.training:
            return (logits,)
        return logits, self.AuxLogits(self.aux_conv(level0).mean((2, 3, 4))[:, None])


class Pyramid(nn.Module):
    """Both levels at the same size, pooled over time, passed top-down and then bottom-up, and fused."""

    def __init__(self, inputs0: int, inputs1: int, channels: int):
        super().__init__()
        half = channels // 2
        temporal = {"kernel_size": (3, 1, 1), "padding": (1, 0, 0), "bias": False}
        self.spatial_modulation_0 = ConvNorm(inputs0, channels, (1, 3, 3), (1, 2, 2))
        self.temporal_modulation_0 = nn.Conv3d(channels, half, groups=GROUPS, **temporal)
        self.temporal_modulation_1 = nn.Conv3d(inputs1, half, groups=GROUPS, **temporal)
        self.downsampling_0 = nn.Conv3d(half, half, **temporal)
        self.top_down, self.bottom_up = LevelFusion(channels), LevelFusion(channels)
        self.pyramid_fusion = ConvNorm(2 * channels, channels, (1, 1, 1))

    def forward(self, level0, level1):
        low = self.temporal_modulation_0(self.spatial_modulation_0(level0)).amax(2, keepdim=True)
        high = self.temporal_modulation_1(level1).amax(2, keepdim=True)
        low = low + high
        top_down, bottom_up = self.top_down(low, high), self.bottom_up(low, high + self.downsampling_0(low))
        return self.pyramid_fusion(torch.cat([top_down, bottom_up], 1))


class LevelFusion(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.level0 = ConvNorm(channels // 2, channels // 2, (1, 1, 1), groups=GROUPS)
        self.level1 = ConvNorm(channels // 2, channels // 2, (1, 1, 1), groups=GROUPS)
        self.fusion = ConvNorm(channels, channels, (1, 1, 1))

    def forward(self, low, high):
        return self.fusion(torch.cat([self.level0(low), self.level1(high)], 1))
