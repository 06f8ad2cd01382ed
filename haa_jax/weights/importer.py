"""A published checkpoint -> our variables, with an account of every tensor on both sides."""

import collections
import dataclasses
import difflib
import re
from collections.abc import Mapping

import jax
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from haa_jax.models.skeleton import SKELETONS, spatial_adjacency
from haa_jax.state import TrainState
from haa_jax.weights import names
from haa_jax.weights.readers import WeightsError, read_tensors


@dataclasses.dataclass(frozen=True)
class Fit:
    """Which tensor of a file fills which variable.

    Attributes:
      source: key of names.SOURCES[model].
      taken: path of a variable, its collection first -> name in the file.
      missing: names, in the source's terms, of variables that the file has no tensor for.
      mismatched: name, shape in the file and shape wanted (in our layout), where they differ.
      gammas: path of a BatchNorm's bias -> name of a gamma that our network does not have (I3D).
      unused: every other tensor of the file -> why it is not used.
    """

    source: str
    taken: dict[tuple[str, ...], str]
    missing: list[str]
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]]
    gammas: dict[tuple[str, ...], str]
    unused: dict[str, str]


def load(path, config: ConfigDict, variables: dict, head: str = "") -> tuple[dict, Fit]:
    """Fills a network's variables from a checkpoint.

    Args:
      path: a file that readers.read_tensors knows.
      config: the `model` part of the configuration that the network was built from.
      variables: {"params", "batch_stats"} as the network's init returns them, arrays or shapes.
      head: name of the head that takes the file's last layer; "" leaves all heads as they are in `variables`.

    Returns:
      The variables as float32 NumPy arrays (heads not filled are passed through), and the account.

    Raises:
      WeightsError: the file cannot be read, or a variable of the network has no tensor, or one of another shape; all of
        them are named.
    """
    tensors = {names.clean(name): tensor for name, tensor in read_tensors(path).items()}
    fit = match({name: tensor.shape for name, tensor in tensors.items()}, config.name, variables, head)
    if fit.missing or fit.mismatched:
        raise WeightsError(f"{path} does not fit {config.name} {config.variant}:\n{describe(fit)}")
    if config.name == "stgcn":
        check_adjacency(tensors, config, path)
    return convert(tensors, fit, variables), fit


def match(shapes: Mapping[str, tuple[int, ...]], model: str, variables: dict, head: str = "") -> Fit:
    """Pairs a file's tensors with a network's variables, by the source whose names agree best.

    Args:
      shapes: cleaned name -> shape, of every tensor in the file.
      Others as in `load`.
    """
    flat = traverse_util.flatten_dict(variables)
    wanted = {path: leaf for path, leaf in flat.items() if not names.is_head(path[1:]) or path[2] == head}
    by_source = {}
    for source, name_of in names.SOURCES[model].items():
        by_source[source] = {path: name_of(path[1:]) for path in wanted}
    source = max(by_source, key=lambda each: sum(name in shapes for name in by_source[each].values()))
    taken, missing, mismatched = {}, [], []
    for path, name in by_source[source].items():
        if name not in shapes:
            missing.append(name)
            continue
        taken[path] = name
        shape = our_shape(shapes[name], source, path)
        if _without_leading_ones(shape) != _without_leading_ones(wanted[path].shape):
            mismatched.append((name, shapes[name], wanted[path].shape))
    gammas = _gammas(shapes, source, model, wanted)
    used = {*taken.values(), *gammas.values()}
    head_names = {names.SOURCES[model][source](path[1:]) for path in flat if names.is_head(path[1:])}
    unused = {name: _why_unused(name, head_names) for name in shapes if name not in used}
    return Fit(source, taken, missing, mismatched, gammas, unused)


def convert(tensors: Mapping[str, np.ndarray], fit: Fit, variables: dict) -> dict:
    """The variables filled as `fit` says; those it does not name are passed through."""
    flat = dict(traverse_util.flatten_dict(variables))
    for path, name in fit.taken.items():
        array = to_ours(np.asarray(tensors[name], np.float64), fit.source, path)
        flat[path] = array.reshape(flat[path].shape)
    for path, name in fit.gammas.items():
        gamma = np.asarray(tensors[name], np.float64)
        if (gamma != 1).any():
            _fold_gamma(flat, path, gamma)
    for path in fit.taken:
        flat[path] = flat[path].astype(np.float32)
    return traverse_util.unflatten_dict(flat)


def our_shape(shape: tuple[int, ...], source: str, path: tuple[str, ...]) -> tuple[int, ...]:
    """The shape that a tensor of `source` has in our layout."""
    return to_ours(np.empty(shape, np.bool_), source, path).shape


