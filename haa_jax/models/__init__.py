"""The architectures, one module each, behind one seam.

Every model is a Linen module called in the same way:

    logits, endpoints = module.apply(
        variables, clips, train=True, endpoints=("features",),
        rngs={"dropout": key}, mutable=["batch_stats"],
    )

`clips` is a float array (batch, time, height, width, channels), already normalized, with any number of channels; for
ST-GCN, (batch, people, time, joints, coordinates).
`logits` maps each head's name to (batch, classes) float32; `endpoints` maps the names asked for to their
activations ("features", the pooled vector before dropout, is known to every model). With `mutable`, Flax
returns ((logits, endpoints), updated_collections). `train` and `endpoints` are static under jit.

An auxiliary head (TPN) adds its logits under "aux_<head>" in training.

A new architecture is one file with `build(config, heads)` and CHOICES (what its own fields of the configuration may
be), and one line in MODELS.
"""

import types
from collections.abc import Mapping

from flax import linen as nn
from ml_collections import ConfigDict

from haa_jax.models import i3d, slowfast, stgcn, tpn, tsn

MODELS: dict[str, types.ModuleType] = {"i3d": i3d, "slowfast": slowfast, "tsn": tsn, "tpn": tpn, "stgcn": stgcn}
DTYPES = ("float32", "bfloat16")


def choices(name: str) -> dict[str, tuple[str, ...]]:
    """What the fields of `config.model` may be for the architecture `name`, by field."""
    return {"dtype": DTYPES, **{field: tuple(allowed) for field, allowed in MODELS[name].CHOICES.items()}}


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
    for field, allowed in choices(config.name).items():
        if config[field] not in allowed:
            raise ValueError(f"config.model.{field} is {config[field]!r}; {config.name} allows: {allowed}")
    return MODELS[config.name].build(config, heads)
