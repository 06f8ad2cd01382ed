"""What is learned: atomic actions, composite actions, or both from one trunk; or several actions of a clip at once.

The paper's "Inst./Sport with Atomic" (Table 6, Table 9) is read as one trunk with two linear heads, whose
cross-entropies are added 1:1 and of which the composite head is evaluated.

Another objective is one more entry in OBJECTIVES.
"""

from collections.abc import Callable
from typing import NamedTuple

from haa_jax.data.labels import Head, LabelError, make_head
from haa_jax.learning import losses


class Target(NamedTuple):
    """What one head predicts.

    Attributes:
      name: of the head.
      feature: the dataset's feature that holds the labels, a field of `records.ClipIndex`; "labels" holds several.
      names: column of the class table with the name of every id of that feature, in order.
      of_class: column of the class table with the name that each atomic class belongs to.
    """

    name: str
    feature: str
    names: str
    of_class: str


ATOMIC = Target("atomic", "label", "names", "names")
SEVERAL = Target("atomic", "labels", "names", "names")
COMPOSITE = Target("composite", "composite", "composite_names", "composites")


class Objective(NamedTuple):
    """What a network is trained for.

    Attributes:
      targets: one for each head.
      evaluated: name of the head that is validated and reported.
      loss: {head: (B, classes) float32 logits} with those of auxiliary heads as "aux_<head>", and {head: (B,) int32
        labels}, to a float32 scalar; it is compiled into the training step. With `config.train.class_weights`, it is
        also given `class_weights`, {head: (classes,) float32}.
      accuracy: (B, classes) float32 logits and (B,) int32 labels of the evaluated head to a float32 scalar, 0 to 1; it
        is shown while training.
      multi_label: whether clips have several classes. Labels are then multi-hot, int8 (B, classes).
    """

    targets: tuple[Target, ...]
    evaluated: str
    loss: Callable = losses.loss_fn
    accuracy: Callable = losses.accuracy
    multi_label: bool = False


OBJECTIVES = {
    "atomic": Objective((ATOMIC,), evaluated="atomic"),
    "composite": Objective((COMPOSITE,), evaluated="composite"),
    "joint": Objective((ATOMIC, COMPOSITE), evaluated="composite"),
    "multi_label": Objective((SEVERAL,), "atomic", losses.binary_cross_entropy, losses.exact_matches, multi_label=True),
}


def make_heads(objective: str, taxonomy, area: str = "") -> tuple[Head, ...]:
    """The heads of an objective, for all classes of a table or for those of one area.

    Args:
      objective: a key of OBJECTIVES.
      taxonomy: the dataset's class table (`names`, `areas`, `composites` in parallel, and the sorted
        `composite_names` and `area_names`).
      area: "" for all.

    Raises:
      LabelError: the table has no such area.
    """
    if area and area not in taxonomy.area_names:
        raise LabelError(f"area={area!r} is not in the dataset; it has: {', '.join(taxonomy.area_names)}")
    return tuple(_head(target, taxonomy, area) for target in OBJECTIVES[objective].targets)


def _head(target: Target, taxonomy, area: str) -> Head:
    all_names, of_class = getattr(taxonomy, target.names), getattr(taxonomy, target.of_class)
    within = {name for name, own in zip(of_class, taxonomy.areas, strict=True) if not area or own == area}
    return make_head(target.name, target.feature, all_names, [name for name in all_names if name in within])
