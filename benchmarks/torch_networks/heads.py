"""The end of every network: dropout, one linear layer, and the mean over positions."""

from torch import nn


class Head(nn.Module):
    def __init__(self, features: int, classes: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.atomic = nn.Linear(features, classes)

    def forward(self, x):
        """Maps (batch, positions, features) to (batch, classes)."""
        return self.atomic(self.dropout(x)).mean(1)


def positions_of(x):
    """(batch, channels, *positions) as (batch, positions, channels)."""
    return x.flatten(2).transpose(1, 2)
