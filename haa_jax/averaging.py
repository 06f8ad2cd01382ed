"""Predictions that are combined: those of a clip's views to one per clip, and those of several networks to one."""

import functools
from collections.abc import Sequence

import jax
import numpy as np


class ClipOutputs:
    """Averages the outputs of each clip's views as soon as its last view has arrived.

    Args:
      num_views: int (clips,): the number of views of each clip.
      average: (views, size), axis -> (size,), such as one of `steps.AVERAGES`.

    Attributes:
      averaged: name -> (clips, size); NaN for clips with views missing.
    """

    def __init__(self, num_views: np.ndarray, average):
        self._num_views, self._average = num_views, jax.jit(functools.partial(average, axis=0))
        self._open: dict[int, dict] = {}  # clip -> view -> its outputs
        self.averaged: dict[str, np.ndarray] = {}

    def add(self, outputs: dict, index: np.ndarray, view: np.ndarray, mask: np.ndarray) -> None:
        """Adds the outputs of a batch, whose rows may come in any order.

        Args:
          outputs: name -> (rows, size).
          index, view: int (rows,), clip and view of each row.
          mask: bool (rows,), False for padding.
        """
        if not self.averaged:
            clips = len(self._num_views)
            self.averaged = {name: np.full((clips, x.shape[1]), np.nan, x.dtype) for name, x in outputs.items()}
        for row in np.flatnonzero(mask):
            clip = int(index[row])
            views = self._open.setdefault(clip, {})
            views[int(view[row])] = {name: values[row] for name, values in outputs.items()}
            if len(views) == self._num_views[clip]:
                self._close(clip)

    def _close(self, clip: int) -> None:
        views = self._open.pop(clip)
        for name, values in self.averaged.items():
            values[clip] = self._average(np.stack([views[view][name] for view in sorted(views)]))


def fuse(logits: list[np.ndarray], weights: list[float], softmax: bool = False) -> np.ndarray:
    """The weighted sum of logits, or the logarithm of the weighted mean of their softmax: float32 (N, classes).

    Args:
      logits: one float (N, classes) for each stream, rows and columns in one order.
      weights: one for each stream, 0 or more.
    """
    streams = np.stack(logits).astype(np.float64)
    weights = np.asarray(weights, np.float64)
    if not softmax:
        return np.tensordot(weights, streams, 1).astype(np.float32)
    kept = weights > 0
    # As logarithms, so that a probability that rounds to 0 still has a rank.
    log_softmax = _log_softmax(streams)
    log_weights = np.log(weights[kept] / weights.sum())[:, None, None]
    return np.logaddexp.reduce(log_softmax[kept] + log_weights, axis=0).astype(np.float32)


def mean(logits: list[np.ndarray], weights: list[float]) -> np.ndarray:
    """The weighted mean of logits: float32 (N, classes). Arguments as of `fuse`.

    For classes that do not exclude each other. A sum has the same order, but a threshold on its sigmoid would mean
    something else for each number of networks.
    """
    return np.average(np.stack(logits).astype(np.float64), axis=0, weights=weights).astype(np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The probability of each class by itself, float64 (..., classes)."""
    return np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64)))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities float64 (..., classes)."""
    return np.exp(_log_softmax(np.asarray(logits, np.float64)))


def weights_fault(flag: str, weights: Sequence[float], networks: int, what: str) -> str:
    """What is wrong with the weights of a fusion, as a line; "" if nothing is.

    Args:
      flag: that gave the weights.
      networks: how many there are to be weighted.
      what: they are called.
    """
    if len(weights) != networks:
        return f"{flag} has {len(weights)} numbers for {networks} {what}"
    if not all(np.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        return f"{flag}={','.join(map(str, weights))}: each must be 0 or more, and one above 0"
    return ""


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
