"""The area and the composite of each class of a head."""

import dataclasses

import numpy as np

from haa_jax.reporting.runs import Answers, Run
from tfds_haa500 import taxonomy

SEVERAL, UNKNOWN = "several", "unknown"


@dataclasses.dataclass(frozen=True)
class Groups:
    """Names for each class of a head.

    Attributes:
      areas: SEVERAL for a class whose clips differ, UNKNOWN for one that has no clips and is in no class table.
      composites: () if they are not known, or are the classes themselves.
    """

    areas: tuple[str, ...]
    composites: tuple[str, ...]

    @property
    def order(self) -> list[int]:
        """The positions of the classes by area, then composite, then their own order."""
        keys = list(zip(self.areas, self.composites or self.areas, strict=True))
        return sorted(range(len(keys)), key=keys.__getitem__)


def of_head(run: Run, head: str, table: taxonomy.Taxonomy | None) -> Groups:
    """The areas and composites of a head's classes, from the clips' own and from a class table.

    Args:
      table: of the dataset; None if it is not there.
    """
    answers = run.heads[head]
    areas = dict(_names_by_class(answers, run.arrays["areas"]))
    composites = {}
    if head == "atomic" and "composite" in run.heads:
        composite = run.heads["composite"]
        composites = dict(_names_by_class(answers, np.array(composite.classes)[composite.labels]))
    if table is not None:
        of_atomic = zip(table.names, table.areas, table.composites, strict=True)
        for name, area, composite in of_atomic:
            key = {"atomic": name, "composite": composite}.get(head)
            areas.setdefault(key, area)
            if head == "atomic":
                composites.setdefault(name, composite)
    known = set(answers.classes) <= composites.keys()
    return Groups(
        tuple(areas.get(name, UNKNOWN) for name in answers.classes),
        tuple(composites[name] for name in answers.classes) if known else (),
    )


def packaged_table(run: Run) -> taxonomy.Taxonomy | None:
    """The class table of HAA500 or of the demo if the run's atomic classes and their areas are of it, or None."""
    if "atomic" not in run.heads:
        return None
    answers = run.heads["atomic"]
    for path in (taxonomy.HAA500_CSV, taxonomy.DEMO_CSV):
        table = taxonomy.load(path)
        areas = dict(zip(table.names, table.areas, strict=True))
        found = _names_by_class(answers, run.arrays["areas"])
        if set(answers.classes) <= areas.keys() and all(areas[name] == area for name, area in found):
            return table
    return None


def _names_by_class(answers: Answers, of_clips: np.ndarray) -> list[tuple[str, str]]:
    """(class, the name that all its clips have, or SEVERAL) for each class that has clips."""
    found = []
    for label in np.unique(answers.labels):
        names = np.unique(of_clips[answers.labels == label])
        found.append((answers.classes[label], str(names[0]) if len(names) == 1 else SEVERAL))
    return found
