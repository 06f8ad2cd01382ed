"""Training a part of a network: the rest keeps its parameters and its BatchNorm statistics.

HAA500's Table 8 freezes "all the layers except for the last three" of a pre-trained I3D, read as Mixed_5b, Mixed_5c and
Logits. A frozen BatchNorm normalizes by its running statistics, in training too.

A part is named by the path of its parameters, as "Mixed_5b" or "backbone/layer4".
"""

import difflib
from collections.abc import Sequence

import jax
import optax
from flax import linen as nn


def learns(path: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether what lies at a path belongs to one of the parts that learn; () stands for the whole network."""
    joined = "/".join(path)
    return not parts or any(joined == part or joined.startswith(f"{part}/") for part in parts)


def unknown_parts(parts: Sequence[str], params: dict) -> list[str]:
    """For each part that the parameters do not have, what to say about it."""
    known = dict.fromkeys("/".join(path[: n + 1]) for path in _paths(params) for n in range(len(path)))
    missing = [part for part in parts if part not in known]
    near = {part: difflib.get_close_matches(part, known, n=1, cutoff=0) for part in missing}
    return [f"{part!r} is no part of the network; did you mean {near[part][0]!r}?" for part in missing]


def stop_gradients(params: dict, parts: Sequence[str]) -> dict:
    """The parameters, with no gradient through those that are frozen: what is in front of them costs nothing then."""
    if not parts:
        return params
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf if learns(_keys(path), parts) else jax.lax.stop_gradient(leaf), params
    )


def frozen_batchnorms(parts: Sequence[str]):
    """A context in which the BatchNorms of everything that is frozen use their running statistics and keep them."""

    def intercept(call, args, kwargs, context):
        frozen = isinstance(context.module, nn.BatchNorm) and not learns(context.module.path, parts)
        return call(*args, **(kwargs | {"use_running_average": True} if frozen else kwargs))

    return nn.intercept_methods(intercept)


def freeze(optimizer: optax.GradientTransformation, parts: Sequence[str]) -> optax.GradientTransformation:
    """The optimizer for the parts that learn; the others are not updated and have no optimizer state."""
    if not parts:
        return optimizer

    def label(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "learns" if learns(_keys(path), parts) else "frozen", params
        )

    return optax.partition({"learns": optimizer, "frozen": optax.set_to_zero()}, label)


def _paths(params: dict) -> list[tuple[str, ...]]:
    return [_keys(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]


def _keys(path) -> tuple[str, ...]:
    return tuple(key.key for key in path)
