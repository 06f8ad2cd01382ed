"""What is learned: atomic actions, composite actions, or both at once from one trunk.

The paper's "Inst./Sport with Atomic" (Table 6, Table 9) is read as one trunk with two linear heads, whose
cross-entropies are added 1:1 and of which the composite head is evaluated.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import optax

from haa_jax.models.heads import AUX

# Objective -> heads that are trained.
OBJECTIVES = {"atomic": ("atomic",), "composite": ("composite",), "joint": ("atomic", "composite")}
# Head -> the dataset feature that holds its labels.
FEATURES = {"atomic": "label", "composite": "composite"}
# Of the cross-entropy of an auxiliary head, beside 1 for the head itself (TPN, arXiv 2004.03548).
AUX_WEIGHT = 0.5


class ObjectiveError(ValueError):
    """An objective that the dataset cannot serve."""


@dataclasses.dataclass(frozen=True)
class Head:
    """One classification: its class names, and the class (or -1) of each id of the dataset's feature."""

    name: str
    classes: tuple[str, ...]
    class_of_id: np.ndarray  # int32, (number of ids of the feature,)


def make_heads(objective: str, taxonomy, area: str = "") -> tuple[Head, ...]:
    """Heads of an objective, over all classes of a table or over those of one area.

    Args:
      objective: a key of OBJECTIVES.
      taxonomy: the dataset's class table (`names`, `areas`, `composites` in parallel, and the sorted
        `composite_names` and `area_names`).
      area: "" for all.

    Raises:
      ObjectiveError: the table has no such area.
    """
    if area and area not in taxonomy.area_names:
        raise ObjectiveError(f"area={area!r} is not in the dataset; it has: {', '.join(taxonomy.area_names)}")
    inside = [not area or own == area for own in taxonomy.areas]
    names = [name for name, keep in zip(taxonomy.names, inside, strict=True) if keep]
    composites = {name for name, keep in zip(taxonomy.composites, inside, strict=True) if keep}
    wanted = {
        "atomic": (taxonomy.names, names),
        "composite": (taxonomy.composite_names, [name for name in taxonomy.composite_names if name in composites]),
    }
    return tuple(_head(name, *wanted[name]) for name in OBJECTIVES[objective])


def evaluated_head(heads) -> str:
    """Which of the heads' names is evaluated: the composite one where there are both."""
    return "composite" if "composite" in heads else "atomic"


def _head(name: str, all_names, kept) -> Head:
    position = {kept_name: index for index, kept_name in enumerate(kept)}
    lookup = np.array([position.get(each, -1) for each in all_names], np.int32)
    return Head(name, tuple(kept), lookup)


def check_labels(head: Head, ids: np.ndarray, clip_ids: list[str]) -> None:
    """Raises ObjectiveError naming every clip whose label is not one of the head's classes.

    On the device nothing would be raised: an integer label out of range turns the loss into NaN.
    """
    known = (ids >= 0) & (ids < len(head.class_of_id))
    classes = np.where(known, head.class_of_id[np.where(known, ids, 0)], -1)
    bad = [f"{clip_ids[i]} ({ids[i]})" for i in np.flatnonzero(classes < 0)]
    if bad:
        raise ObjectiveError(f"{len(bad)} clips have no class in the {head.name} head: {', '.join(bad[:20])}")


def loss_fn(logits: dict, labels: dict):
    """Mean cross-entropy over the batch, summed over the heads, auxiliary ones at AUX_WEIGHT: float32 scalar.

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
    """Mean cross-entropy in nats of predictions on the host: float (N, classes), int (N,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    own = np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]
    return float((np.log(np.exp(shifted).sum(axis=1)) - own).mean())
