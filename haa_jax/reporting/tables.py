"""What a report counts: per class, per pair of classes, by group of classes, and from one run to another."""

import math
from collections.abc import Sequence

import numpy as np

from haa_jax.reporting.groups import Groups
from haa_jax.reporting.runs import Answers, Run

EXTREMES = 12  # hardest and surest clips


def accuracies(runs: Sequence[Run]) -> tuple[list[str], list[list]]:
    """Columns and rows: every accuracy of every head of every run, with k, n and its standard error."""
    columns = ["run", "head", "figure", "value", "standard_error", "correct", "count"]
    rows = []
    for run in runs:
        for head, figures in run.figures.items():
            areas = {f"area: {name}": figure for name, figure in figures.get("area", {}).items()}
            for name, figure in ({k: v for k, v in figures.items() if k != "area"} | areas).items():
                error = figure["standard_error"]
                counts = [figure.get("correct", ""), figure.get("count", "")]
                values = [f"{figure['value']:.6f}", "" if error is None else f"{error:.6f}"]
                rows.append([run.name, head, name, *values, *counts])
    return columns, rows


def classes(answers: Answers) -> list[dict]:
    """For each class of a head, in its order:

    clips: how many there are (n).
    correct: how many of them are predicted correctly (k).
    predicted: how many clips are predicted to be of this class, rightly or wrongly.
    f1: the harmonic mean of recall and precision, 0 to 1; 0 if nothing is correct, None without clips.
    mistaken_for: position of the class that most of its wrong clips are mistaken for, None without any.
    mistaken: how many are.
    """
    from sklearn.metrics import precision_recall_fscore_support

    count = len(answers.classes)
    f1 = precision_recall_fscore_support(answers.labels, answers.predicted, labels=range(count), zero_division=0)[2]
    matrix = confusion(answers, range(count))
    rows = []
    for own, row in enumerate(matrix):
        wrong = np.where(np.arange(count) == own, 0, row)
        most = int(wrong.argmax())
        rows.append(
            {
                "clips": int(row.sum()),
                "correct": int(row[own]),
                "predicted": int(matrix[:, own].sum()),
                "f1": float(f1[own]) if row.sum() else None,
                "mistaken_for": most if wrong[most] else None,
                "mistaken": int(wrong[most]),
            }
        )
    return rows


def confusion(answers: Answers, group_of_class: Sequence[int]) -> np.ndarray:
    """Counts of clips, int (groups, groups): row of the label's group, column of the predicted class's.

    Args:
      group_of_class: position of each class's group.
    """
    from sklearn.metrics import confusion_matrix

    groups = np.asarray(group_of_class)
    return confusion_matrix(groups[answers.labels], groups[answers.predicted], labels=np.arange(groups.max() + 1))


def pairs(answers: Answers) -> list[dict]:
    """Pairs of classes that are mistaken for each other, the most confused first.

    Returns:
      "first" and "second" (positions of the classes, the first mistaken at least as often), "first_as_second" and
      "second_as_first" (numbers of clips), and "clips" (their positions, those with the highest wrong score first).
      Pairs with equal numbers are ordered by the sum of these scores.
    """
    found, wrong_score = {}, answers.score_of(answers.predicted)
    for clip in np.flatnonzero(~answers.correct):
        label, predicted = int(answers.labels[clip]), int(answers.predicted[clip])
        found.setdefault(frozenset((label, predicted)), []).append(int(clip))
    rows = []
    for pair, clips in found.items():
        counts = {label: int((answers.labels[clips] == label).sum()) for label in pair}
        first, second = sorted(pair, key=lambda label: (-counts[label], label))
        rows.append(
            {
                "first": first,
                "second": second,
                "first_as_second": counts[first],
                "second_as_first": counts[second],
                "clips": sorted(clips, key=lambda clip: -wrong_score[clip]),
            }
        )
    return sorted(rows, key=lambda row: (-len(row["clips"]), -wrong_score[row["clips"]].sum()))


def extremes(answers: Answers, most: int = EXTREMES) -> dict[str, list[int]]:
    """The "hardest" clips (whose label has the lowest scores) and the "surest" (the highest), as positions.

    Hardest are among the wrong clips and surest among the correct ones.
    """
    order = np.argsort(answers.score_of(answers.labels), kind="stable")
    hardest, surest = order[~answers.correct[order]], order[answers.correct[order]][::-1]
    return {"hardest": hardest[:most].tolist(), "surest": surest[:most].tolist()}


