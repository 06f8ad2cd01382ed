"""What is timed of a PyTorch network: its forward pass and its training step, eager, in either memory format.

`config` is `config.model` where it is called so in haa_jax/models, clips are as our networks take them: float32 with
the channels last, and a format is one of FORMATS; for 3-D convolutions, "channels_last" is channels_last_3d.
"""

import importlib
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  PyTorch's own name for it

from haa_jax.learning.losses import AUX_WEIGHT

FORMATS = ("contiguous", "channels_last")


def build(config, classes: int, memory_format: str) -> nn.Module:
    """The network of `config.model` with its kernels in a format; within `torch.device("meta")`, only its shapes."""
    network = _file(config).build(config, classes)
    if memory_format == "contiguous":
        return network
    volumes = any(each.ndim == 5 for each in network.parameters())
    return network.to(memory_format=torch.channels_last_3d if volumes else torch.channels_last)


def parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def inputs(config, clips: np.ndarray, memory_format: str) -> torch.Tensor:
    """Clips as the network of `config.model` takes them in a format."""
    arranged = _file(config).arrange(torch.tensor(clips))  # a view with the channels last in memory
    return arranged.contiguous() if memory_format == "contiguous" else arranged


def forward_pass(config, network: nn.Module, clips: np.ndarray, memory_format: str) -> Callable[[], torch.Tensor]:
    """A call that returns logits in inference mode."""
    given = inputs(config, clips, memory_format)

    def forward():
        network.eval()
        with torch.inference_mode():
            return network(given)[0]

    return forward


def training_step(config, network, clips: np.ndarray, labels: np.ndarray, memory_format: str) -> Callable[[], float]:
    """A call that does one step and returns the loss. `config` is the whole config, for its optimizer (SGD)."""
    given, labels = inputs(config.model, clips, memory_format), torch.tensor(labels, dtype=torch.int64)
    settings = config.optimizer
    optimizer = torch.optim.SGD(
        network.parameters(), settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay, fused=True
    )

    def step():
        network.train()
        optimizer.zero_grad(set_to_none=True)
        own, *auxiliary = (F.cross_entropy(logits, labels) for logits in network(given))
        loss = own + AUX_WEIGHT * sum(auxiliary)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _file(config):
    return importlib.import_module(f"benchmarks.torch_networks.{config.name}")
