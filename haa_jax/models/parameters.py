"""What each parameter of a network is, which decides how fast it learns and whether it decays.

Heads and stems are the modules that a network's file declares in HEADS and STEM. A BatchNorm is a module that has
running statistics.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.traverse_util import flatten_dict

Path = tuple[str, ...]
Initializer = Callable[[jax.Array, jax.Array], dict]


class Role(NamedTuple):
    """What a parameter is.

    Attributes:
      kind: "kernel" or "bias" of a convolution or linear layer, "norm" (a scale or bias of BatchNorm), or "other".
      in_head: whether it belongs to a head, and so to the classes rather than to the network.
      in_stem: whether it belongs to a first convolution or to the BatchNorm that follows it.
    """

    kind: str
    in_head: bool
    in_stem: bool


def roles(variables: Mapping, heads: Sequence[str], stem: Sequence[str]) -> dict[Path, Role]:
    """The role of every parameter, by its path below "params".

    Args:
      variables: {"params", "batch_stats"} as the network's init returns them, arrays or shapes.
      heads: modules that end in the classes, as "Logits".
      stem: first convolutions, as "backbone/stem"; () for a network without one.

    Raises:
      ValueError: the network has none of the modules of `heads`, or none of those of `stem`.
    """
    params = flatten_dict(variables["params"])
    for name, modules in (("HEADS", heads), ("STEM", stem)):
        if modules and not any(is_within(path, modules) for path in params):
            raise ValueError(f"the network has none of the modules that its file declares: {name} = {modules}")
    norms = {path[:-1] for path in flatten_dict(variables.get("batch_stats", {}))}
    layers = {path[:-1] for path in params if path[-1] == "kernel"}

    def kind(path: Path) -> str:
        if path[:-1] in norms:
            return "norm"
        return path[-1] if path[-1] in ("kernel", "bias") and path[:-1] in layers else "other"

    return {path: Role(kind(path), is_within(path, heads), is_within(path, stem)) for path in params}


def is_within(path: Sequence[str], modules: Iterable[str]) -> bool:
    """Whether a path, ("backbone", "stem", "conv", "kernel"), is in one of some modules, such as "backbone/stem"."""
    joined = "/".join(path)
    return any(joined == module or joined.startswith(f"{module}/") for module in modules)


def initializer(model: nn.Module) -> Initializer:
    """`model.init`: a random key and clips, of which only the shape counts, to {"params", "batch_stats"}.

    It is traced once for clips of one shape, whether only shapes are asked for or a program that contains it is made.
    """
    # Inlined, so that such a program is what it would be without jit.
    return jax.jit(functools.partial(model.init, train=False), inline=True)


def shapes_of(init: Initializer, clip_shape: tuple[int, ...]) -> dict:
    """Shapes and dtypes of the variables that an `initializer` makes; nothing is computed.

    Args:
      clip_shape: shape of one clip as the network takes it, (frames, height, width, channels) or ST-GCN's.
    """
    return jax.eval_shape(init, jax.random.key(0), jax.ShapeDtypeStruct((1, *clip_shape), jnp.float32))


def abstract_variables(model: nn.Module, clip_shape: tuple[int, ...]) -> dict:
    """`shapes_of` the variables of a network."""
    return shapes_of(initializer(model), clip_shape)
