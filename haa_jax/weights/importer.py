"""A published checkpoint -> the network's variables."""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from haa_jax.learning.train_state import TrainState
from haa_jax.weights import faults
from haa_jax.weights.account import describe
from haa_jax.weights.fit import Fit, match, to_ours
from haa_jax.weights.readers import Contents, WeightsError, read


def load(path, config: ConfigDict, variables: dict, head: str = "") -> tuple[dict, Fit]:
    """Fills a network's variables from a checkpoint.

    Args:
      path: a file that readers.read can read.
      config: config.model, which the network was built from.
      variables: {"params", "batch_stats"} as the network's init returns them, arrays or shapes.
      head: name of the head that takes the file's last layer; "" leaves all heads as they are in `variables`.

    Returns:
      The variables as float32 NumPy arrays (heads not filled are passed through), and the fit.

    Raises:
      WeightsError: the file cannot be read or does not fit (see `judge`); the message names everything that is wrong.
    """
    contents = read(path)
    fit = judge(contents, config, variables, head)
    if not fit.fits:
        raise WeightsError(f"{path} does not fit {config.name} {config.variant}".rstrip() + f":\n{describe(fit)}")
    return convert(contents.tensors, fit, variables), fit


def judge(contents: Contents, config: ConfigDict, variables: dict, head: str = "") -> Fit:
    """The complete verdict on a file, which `load` follows and `python -m haa_jax.weights` prints.

    A file fits if it has one tensor for every variable, of its shape and with finite floating-point values, and, for
    ST-GCN, the config's graph. Arguments as in `load`.
    """
    tensors = contents.tensors
    fit = match({name: tensor.shape for name, tensor in tensors.items()}, config.name, variables, head)
    found = (*fit.faults, *faults.in_values(tensors, fit))
    if config.name == "stgcn":
        found += faults.in_graph(tensors, fit, config)
    return dataclasses.replace(fit, faults=found, notes=contents.notes)


def convert(tensors: Mapping[str, np.ndarray], fit: Fit, variables: dict) -> dict:
    """Fills variables according to `fit`; all others are passed through."""
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
    """Multiplies a gamma into the kernel before its BatchNorm, and into the running mean.

    With running statistics the network then computes the same: gamma * (y - mean), divided by the same deviation. With
    a batch's own statistics, a gamma before a normalization has no effect.
    """
    unit = path[1:-2]
    kernel = ("params", *unit, "conv_3d", "kernel")
    mean = ("batch_stats", *path[1:-1], "mean")
    flat[kernel] = flat[kernel] * gamma
    flat[mean] = flat[mean] * gamma


def start_from(path, config: ConfigDict, train_state: TrainState) -> tuple[TrainState, Fit]:
    """A fresh state with a checkpoint's weights in place of random ones, except in the heads.

    Args:
      path, config: as in `load`.
      train_state: its arrays keep their sharding.
    """
    variables = {"params": train_state.params, "batch_stats": train_state.batch_stats}
    loaded, fit = load(path, config, jax.eval_shape(lambda: variables))
    variables, loaded = traverse_util.flatten_dict(variables), traverse_util.flatten_dict(loaded)
    for taken in fit.taken:
        variables[taken] = jax.device_put(loaded[taken], variables[taken].sharding)
    variables = traverse_util.unflatten_dict(variables)
    return train_state.replace(**variables), fit
