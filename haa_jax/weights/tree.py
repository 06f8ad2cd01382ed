"""Trees of dicts, as in PyTorch's and caffe2's checkpoints: which of their tensors are the network."""

import re
from collections.abc import Callable, Iterator

import numpy as np

from haa_jax.weights.stand_ins import Array, Tensor

# Entries with the network's tensors in the checkpoints of published code.
WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model", "params", "blobs")
_OPTIMIZER = re.compile(r".*(optim|sched|scaler).*|amp", re.IGNORECASE)
_MAX_DEPTH, _MAX_ENTRIES = 16, 1_000_000  # of nested dicts; no checkpoint has more


def network_tensors(tree, to_numpy: Callable[[Tensor], np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The tensors of the network in a checkpoint, out of their wrappers, and notes on what was left out.

    Args:
      tree: dicts and lists with Tensor and Array leaves, as `safe_pickle.unpickle` gives them.
      to_numpy: reads a Tensor's elements.

    Raises:
      ValueError: there are no tensors, or it is not clear which are the network.
    """
    network, notes = _unwrap(tree)
    tensors = {name: leaf.to_numpy() if isinstance(leaf, Array) else to_numpy(leaf) for name, leaf in _leaves(network)}
    return tensors, notes


def _unwrap(tree) -> tuple[dict, tuple[str, ...]]:
    """The subtree of a checkpoint that is the network, and notes on others that have tensors.

    Raises:
      ValueError: there are no tensors, or several subtrees that may be the network.
    """
    if not isinstance(tree, dict):
        raise ValueError(f"it holds a {type(tree).__name__}, not names and tensors; save a model's state_dict()")
    with_tensors = [key for key, value in tree.items() if next(_leaves({key: value}), None)]
    if not with_tensors:
        raise ValueError(f"there are no tensors in it; it holds: {', '.join(map(str, list(tree)[:20])) or 'nothing'}")
    nested = {key for key in with_tensors if isinstance(tree[key], dict)}
    wrappers = [key for key in WRAPPERS if key in nested and not (key == "params" and "batch_stats" in nested)]
    if len(wrappers) > 1:
        raise ValueError(f"it holds several sets of tensors: {', '.join(wrappers)}; save the one you want alone")
    optimizers = [key for key in nested if _OPTIMIZER.fullmatch(str(key))]
    notes = left_out("optimizer state", sorted(map(str, optimizers)))
    if wrappers:
        others = [str(key) for key in with_tensors if key not in (*wrappers, *optimizers)]
        why = f"{wrappers[0]!r} is read instead; to use what was left out, save it alone with PyTorch"
        network, more = _unwrap(tree[wrappers[0]])
        return network, (*notes, *left_out(why, others), *more)
    if len(optimizers) == len(with_tensors):
        raise ValueError(
            f"it holds only optimizer state: {', '.join(map(str, optimizers))}; take the file with the model's weights"
        )
    return {key: value for key, value in tree.items() if key not in optimizers}, notes


def _leaves(tree: dict) -> Iterator[tuple[str, Tensor | Array]]:
    """Each tensor with its keys joined by "."; numbers, strings and the like are skipped.

    Raises:
      ValueError: two tensors have the same name, or the tree is deeper or larger than any checkpoint (a pickle can
        make a dict that contains itself).
    """
    names: set[str] = set()
    pending, entries = [((), tree)], 0
    while pending:
        path, value = pending.pop()
        entries += 1
        if len(path) > _MAX_DEPTH or entries > _MAX_ENTRIES:
            raise ValueError(f"its dicts are nested more than {_MAX_DEPTH} deep or have over {_MAX_ENTRIES} entries")
        if isinstance(value, Tensor | Array):
            name = ".".join(path)
            if name in names:
                raise ValueError(f"two of its tensors are called {name}")
            names.add(name)
            yield name, value
        elif isinstance(value, dict):
            pending += [((*path, str(key)), each) for key, each in reversed(value.items())]
        elif isinstance(value, list | tuple):
            pending += [((*path, str(i)), each) for i, each in reversed(list(enumerate(value)))]


def left_out(why: str, names: list[str]) -> tuple[str, ...]:
    """A note on entries that have tensors and are not read, if there are any."""
    return (f"left out: {', '.join(names)} ({why})",) if names else ()
