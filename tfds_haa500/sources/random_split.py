"""Splits the videos of a folder at random, stratified by class, with all videos of one source in one split.

The videos are in groups: those of one source if the file names tell it, or each alone. The groups are shuffled by the
seed and their names, and each in turn goes to the split in which the counts of its classes are furthest below the
wanted ones. Then single groups are moved for as long as a move brings the counts closer to the wanted ones. Without
groups, every class is then split as evenly as whole videos allow.
"""

import collections
import dataclasses
import hashlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence

from tfds_haa500.sources.clips import SPLITS

_TIE_BREAK = 1e-3  # weight of all classes together compared with that of one class
_EMPTY = 1e6  # cost of a class that a split lacks: larger than that of any deviation


@dataclasses.dataclass(frozen=True)
class RandomSplit:
    """How videos are split.

    Attributes:
      fractions: of the videos for train, validation and test; 0 for no such split.
      seed: another seed gives another split.
      group: regular expression that is searched in a file's name without suffix. The text of its first group names the
        source; all videos of one source, of whatever class, are in one split. "" for none.
    """

    fractions: tuple[float, ...]
    seed: int = 0
    group: str = ""

    def __post_init__(self):
        """Raises ValueError for fractions that are not a split, or an expression that cannot name a source."""
        given = ",".join(f"{fraction:g}" for fraction in self.fractions)
        if len(self.fractions) != len(SPLITS) or not all(0 <= fraction <= 1 for fraction in self.fractions):
            raise ValueError(f"split={given}: must be three fractions from 0 to 1, for {', '.join(SPLITS)}")
        if not math.isclose(sum(self.fractions), 1, abs_tol=1e-6):
            raise ValueError(f"split={given}: the fractions must add up to 1, but add up to {sum(self.fractions):g}")
        if not self.fractions[0]:
            raise ValueError(f"split={given}: train, the first, must be above 0")
        try:
            expression = re.compile(self.group)
        except re.error as error:
            raise ValueError(f"group={self.group!r}: not a regular expression ({error})") from error
        if self.group and not expression.groups:
            raise ValueError(f"group={self.group!r}: needs parentheses around what names the source, as in '_g(\\d+)_'")

    @property
    def wanted(self) -> dict[str, float]:
        """The splits that there are, with their fractions."""
        return {split: fraction for split, fraction in zip(SPLITS, self.fractions, strict=True) if fraction}

    @property
    def metadata(self) -> dict:
        """What a dataset records of its split."""
        return {"by": "random", "fractions": list(self.fractions), "seed": self.seed, "group": self.group}


def assign(classes: Mapping[str, str], how: RandomSplit) -> tuple[dict[str, str], list[str]]:
    """The split of every video.

    Args:
      classes: key of each video (its path without suffix) -> its class. Their order does not matter.
      how: the fractions, the seed and the groups.

    Returns:
      key -> split; and the problems: every file name without a source, and every class that is not in all splits.
    """
    groups, problems = _groups(classes, how.group)
    problems += _too_few(classes, groups, how)
    if problems:
        return {}, problems
    sizes = {name: collections.Counter(classes[key] for key in keys) for name, keys in groups.items()}
    counts = _Counts(sizes, how.wanted)
    order = sorted(sizes, key=lambda name: (-sizes[name].total(), _drawn(how.seed, name), name))
    place = {name: counts.place(sizes[name]) for name in order}
    _improve(counts, sizes, place)
    problems = [
        f"{label}: has no clip in {split} with this seed, since its sources are large or shared with other classes; "
        "try another seed or other fractions"
        for label in sorted(set(classes.values()))
        for split in how.wanted
        if not counts.found[split][label]
    ]
    return {key: place[name] for name, keys in groups.items() for key in keys}, problems


def _groups(classes: Mapping[str, str], group: str) -> tuple[dict[str, list[str]], list[str]]:
    """The keys of each group, and a problem for each file name that `group` does not match."""
    groups, problems = collections.defaultdict(list), []
    for key in sorted(classes):
        match = re.search(group, key.rpartition("/")[2])
        if not group:
            groups[key].append(key)
        elif match and match[1]:
            groups[match[1]].append(key)
        else:
            problems.append(f"{key}: has no source: its name does not match {group!r}")
    return groups, problems


def _too_few(classes: Mapping[str, str], groups: Mapping[str, Sequence[str]], how: RandomSplit) -> list[str]:
    """A problem for each class that cannot be in every split."""
    found = collections.Counter(label for keys in groups.values() for label in {classes[key] for key in keys})
    what = "source" if how.group else "clip"
    return [
        f"{label}: has {count} {what}{'s' * (count > 1)}, fewer than the {len(how.wanted)} splits ("
        f"{', '.join(how.wanted)}), each of which needs one"
        for label, count in sorted(found.items())
        if count < len(how.wanted)
    ]


def _drawn(seed: int, name: str) -> str:
    """A random number that depends on nothing else, such as the other names or the version of Python."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _improve(counts: "_Counts", sizes: Mapping[str, collections.Counter], place: dict[str, str]) -> None:
    """Moves single groups while that brings the counts closer to the wanted ones; changes `place`."""
    moved = True
    while moved:
        moved = False
        for name, size in sizes.items():
            before = place[name]
            counts.add(size, before, -1)
            place[name] = counts.place(size, prefer=before)
            moved |= place[name] != before


class _Counts:
    """How many clips of each class are in each split, and how far that is from the wanted counts.

    All classes together are treated as one more class, None, which decides only where the others do not.
    """

    def __init__(self, sizes: Mapping[str, collections.Counter], wanted: Mapping[str, float]):
        totals = sum(sizes.values(), collections.Counter())
        self._totals = {**totals, None: totals.total() / _TIE_BREAK}
        self._ideal = {
            split: {**{label: fraction * count for label, count in totals.items()}, None: fraction * totals.total()}
            for split, fraction in wanted.items()
        }
        self.found = {split: collections.Counter() for split in wanted}

    def add(self, size: collections.Counter, split: str, sign: int = 1) -> None:
        for label, count in itertools.chain(size.items(), [(None, size.total())]):
            self.found[split][label] += sign * count

    def place(self, size: collections.Counter, prefer: str = "") -> str:
        """Adds a group to the split where it costs least, or to `prefer` if that costs no more; returns the split."""
        costs = {split: self._added_cost(size, split) for split in self.found}
        best = min(costs, key=costs.get)
        if prefer and costs[prefer] <= costs[best] + 1e-9:
            best = prefer
        self.add(size, best)
        return best

    def _added_cost(self, size: collections.Counter, split: str) -> float:
        cost = 0.0
        for label, count in itertools.chain(size.items(), [(None, size.total())]):
            before = self.found[split][label]
            excess = before - self._ideal[split][label]
            cost += ((excess + count) ** 2 - excess**2) / self._totals[label] - _EMPTY * (not before)
        return cost
