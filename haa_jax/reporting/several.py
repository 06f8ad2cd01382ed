"""What a report counts and shows of clips of several classes: per class, and clip by clip."""

from collections.abc import Sequence

import numpy as np

from haa_jax.reporting.runs import Run, Sets

TOP = 8  # classes that are shown of each clip, besides its own


def classes(answers: Sets) -> list[dict]:
    """For each class of a head, in its order:

    clips: how many have it.
    predicted: for how many it is predicted, rightly or wrongly.
    correct: for how many rightly.
    average_precision: 0 to 1; None without clips.
    precision, recall, f1: at the threshold, 0 to 1; None where nothing is predicted, without clips, or without both.
    """
    rows = []
    for own, predicted, found in zip(answers.labels.T, answers.predicted.T, answers.precisions, strict=True):
        clips, given, correct = int(own.sum()), int(predicted.sum()), int((own & predicted).sum())
        rows.append(
            {
                "clips": clips,
                "predicted": given,
                "correct": correct,
                "average_precision": None if np.isnan(found) else float(found),
                "precision": correct / given if given else None,
                "recall": correct / clips if clips else None,
                "f1": 2 * correct / (clips + given) if clips + given else None,
            }
        )
    return rows


def class_table(runs: Sequence[Run], head: str) -> tuple[list[str], list[list]]:
    """Columns and rows: the classes of a head, with `classes` of every run."""
    by_run = [classes(run.heads[head]) for run in runs]
    columns = ["class", "clips"]
    rows = [[name, of["clips"]] for name, of in zip(runs[0].heads[head].classes, by_run[0], strict=True)]
    for run, found in zip(runs, by_run, strict=True):
        prefix = f"{run.name}: " if len(runs) > 1 else ""
        figures = ("average_precision", "precision", "recall", "f1")
        columns += [prefix + name for name in ("predicted", "correct", *figures)]
        for row, of in zip(rows, found, strict=True):
            row += [of["predicted"], of["correct"]]
            row += ["" if of[name] is None else f"{of[name]:.4f}" for name in figures]
    return columns, rows


def shown_clips(runs: Sequence[Run]) -> list[int]:
    """The clips that deserve a thumbnail: in turns, those with the lowest and the highest IOU of each run. Then all."""
    queues = []
    for run in runs:
        order = by_iou(run.heads[run.evaluated])
        queues += [order, order[::-1]]
    return [clip for turn in zip(*queues, strict=True) for clip in turn]


def by_iou(answers: Sets) -> list[int]:
    """The positions of the clips, the lowest IOU first."""
    return np.argsort(answers.iou, kind="stable").tolist()


def head(answers: Sets) -> dict:
    """What the page shows of a head, whatever the run, in types of JSON."""
    return {"classes": list(answers.classes), "labels": _positions(answers.labels)}


def answers(found: Sets) -> dict:
    """What the page shows of a head of a run, in types of JSON; "top" are classes and "scores" thousandths."""
    order = np.argsort(-found.scores, axis=1, kind="stable")
    shown = [row[(np.arange(len(row)) < TOP) | labels[row]] for row, labels in zip(order, found.labels, strict=True)]
    return {
        "classes": classes(found),
        "predicted": _positions(found.predicted),
        "top": [row.tolist() for row in shown],
        "scores": [thousandths(scores[row]) for row, scores in zip(shown, found.scores, strict=True)],
        "iou": thousandths(found.iou),
        "by_iou": by_iou(found),
    }


def thousandths(scores: np.ndarray) -> list:
    """Rounded, since 1,500 clips have many."""
    return (1000 * scores).round().astype(int).tolist()


def _positions(sets: np.ndarray) -> list[list[int]]:
    """The positions that are True in each row."""
    return [np.flatnonzero(row).tolist() for row in sets]
