"""The architectures, one module each, behind one seam.

Every model is a Linen module called in the same way:

    logits, endpoints = module.apply(
        variables, clips, train=True, endpoints=("features",),
        rngs={"dropout": key}, mutable=["batch_stats"],
    )

`clips` is a float array (batch, time, height, width, channels), already normalised; any number of channels.
`logits` maps each head's name to (batch, classes) float32; `endpoints` maps the names asked for to their
activations ("features", the pooled vector before dropout, is known to every model). With `mutable`, Flax
returns ((logits, endpoints), updated_collections). `train` and `endpoints` are static under jit.

A new architecture is one file with a `build(config, heads)` and one line in MODELS.
"""

from collections.abc import Callable, Mapping

from flax import linen as nn
from ml_collections import ConfigDict

from haa_jax.models import i3d

MODELS: dict[str, Callable[[ConfigDict, Mapping[str, int]], nn.Module]] = {"i3d": i3d.build}


def build(config: ConfigDict, heads: Mapping[str, int]) -> nn.Module:
    """Returns the module that `config` (the `model` part of the configuration) names.

    Args:
      config: `name`, a key of MODELS, and the fields that model's own `build` reads.
      heads: number of classes by head name ("atomic", "composite"); all heads share the trunk.

    Raises:
      ValueError: unknown `name`, or a value that the model does not know; the message lists those allowed.
    """
    if config.name not in MODELS:
        raise ValueError(f"config.model.name is {config.name!r}; allowed: {sorted(MODELS)}")
    return MODELS[config.name](config, heads)