def to_ours(array: np.ndarray, source: str, path: tuple[str, ...]) -> np.ndarray:
    """Kernels from (out, in, *window) to (*window, in, out); everything else, and TensorFlow's, stays as it is."""
    if path[-1] != "kernel" or source in names.CHANNELS_LAST or array.ndim < 2:
        return array
    return np.moveaxis(array, (0, 1), (-1, -2))


def check_adjacency(tensors: Mapping[str, np.ndarray], config: ConfigDict, path) -> None:
    """Raises WeightsError if a ST-GCN's file holds another graph than `config` asks for.

    ST-GCN's files carry the adjacency that they were trained with, as `A` or, in mmaction2, in every block.
    """
    ours = spatial_adjacency(SKELETONS[config.variant], config.partition)
    for name, tensor in tensors.items():
        if _ADJACENCY.fullmatch(name) and (tensor.shape != ours.shape or np.abs(tensor - ours).max() > 1e-6):
            raise WeightsError(
                f"{path} was trained on another graph ({name}) than that of config.model.variant={config.variant!r}, "
                f"config.model.partition={config.partition!r}"
            )


def describe(fit: Fit) -> str:
    """The account in a few lines: every missing and mismatched tensor, unused ones by reason."""
    lines = [f"names as in {fit.source}: {len(fit.taken)} tensors taken, {len(fit.missing)} missing"]
    lines += [f"  missing: {name}{_nearest(name, fit.unused)}" for name in fit.missing]
    lines += [f"  shape: {name} is {_x(got)} in the file, {_x(want)} here" for name, got, want in fit.mismatched]
    if fit.gammas:
        lines.append(f"  {len(fit.gammas)} gammas that the published network does not have (folded where not 1)")
    reasons = collections.defaultdict(list)
    for name, reason in fit.unused.items():
        reasons[reason].append(name)
    for reason, unused in sorted(reasons.items()):
        listed = unused if reason == UNKNOWN or len(unused) < 4 else [*unused[:2], "..."]
        lines.append(f"  not used, {reason}: {len(unused)} ({', '.join(listed)})")
    return "\n".join(lines)


UNKNOWN = "not a tensor of this network"
_ADJACENCY = re.compile(r"A|backbone\.gcn\.\d+\.gcn\.A")
_OPTIMIZER = re.compile(r".*/(Momentum|Adam(_1)?|RMSProp(_1)?)|global_step|lr|.*_momentum")


def _why_unused(name: str, head_names: set[str]) -> str:
    if name in head_names:
        return "the classes' layer"
    if name.endswith("num_batches_tracked"):
        return "counters"
    if _OPTIMIZER.fullmatch(name):
        return "optimizer state"
    if _ADJACENCY.fullmatch(name):
        return "adjacency (compared)"
    return UNKNOWN


def _gammas(shapes: Mapping[str, tuple[int, ...]], source: str, model: str, wanted: Mapping) -> dict:
    """The PyTorch ports of I3D give each BatchNorm a gamma; the published network has none."""
    if model != "i3d":
        return {}
    biases = [path for path in wanted if path[-2:] == ("batch_norm", "bias")]
    by_path = {path: names.SOURCES[model][source]((*path[1:-1], "scale")) for path in biases}
    return {path: name for path, name in by_path.items() if name in shapes}


def _fold_gamma(flat: dict, path: tuple[str, ...], gamma: np.ndarray) -> None:
    """Multiplies a gamma into the kernel in front of its BatchNorm, and into the running mean.

    With running statistics the network is then the same: gamma * (y - mean) is what is normalised by the same variance.
    With a batch's own statistics, a gamma in front of a normalisation does nothing.
    """
    unit = path[1:-2]
    kernel = ("params", *unit, "conv_3d", "kernel")
    mean = ("batch_stats", *path[1:-1], "mean")
    flat[kernel] = flat[kernel] * gamma
    flat[mean] = flat[mean] * gamma


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """2-D kernels lack our axis of time, and linear layers were 1x1x1 convolutions or had vectors of one row."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _nearest(name: str, unused: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, [each for each, why in unused.items() if why == UNKNOWN], n=1, cutoff=0.8)
    return f" (nearest in the file: {close[0]})" if close else ""


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def start_from(path, config: ConfigDict, train_state: TrainState) -> tuple[TrainState, Fit]:
    """A fresh state with a checkpoint's weights in place of random ones, all but those of the heads.

    Args:
      path, config: as in `load`.
      train_state: its arrays' layout over the devices is kept.
    """
    variables = {"params": train_state.params, "batch_stats": train_state.batch_stats}
    loaded, fit = load(path, config, jax.eval_shape(lambda: variables))
    variables, loaded = traverse_util.flatten_dict(variables), traverse_util.flatten_dict(loaded)
    for taken in fit.taken:
        variables[taken] = jax.device_put(loaded[taken], variables[taken].sharding)
    variables = traverse_util.unflatten_dict(variables)
    return train_state.replace(**variables), fit
