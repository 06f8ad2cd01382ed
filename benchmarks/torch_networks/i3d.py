"""I3D: TRUNK of haa_jax/models/i3d.py, TensorFlow's SAME padding, BatchNorm without gamma."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  PyTorch's own name for it

from benchmarks.torch_networks.heads import Head, positions_of
from haa_jax.models.i3d import BN_EPSILON, LOGITS_WINDOW, TRUNK, Conv, Inception, MaxPool
from haa_jax.models.layers import scale


def build(config, classes: int) -> nn.Module:
    return I3D(config.width, config.dropout, classes)


def arrange(clips: torch.Tensor) -> torch.Tensor:
    """(batch, time, height, width, channels) as (batch, channels, time, height, width)."""
    return clips.movedim(-1, 1)


class I3D(nn.Module):
    def __init__(self, width: float, dropout: float, classes: int):
        super().__init__()
        inputs = 3
        for name, spec in TRUNK.items():
            match spec:
                case Conv(channels, kernel, stride):
                    self.add_module(name, Unit(inputs, scale(channels, width), kernel, stride))
                    inputs = scale(channels, width)
                case MaxPool(window, stride):
                    self.add_module(name, SamePool(window, stride))
                case Inception():
                    self.add_module(name, Mixed(inputs, spec, width))
                    inputs = sum(scale(channels, width) for channels in (spec.b0, spec.b1b, spec.b2b, spec.b3b))
        self.Logits = Head(inputs, classes, dropout)

    def forward(self, x):
        """Maps (batch, channels, time, height, width) to logits."""
        for name in TRUNK:
            x = getattr(self, name)(x)
        window = [min(size, extent) for size, extent in zip(LOGITS_WINDOW, x.shape[2:], strict=True)]
        return (self.Logits(positions_of(F.avg_pool3d(x, window, stride=1))),)


class Mixed(nn.Module):
    """Four parallel branches, their channels concatenated."""

    def __init__(self, inputs: int, spec: Inception, width: float):
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = (scale(channels, width) for channels in spec[:6])
        self.pool = SamePool((3, 3, 3), (1, 1, 1))
        self.Branch_0 = branch(inputs, {"Conv3d_0a_1x1": (b0, 1)})
        self.Branch_1 = branch(inputs, {"Conv3d_0a_1x1": (b1a, 1), "Conv3d_0b_3x3": (b1b, 3)})
        self.Branch_2 = branch(inputs, {"Conv3d_0a_1x1": (b2a, 1), spec.b2b_name: (b2b, 3)})
        self.Branch_3 = branch(inputs, {"Conv3d_0b_1x1": (b3b, 1)})

    def forward(self, x):
        return torch.cat([self.Branch_0(x), self.Branch_1(x), self.Branch_2(x), self.Branch_3(self.pool(x))], 1)


def branch(inputs: int, units: dict[str, tuple[int, int]]) -> nn.Sequential:
    """A sequence of Units: channels and kernel size by name."""
    layers = nn.Sequential()
    for name, (channels, size) in units.items():
        layers.add_module(name, Unit(inputs, channels, (size, size, size)))
        inputs = channels
    return layers


class Unit(nn.Module):
    """Convolution without bias, BatchNorm without gamma, ReLU."""

    def __init__(self, inputs: int, channels: int, kernel, stride=(1, 1, 1)):
        super().__init__()
        self.strided = max(stride) > 1
        padding = 0 if self.strided else tuple(size // 2 for size in kernel)
        self.conv_3d = nn.Conv3d(inputs, channels, kernel, stride, padding, bias=False)
        self.batch_norm = nn.BatchNorm3d(channels, BN_EPSILON)
        del self.batch_norm.weight  # gamma is no parameter here, but PyTorch's BatchNorm has either both or none
        self.batch_norm.register_buffer("weight", torch.ones(channels))

    def forward(self, x):
        if self.strided:  # more after than before, which convolutions do not take
            axes = zip(x.shape[2:], self.conv_3d.kernel_size, self.conv_3d.stride, strict=True)
            pads = [same(*sizes) for sizes in axes]
            x = F.pad(x, [each for pair in reversed(pads) for each in pair])
        return F.relu(self.batch_norm(self.conv_3d(x)), inplace=True)


class SamePool(nn.Module):
    """Max pool. What SAME pads more after than before, rounding up adds."""

    def __init__(self, window, stride):
        super().__init__()
        self.window, self.stride = window, stride

    def forward(self, x):
        pads = [same(*sizes)[0] for sizes in zip(x.shape[2:], self.window, self.stride, strict=True)]
        return F.max_pool3d(x, self.window, self.stride, pads, ceil_mode=True)


def same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of an axis, before and after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
