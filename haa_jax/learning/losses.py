"""Losses of the heads' logits: the one that is minimized, on the device, and its value for reports, on the host."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from haa_jax.models.heads import AUX

# Weight of an auxiliary head's cross-entropy; a head's own has weight 1 (TPN, arXiv 2004.03548).
AUX_WEIGHT = 0.5


def loss_fn(
    logits: Mapping[str, jax.Array],
    labels: Mapping[str, jax.Array],
    class_weights: Mapping[str, jax.Array] | None = None,
) -> jax.Array:
    """Cross-entropy, averaged over the batch and summed over the heads, auxiliary ones at AUX_WEIGHT: float32 scalar.

    A clip's cross-entropy is multiplied by the weight of its class before the mean over the B clips. The mean is not
    divided by the sum of the weights, as PyTorch's is: the means of batches and microbatches, whatever classes they
    have, then average to that of the whole dataset.

    Args:
      logits: head name, or "aux_" and head name -> (B, classes) float32.
      labels: head name -> (B,) int32.
      class_weights: head name -> (classes,) float32, also for the head's auxiliary one; None for equal weights.
    """
    losses = []
    for name in sorted(logits):
        head = name.removeprefix(AUX)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits[name], labels[head])
        if class_weights is not None:
            loss = loss * class_weights[head][labels[head]]
        losses.append(AUX_WEIGHT * loss.mean() if name.startswith(AUX) else loss.mean())
    return jnp.sum(jnp.stack(losses))


def binary_cross_entropy(logits: Mapping[str, jax.Array], labels: Mapping[str, jax.Array]) -> jax.Array:
    """Sigmoid cross-entropy for clips of several classes, summed over the heads as in `loss_fn`: float32 scalar.

    Averaged over the batch and the classes, as PyTorch's BCEWithLogitsLoss does by default.

    Args:
      logits: head name, or "aux_" and head name -> (B, classes) float32.
      labels: head name -> multi-hot (B, classes), 0 or 1.
    """
    losses = []
    for name in sorted(logits):
        targets = labels[name.removeprefix(AUX)].astype(jnp.float32)
        loss = optax.sigmoid_binary_cross_entropy(logits[name], targets).mean()
        losses.append(AUX_WEIGHT * loss if name.startswith(AUX) else loss)
    return jnp.sum(jnp.stack(losses))


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The share of clips whose class has the highest logit: (B, classes) and int32 (B,) to a float32 scalar."""
    return (logits.argmax(-1) == labels).mean()


def exact_matches(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The share of clips of whose classes all, and no others, have a sigmoid above 0.5: float32 scalar.

    Args:
      logits: float32 (B, classes).
      labels: multi-hot (B, classes).
    """
    return ((logits > 0) == (labels > 0)).all(-1).mean()


def balanced(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights by which every class counts as much as any other: n / (classes * clips of the class), float32 (classes,).

    scikit-learn's "balanced". In expectation, the gradient is that of a dataset in which the clips of every class are
    repeated until all classes are equally large. Classes without clips are not counted and have weight 0.

    Args:
      labels: int (n,), of the training split.
      num_classes: classes of the head.
    """
    counts = np.bincount(labels, minlength=num_classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)


# config.train.class_weights -> weights of a head's classes, from the labels of the training split; None for 1 each.
CLASS_WEIGHTS = {"none": None, "balanced": balanced}


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy in nats, computed by NumPy: float (N, classes), int (N,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    own = np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]
    return float((np.log(np.exp(shifted).sum(axis=1)) - own).mean())


def mean_binary_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean sigmoid cross-entropy in nats, computed by NumPy: float (N, classes), multi-hot (N, classes)."""
    return float((np.logaddexp(0, logits) - labels * logits).mean())
