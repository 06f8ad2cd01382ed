"""Which clips of a split a page shows: a bounded number, spread over the classes."""

import numpy as np

from tfds_haa500.records import ClipIndex
from tfds_haa500.sources.clips import nearest


class BrowseError(ValueError):
    """A data set or a choice of clips that cannot be shown; the message tells what to change."""


def selected(index: ClipIndex, class_names: list[str], area_names: list[str], classes=(), area: str = "") -> np.ndarray:
    """The numbers of the clips of some classes, or of an area: int64 (clips,); all by default.

    Clips of several classes are chosen by any of them. They have no area, so `area_names` is empty.

    Raises:
      BrowseError: a name that the data set does not have.
    """
    keep = np.ones(len(index), bool)
    for name in classes:
        _check_name(name, class_names, "class")
    if classes:
        ids = [class_names.index(name) for name in classes]
        keep &= index.multi_hot(len(class_names))[:, ids].any(axis=1)
    if area:
        _check_name(area, area_names, "area")
        keep &= index.area == area_names.index(area)
    return np.flatnonzero(keep)


def spread(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most `most` of some clips, chosen at random, with as many of each class as possible: int64, in order.

    Args:
      labels: int (clips,).
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    before = {}  # class -> its clips so far
    rounds = np.empty(len(labels), np.int64)
    for clip in shuffled:
        rounds[clip] = before.setdefault(int(labels[clip]), 0)
        before[int(labels[clip])] += 1
    by_round = shuffled[np.argsort(rounds[shuffled], kind="stable")]
    return np.sort(by_round[:most])


def count_line(shown: int, there: int, seed: int) -> str:
    """How many of the clips a page shows, and how it was chosen."""
    if shown == there:
        return f"Showing all {there:,} clips."
    return f"Showing {shown:,} of {there:,} clips, spread over the classes, otherwise at random (seed {seed})."


def _check_name(name: str, known: list[str], kind: str) -> None:
    if name not in known:
        raise BrowseError(f"the data set has no {kind} {name!r}{nearest(name, known)}")
