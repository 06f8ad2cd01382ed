"""A published checkpoint -> our variables."""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from haa_jax.learning.train_state import TrainState
from haa_jax.weights import faults
from haa_jax.weights.fit import Fit, describe, match, to_ours
from haa_jax.weights.readers import Contents, WeightsError, read


def load(path, config: ConfigDict, variables: dict, head: str = "") -> tuple[dict, Fit]:
    """Fills a network's variables from a checkpoint.

    Args:
      path: a file that readers.read knows.
      config: the `model` part of the configuration that the network was built from.
      variables: {"params", "batch_stats"} as the network's init returns them, arrays or shapes.
      head: name of the head that takes the file's last layer; "" leaves all heads as they are in `variables`.

    Returns:
      The variables as float32 NumPy arrays (heads not filled are passed through), and the account.

    Raises:
      WeightsError: the file cannot be read or does not fit (see `judge`); everything that is wrong is named.
    """
    contents = read(path)
    fit = judge(contents, config, variables, head)
    if not fit.fits:
        raise WeightsError(f"{path} does not fit {config.name} {config.variant}".rstrip() + f":\n{describe(fit)}")
    return convert(contents.tensors, fit, variables), fit


def judge(contents: Contents, config: ConfigDict, variables: dict, head: str = "") -> Fit:
    """The whole verdict on a file, on which `load` acts and which `python -m haa_jax.weights` prints.

    A file fits if every variable has one tensor, of its shape, of finite floating-point numbers, and, for ST-GCN, of
    the config's graph. Arguments as in `load`.
    """
    tensors = contents.tensors
    fit = match({name: tensor.shape for name, tensor in tensors.items()}, config.name, variables, head)
    found = (*fit.faults, *faults.in_values(tensors, fit))
    if config.name == "stgcn":
        found += faults.in_graph(tensors, fit, config)
    return dataclasses.replace(fit, faults=found, notes=contents.notes)


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


def _fold_gamma(flat: dict, path: tuple[str, ...], gamma: np.ndarray) -> None:
    """Multiplies a gamma into the kernel in front of its BatchNorm, and into the running mean.

    With running statistics the network is then the same: gamma * (y - mean) is what is normalized by the same variance.
    With a batch's own statistics, a gamma in front of a normalization does nothing.
    """
    unit = path[1:-2]
    kernel = ("params", *unit, "conv_3d", "kernel")
    mean = ("batch_stats", *path[1:-1], "mean")
    flat[kernel] = flat[kernel] * gamma
    flat[mean] = flat[mean] * gamma


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
