"""The two kinds of labels, one class for each clip or several, and what depends on it.

With one class, the classes exclude each other: scores are the softmax of the logits. With several, each class is a
question of its own: its logit is the log-odds that the clip is of this class, and scores are sigmoids.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from haa_jax import averaging
from haa_jax.learning import losses


class LabelKind(NamedTuple):
    """What depends on it outside of the compiled steps, whose part is in `objectives.Objective`.

    Attributes:
      scores: float (..., classes) logits to float64 scores, 0 to 1.
      loss: (logits, labels) of N clips to the mean of the loss that is minimized, a float.
      fuse: (logits of several networks, a weight for each) to logits, float32 (N, classes).
      averages: the values of `config.eval.average` that fit.
      best: the figure of a head (see metrics.py) by which the best checkpoint is chosen.
    """

    scores: Callable
    loss: Callable
    fuse: Callable
    averages: tuple[str, ...]
    best: str


ONE = LabelKind(averaging.softmax, losses.cross_entropy, averaging.fuse, ("logits", "softmax"), "top1")
SEVERAL = LabelKind(
    averaging.sigmoid, losses.mean_binary_cross_entropy, averaging.mean, ("logits", "sigmoid"), "mean_average_precision"
)


def of(multi_label: bool) -> LabelKind:
    """The kind of an objective's labels; `Objective.multi_label`."""
    return SEVERAL if multi_label else ONE


def of_labels(labels: np.ndarray) -> LabelKind:
    """The kind of labels: int (N,), or multi-hot (N, classes)."""
    return of(labels.ndim == 2)
