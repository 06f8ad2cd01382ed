"""ST-GCN, as haa_jax/models/stgcn.py: BatchNorm on the coordinates, then blocks of graph and temporal convolution."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  PyTorch's own name for it

from benchmarks.torch_networks.heads import Head
from haa_jax.models.layers import scale
from haa_jax.models.skeleton import SKELETONS, spatial_adjacency
from haa_jax.models.stgcn import BLOCKS, BN_EPSILON, TEMPORAL

COORDINATES = 3  # x, y, score


def build(config, classes: int) -> nn.Module:
    adjacency = torch.from_numpy(spatial_adjacency(SKELETONS[config.variant], config.partition))
    return STGCN(adjacency, config.width, config.dropout, classes)


def arrange(clips: torch.Tensor) -> torch.Tensor:
    """(batch, people, time, joints, coordinates) as (batch, people, coordinates, time, joints)."""
    return clips.movedim(-1, 2)


class STGCN(nn.Module):
    def __init__(self, adjacency: torch.Tensor, width: float, dropout: float, classes: int):
        super().__init__()
        self.data_bn = nn.BatchNorm1d(adjacency.shape[1] * COORDINATES, BN_EPSILON)
        inputs = COORDINATES
        for index, (channels, stride) in enumerate(BLOCKS):
            rate = dropout if index else 0.0
            self.add_module(f"block{index}", Block(inputs, scale(channels, width), stride, index > 0, rate, adjacency))
            inputs = scale(channels, width)
        self.Logits = Head(inputs, classes, 0.0)

    def forward(self, x):
        """Maps (batch, people, coordinates, time, joints) to logits."""
        batch, people, coordinates, time, joints = x.shape
        x = x.flatten(0, 1)
        rows = self.data_bn(x.permute(0, 3, 1, 2).reshape(len(x), joints * coordinates, time))
        x = rows.view(len(x), joints, coordinates, time).permute(0, 2, 3, 1)
        for index in range(len(BLOCKS)):
            x = getattr(self, f"block{index}")(x)
        features = x.mean((2, 3)).unflatten(0, (batch, people)).mean(1)
        return (self.Logits(features[:, None]),)


class Block(nn.Module):
    """Graph convolution over the joints, then convolution over time, plus the shortcut, which the first lacks."""

    def __init__(self, inputs: int, channels: int, stride: int, residual: bool, dropout: float, adjacency):
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.edge_importance = nn.Parameter(torch.ones(adjacency.shape))
        self.gcn_conv = nn.Conv2d(inputs, len(adjacency) * channels, 1)
        self.gcn_bn = nn.BatchNorm2d(channels, BN_EPSILON)
        self.tcn_conv = nn.Conv2d(channels, channels, (TEMPORAL, 1), (stride, 1), (TEMPORAL // 2, 0))
        self.tcn_bn = nn.BatchNorm2d(channels, BN_EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.residual, self.project = residual, stride > 1
        if self.project:
            self.residual_conv = nn.Conv2d(inputs, channels, 1, (stride, 1))
            self.residual_bn = nn.BatchNorm2d(channels, BN_EPSILON)

    def forward(self, x):
        """Maps (batch, channels, time, joints) to (batch, channels', time / stride, joints)."""
        y = self.gcn_conv(x).unflatten(1, (len(self.adjacency), -1))
        y = torch.einsum("nkctv,kvw->nctw", y, self.adjacency * self.edge_importance)
        y = self.tcn_conv(F.relu(self.gcn_bn(y), inplace=True))
        y = self.dropout(self.tcn_bn(y))
        if self.residual:
            y = y + (self.residual_bn(self.residual_conv(x)) if self.project else x)
        return F.relu(y, inplace=True)