def changes(first: Answers, other: Answers) -> dict:
    """Which clips are correct in one run only, with McNemar's exact test.

    Returns:
      "both", "neither" (numbers of clips), "lost" (positions of the clips that only the first has correct), "gained"
      (those that only the other has), "moved" (those that are wrong in both, but differ), and "p": the two-sided
      probability of so uneven a split of lost and gained if both runs were equally good (McNemar, 1947; binomial).
    """
    lost, gained = first.correct & ~other.correct, ~first.correct & other.correct
    neither = ~first.correct & ~other.correct
    return {
        "both": int((first.correct & other.correct).sum()),
        "neither": int(neither.sum()),
        "lost": np.flatnonzero(lost).tolist(),
        "gained": np.flatnonzero(gained).tolist(),
        "moved": np.flatnonzero(neither & (first.predicted != other.predicted)).tolist(),
        "p": mcnemar(int(lost.sum()), int(gained.sum())),
    }


def mcnemar(lost: int, gained: int) -> float:
    """The two-sided exact p-value of a split of `lost + gained` fair coins."""
    count, fewer = lost + gained, min(lost, gained)
    return min(1.0, 2 * sum(math.comb(count, k) for k in range(fewer + 1)) / 2**count)


def class_table(runs: Sequence[Run], head: str, groups: Groups) -> tuple[list[str], list[list]]:
    """Columns and rows: the classes of a head, with `classes` of every run."""
    columns, names = ["class", "area", "composite", "clips"], runs[0].heads[head].classes
    composites = groups.composites or [""] * len(names)
    by_run = [classes(run.heads[head]) for run in runs]
    rows = [list(row) for row in zip(names, groups.areas, composites, [of["clips"] for of in by_run[0]], strict=True)]
    for run, found in zip(runs, by_run, strict=True):
        prefix = f"{run.name}: " if len(runs) > 1 else ""
        columns += [prefix + name for name in ("correct", "accuracy", "predicted", "f1", "mistaken_for", "mistaken")]
        for row, of in zip(rows, found, strict=True):
            accuracy = f"{of['correct'] / of['clips']:.4f}" if of["clips"] else ""
            f1 = "" if of["f1"] is None else f"{of['f1']:.4f}"
            most = "" if of["mistaken_for"] is None else names[of["mistaken_for"]]
            row += [of["correct"], accuracy, of["predicted"], f1, most, of["mistaken"] or ""]
    return columns, rows


def pair_table(run: Run, head: str) -> tuple[list[str], list[list]]:
    """Columns and rows: the confused pairs of one run."""
    names, ids = run.heads[head].classes, run.arrays["clip_ids"]
    columns = ["first", "second", "clips", "first_as_second", "second_as_first", "clip_ids"]
    rows = [
        [
            *(names[pair["first"]], names[pair["second"]], len(pair["clips"])),
            *(pair["first_as_second"], pair["second_as_first"], "; ".join(ids[pair["clips"]])),
        ]
        for pair in pairs(run.heads[head])
    ]
    return columns, rows


def confusion_table(answers: Answers, of_classes: Sequence[str]) -> tuple[list[str], list[list]]:
    """Columns and rows: `confusion` by the name of each class's group."""
    names, positions = numbered(of_classes)
    matrix = confusion(answers, positions)
    rows = [[name, *row] for name, row in zip(names, matrix.tolist(), strict=True)]
    return ["label \\ predicted", *names], rows


def numbered(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """The different names, sorted, and the position of each given name among them."""
    different = sorted(set(names))
    position = {name: i for i, name in enumerate(different)}
    return different, [position[name] for name in names]


def change_table(first: Run, other: Run, head: str) -> tuple[list[str], list[list]]:
    """Columns and rows: the clips on which two runs differ."""
    one, two = first.heads[head], other.heads[head]
    found, names = changes(one, two), one.classes
    columns = ["clip_id", "change", "label", first.name, other.name]
    words = {"lost": "right -> wrong", "gained": "wrong -> right", "moved": "wrong -> wrong"}
    rows = []
    for kind, what in words.items():
        for clip in found[kind]:
            answered = [names[of.predicted[clip]] for of in (one, two)]
            rows.append([first.arrays["clip_ids"][clip], what, names[one.labels[clip]], *answered])
    return columns, rows
