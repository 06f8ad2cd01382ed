"""What is wrong with clips and their files: how it is collected, and how a build reports it.

A problem is one line, `path: reason`. Nothing stops at the first one: a build lists all of them, and before many, how
many there are of each kind.
"""

import collections
import dataclasses
import re
from collections.abc import Sequence

MANY = 20  # more problems than this are summarized before they are listed
_MAX_KINDS = 10
# What differs between problems of one kind: paths, quoted text, numbers.
_SPECIFIC = re.compile(r"\S*/\S*\w|'[^']*'|\d+(?:\.\d+)?")


class ClipError(ValueError):
    """A clip, or a file that goes with it, that cannot be used; `problems` has one reason for each kind of fault."""

    def __init__(self, *problems: str):
        self.problems = list(problems)
        super().__init__("; ".join(problems))


class BuildError(ValueError):
    """Clips that cannot be packaged; `problems` lists everything that is wrong in `root` as `path: reason`."""

    def __init__(self, root: str, problems: Sequence[str]):
        self.root = root
        self.problems = list(problems)
        super().__init__(listing(root, problems))


@dataclasses.dataclass(frozen=True)
class Failure:
    """What a worker process returns for a clip that cannot be packaged: each problem as `path: reason`."""

    problems: tuple[str, ...]


def of_file(path: str, error: Exception) -> list[str]:
    """The problems of one file, from the exception that reading it raised."""
    reasons = error.problems if isinstance(error, ClipError) else [error]
    return [f"{path}: {reason}" for reason in reasons]


def listing(root: str, problems: Sequence[str], outcome: str = "nothing was built") -> str:
    """The message of an error about `root` that has these problems."""
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return "\n  ".join([f"{count} in {root}; {outcome}:", *_summary(problems), *problems])


def _summary(problems: Sequence[str]) -> list[str]:
    """The most frequent kinds, each with its first problem as an example; nothing if there are only a few problems."""
    if len(problems) <= MANY:
        return []
    kinds = collections.defaultdict(list)
    for problem in problems:
        kinds[_kind(problem)].append(problem)
    groups = sorted(kinds.values(), key=len, reverse=True)
    lines = [f"{len(group)} like: {group[0]}" for group in groups[:_MAX_KINDS]]
    others = sum(map(len, groups[_MAX_KINDS:]))
    return [*lines, *([f"{others} of other kinds"] if others else []), "All of them:"]


def _kind(problem: str) -> str:
    """A problem without what is specific to it."""
    path, _, reason = problem.partition(": ")
    folder, _, name = path.rpartition("/")
    suffix = _SPECIFIC.sub("_", name.rpartition(".")[2]) if "." in name else ""  # with the line of a list
    place = (folder.partition("/")[0], folder.count("/"), suffix)
    return f"{place}: {_SPECIFIC.sub('_', reason.partition('; did you mean')[0])}"
