"""How the faults of a release or a folder are said: each on a line, and before many, how many there are of which kind.

A fault is `path: reason`.
"""

import collections
import re
from collections.abc import Sequence

MANY = 20  # faults from which on a summary comes first
_KINDS = 10
# What differs between faults of one kind: paths, words in quotes, numbers.
_OWN = re.compile(r"\S*/\S*\w|'[^']*'|\d+(?:\.\d+)?")


def listing(root: str, problems: Sequence[str]) -> str:
    """The message of an error about `root` that has these faults."""
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return "\n  ".join([f"{count} in {root}; nothing was built:", *_summary(problems), *problems])


def _summary(problems: Sequence[str]) -> list[str]:
    """The most frequent kinds, the first fault of each as an example; nothing where all faults can be seen at once."""
    if len(problems) <= MANY:
        return []
    kinds = collections.defaultdict(list)
    for problem in problems:
        kinds[_kind(problem)].append(problem)
    groups = sorted(kinds.values(), key=len, reverse=True)
    lines = [f"{len(group)} like: {group[0]}" for group in groups[:_KINDS]]
    others = sum(map(len, groups[_KINDS:]))
    return [*lines, *([f"{others} of other kinds"] if others else []), "All of them:"]


def _kind(problem: str) -> str:
    """A fault without what is only its own."""
    path, _, reason = problem.partition(": ")
    folder, _, name = path.rpartition("/")
    place = (folder.partition("/")[0], folder.count("/"), name.rpartition(".")[2] if "." in name else "")
    return f"{place}: {_OWN.sub('_', reason.partition('; did you mean')[0])}"
