"""Training some modules of a network: all others keep their parameters and their BatchNorm statistics.

HAA500's Table 8 freezes "all the layers except for the last three" of a pre-trained I3D, read as Mixed_5b, Mixed_5c and
Logits. A frozen BatchNorm normalizes by its running statistics, in training too.

The trainable modules are named by their paths, as "Mixed_5b" or "backbone/layer4_block0"; () stands for the whole
network.
"""

import difflib
from collections.abc import Sequence

import jax
import optax
from flax import linen as nn

from haa_jax.models.parameters import is_within


def is_trainable(path: Sequence[str], trainable: Sequence[str]) -> bool:
    """Whether the module or parameter at a path is in one of the trainable modules."""
    return not trainable or is_within(path, trainable)


def unknown_modules(trainable: Sequence[str], params: dict) -> list[str]:
    """A message for each name in `trainable` that is neither a module nor a parameter of the network."""
    paths = [_keys(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    known = dict.fromkeys("/".join(path[: n + 1]) for path in paths for n in range(len(path)))
    missing = [name for name in trainable if name not in known]
    nearest = {name: difflib.get_close_matches(name, known, n=1, cutoff=0)[0] for name in missing}
    return [f"the network has no module {name!r}; did you mean {nearest[name]!r}?" for name in missing]


def stop_gradients(params: dict, trainable: Sequence[str]) -> dict:
    """The parameters, without a gradient for frozen ones, so that no backward pass is computed below the last of them.

    Args:
      params: nested dict of arrays.
    """
    if not trainable:
        return params
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf if is_trainable(_keys(path), trainable) else jax.lax.stop_gradient(leaf), params
    )


def frozen_batchnorms(trainable: Sequence[str]):
    """A context in which every frozen BatchNorm normalizes by its running statistics and does not update them."""

    def intercept(call, args, kwargs, context):
        frozen = isinstance(context.module, nn.BatchNorm) and not is_trainable(context.module.path, trainable)
        return call(*args, **(kwargs | {"use_running_average": True} if frozen else kwargs))

    return nn.intercept_methods(intercept)


def freeze(optimizer: optax.GradientTransformation, trainable: Sequence[str]) -> optax.GradientTransformation:
    """The optimizer for the trainable modules; the others are not updated and have no optimizer state."""
    if not trainable:
        return optimizer

    def label(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "trainable" if is_trainable(_keys(path), trainable) else "frozen", params
        )

    return optax.partition({"trainable": optimizer, "frozen": optax.set_to_zero()}, label)


def _keys(path) -> tuple[str, ...]:
    return tuple(key.key for key in path)
