"""Losses of the heads' logits: the one that is minimized, on the device, and its value for reports, on the host."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from haa_jax.models.heads import AUX

# Weight of an auxiliary head's cross-entropy; a head's own has weight 1 (TPN, arXiv 2004.03548).
AUX_WEIGHT = 0.5


def loss_fn(logits: Mapping[str, jax.Array], labels: Mapping[str, jax.Array]) -> jax.Array:
    """Cross-entropy, averaged over the batch and summed over the heads, auxiliary ones at AUX_WEIGHT: float32 scalar.

    Args:
      logits: head name, or "aux_" and head name -> (B, classes) float32.
      labels: head name -> (B,) int32.
    """
    losses = []
    for name in sorted(logits):
        label = labels[name.removeprefix(AUX)]
        loss = optax.softmax_cross_entropy_with_integer_labels(logits[name], label).mean()
        losses.append(AUX_WEIGHT * loss if name.startswith(AUX) else loss)
    return jnp.sum(jnp.stack(losses))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy in nats, computed by NumPy: float (N, classes), int (N,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    own = np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]
    return float((np.log(np.exp(shifted).sum(axis=1)) - own).mean())
