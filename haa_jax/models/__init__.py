"""The networks, one file each, all called in the same way.

Every network is a Linen module:

    logits, endpoints = module.apply(
        variables, clips, train=True, endpoints=("features",),
        rngs={"dropout": key}, mutable=["batch_stats"],
    )

`clips` is a float array (batch, time, height, width, channels), already normalized, with any number of channels; for
ST-GCN, (batch, people, time, joints, coordinates).
`logits` maps each head's name to (batch, classes) float32; `endpoints` maps the names asked for to their
activations. Every network has the endpoint "features", the pooled vector before dropout. With `mutable`, Flax
returns ((logits, endpoints), updated_collections). `train` and `endpoints` are static under jit.

An auxiliary head (TPN) adds its logits under "aux_<head>" in training.

A network's file has

    build(config, heads)   the module of `config.model`, with a number of classes for each head
    CHOICES                what its own fields of `config.model` may be: field -> values
    INPUT                  what it takes, "clips" or "skeleton"
    HEADS                  its modules that end in the classes; LinearHeads puts one layer below it for each head
    STEM                   its first convolutions, as "backbone/stem"; () if it has none
    cam_endpoints(config)  optional: the endpoints that Grad-CAM maps by default: the last ones with positions
    endpoint_frames(config, endpoint, frames)
                           optional: the frame that each step in time of an endpoint is at: (steps,); without it, at the
                           middles of equal parts of the clip
    check(config)          optional: yields a line for each setting of the whole config that the network cannot have

and one entry in MODELS.
"""

import types
from collections.abc import Iterable, Mapping, Sequence

from flax import linen as nn
from ml_collections import ConfigDict

from haa_jax.models import i3d, slowfast, stgcn, tpn, tsn
from haa_jax.models.parameters import Role, is_within, roles

MODELS: dict[str, types.ModuleType] = {"i3d": i3d, "slowfast": slowfast, "tsn": tsn, "tpn": tpn, "stgcn": stgcn}
DTYPES = ("float32", "bfloat16")


def choices(name: str) -> dict[str, tuple[str, ...]]:
    """The values that the fields of `config.model` may have for the network `name`, by field."""
    return {"dtype": DTYPES, **{field: tuple(allowed) for field, allowed in MODELS[name].CHOICES.items()}}


def contradictions(config: ConfigDict) -> Iterable[str]:
    """A line for each setting of a whole config that its network, one of MODELS, cannot have."""
    check = getattr(MODELS[config.model.name], "check", None)
    return check(config) if check else ()


def build(config: ConfigDict, heads: Mapping[str, int]) -> nn.Module:
    """Returns the module that `config` (the `model` section of the configuration) names.

    Args:
      config: `name`, a key of MODELS, and the fields that this network's own `build` reads.
      heads: number of classes by head name ("atomic", "composite"); all heads share the trunk.

    Raises:
      ValueError: unknown `name`, or a value that the network does not know; the message lists those allowed.
    """
    if config.name not in MODELS:
        raise ValueError(f"config.model.name is {config.name!r}; allowed: {sorted(MODELS)}")
    for field, allowed in choices(config.name).items():
        if config[field] not in allowed:
            raise ValueError(f"config.model.{field} is {config[field]!r}; {config.name} allows: {allowed}")
    return MODELS[config.name].build(config, heads)


def parameter_roles(name: str, variables: Mapping) -> dict[tuple[str, ...], Role]:
    """The role of each parameter of the network `name`; see `parameters.roles`."""
    return roles(variables, MODELS[name].HEADS, MODELS[name].STEM)


def is_head(name: str, path: Sequence[str]) -> bool:
    """Whether a variable of the network `name`, by its path below its collection, belongs to a head."""
    return is_within(path, MODELS[name].HEADS)
