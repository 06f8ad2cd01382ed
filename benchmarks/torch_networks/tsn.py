"""TSN on ResNet-50, as haa_jax/models/tsn.py: a 2-D network on each segment, and the mean of the segments' logits."""

import torch
from torch import nn

from benchmarks.torch_networks.heads import Head
from benchmarks.torch_networks.resnet import ResNet50


def build(config, classes: int) -> nn.Module:
    return TSN(config.width, config.dropout, classes)


def arrange(clips: torch.Tensor) -> torch.Tensor:
    """(batch, segments, height, width, channels) as (batch, segments, channels, height, width)."""
    return clips.movedim(-1, 2)


class TSN(nn.Module):
    def __init__(self, width: float, dropout: float, classes: int):
        super().__init__()
        self.backbone = ResNet50(width)
        self.Logits = Head(self.backbone.features, classes, dropout)

    def forward(self, x):
        """Maps (batch, segments, channels, height, width) to logits."""
        _, last = self.backbone(x.flatten(0, 1))
        return (self.Logits(last.mean((2, 3)).unflatten(0, x.shape[:2])),)
