"""The labels of each head: the dataset's feature that holds them, and the class of each of its ids.

A clip has one label, or a set of them. Sets are multi-hot vectors: 1 at the classes of a clip, 0 at all others.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from haa_jax.errors import UserError


class LabelError(UserError, ValueError):
    """Labels or classes that the dataset does not have."""


@dataclasses.dataclass(frozen=True)
class Head:
    """One classification of the clips.

    Attributes:
      name: of the head, as "atomic".
      feature: the dataset's feature, a column of its clip index, that holds the labels, as "label"; "labels" has sets.
      classes: names of the head's classes.
      class_of_id: int32 (number of ids of the feature,), position in `classes` or -1.
    """

    name: str
    feature: str
    classes: tuple[str, ...]
    class_of_id: np.ndarray


def make_head(name: str, feature: str, all_names: Sequence[str], kept: Sequence[str]) -> Head:
    """A head for some of a feature's names.

    Args:
      all_names: name of every id of the feature.
      kept: the names that become classes, in this order.
    """
    position = {kept_name: index for index, kept_name in enumerate(kept)}
    return Head(name, feature, tuple(kept), np.array([position.get(each, -1) for each in all_names], np.int32))


def classes_of(head: Head, ids: np.ndarray | Sequence[tuple[int, ...]], clip_ids: Sequence[str]) -> np.ndarray:
    """The class of each clip: int32 (clips,); or, of sets, their classes: multi-hot int8 (clips, classes).

    Checked here since nothing is raised on the device: an integer label out of range turns the loss into NaN.

    Args:
      ids: the values of `head.feature`: int (clips,), or a tuple for each clip.
      clip_ids: (clips,), for the message.

    Raises:
      LabelError: names the clips whose id is not one of the head's classes.
    """
    if not isinstance(ids, np.ndarray):
        return _multi_hot(head, ids, clip_ids)
    known = (ids >= 0) & (ids < len(head.class_of_id))
    classes = np.where(known, head.class_of_id[np.where(known, ids, 0)], -1)
    bad = [f"{clip_ids[i]} ({ids[i]})" for i in np.flatnonzero(classes < 0)]
    if bad:
        raise LabelError(f"{len(bad)} clips have no class in the {head.name} head: {', '.join(bad[:20])}")
    return head.class_of_id[ids]


def _multi_hot(head: Head, sets: Sequence[tuple[int, ...]], clip_ids: Sequence[str]) -> np.ndarray:
    each = np.repeat(np.arange(len(sets)), [len(ids) for ids in sets])
    flat = np.fromiter((label for ids in sets for label in ids), np.int32, len(each))
    found = np.zeros((len(sets), len(head.classes)), np.int8)
    found[each, classes_of(head, flat, [clip_ids[clip] for clip in each])] = 1
    return found
