"""Residual blocks of ResNet-50 over single frames (2-D) or clips (3-D), shared by SlowFast, TSN and TPN."""

from torch import nn
from torch.nn import functional as F  # noqa: N812  PyTorch's own name for it

from haa_jax.models.layers import scale
from haa_jax.models.resnet import BN_EPSILON, DEPTHS

CONVS = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class ConvNorm(nn.Module):
    """Convolution without bias, padded by half its kernel, BatchNorm and, if `relu` is True, ReLU.

    `kernel` and `stride` have one number for each axis: two, or three over clips.
    """

    def __init__(self, inputs: int, features: int, kernel, stride=1, groups: int = 1, relu: bool = True):
        super().__init__()
        padding = tuple(size // 2 for size in kernel)
        self.conv = CONVS[len(kernel)](inputs, features, kernel, stride, padding, groups=groups, bias=False)
        self.bn = NORMS[len(kernel)](features, BN_EPSILON)
        self.relu = relu

    def forward(self, x):
        x = self.bn(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x


class Bottleneck(nn.Module):
    """One residual block; `temporal` is the extent over time of its first convolution, 0 for a block without time."""

    def __init__(self, inputs: int, channels: int, features: int, temporal: int, stride: int, project: bool):
        super().__init__()
        time = (1,) if temporal else ()
        one, strides = (*time, 1, 1), (*time, stride, stride)
        self.conv1 = ConvNorm(inputs, channels, (temporal, 1, 1) if temporal else one)
        self.conv2 = ConvNorm(channels, channels, (*time, 3, 3), strides)
        self.conv3 = ConvNorm(channels, features, one, relu=False)
        self.downsample = ConvNorm(inputs, features, one, strides, relu=False) if project else nn.Identity()

    def forward(self, x):
        y = self.conv3(self.conv2(self.conv1(x)))
        y += self.downsample(x)
        return F.relu(y, inplace=True)


def add_stage(to: nn.Module, name: str, inputs: int, index: int, base: int, width: float, temporal: int) -> int:
    """Adds the blocks of stage `index`, `<name>_block0` and so on, to a module; returns their output channels."""
    channels, features = scale(base * 2**index, width), scale(4 * base * 2**index, width)
    for block in range(DEPTHS[index]):
        stride = 2 if index and not block else 1
        to.add_module(f"{name}_block{block}", Bottleneck(inputs, channels, features, temporal, stride, not block))
        inputs = features
    return features


def run_stage(of: nn.Module, name: str, index: int, x):
    for block in range(DEPTHS[index]):
        x = getattr(of, f"{name}_block{block}")(x)
    return x


def stem_pool(x):
    """Max pool of each frame: 3x3, stride 2, padding 1."""
    if x.ndim == 4:
        return F.max_pool2d(x, 3, 2, 1)
    return F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))


class ResNet50(nn.Module):
    """The trunk; `temporal` as in Bottleneck, by stage."""

    def __init__(self, width: float, temporal: tuple[int, ...] = (0, 0, 0, 0)):
        super().__init__()
        time = (1,) if any(temporal) else ()
        features = scale(64, width)
        self.stem = ConvNorm(3, features, (*time, 7, 7), (*time, 2, 2))
        for index, extent in enumerate(temporal):
            features = add_stage(self, f"layer{index + 1}", features, index, 64, width, extent)
        self.features = features

    def forward(self, x):
        """Returns the outputs of layer3 and layer4."""
        x = stem_pool(self.stem(x))
        outputs = []
        for index in range(len(DEPTHS)):
            x = run_stage(self, f"layer{index + 1}", index, x)
            outputs.append(x)
        return outputs[2:]
