"""Accuracies over a test set, each with the error that a set of this size carries.

Every HAA500 figure in the paper is k/n with n = 1500 (or 153, 636, 246, 465: one area): print the same.
"""

import math

import numpy as np

TOP = (1, 3, 5)


def accuracy(correct: np.ndarray) -> dict:
    """k of n correct with the binomial standard error, from a boolean array of any length above 0."""
    k, n = int(correct.sum()), len(correct)
    value = k / n
    return {"correct": k, "count": n, "value": value, "standard_error": math.sqrt(value * (1 - value) / n)}


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """True where the label is among the k highest logits: bool (N,).

    A tie counts against the label, so a constant prediction is never right by luck.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    others_at_least = (logits >= own).sum(axis=1) - 1
    return others_at_least < k


def mean_class_accuracy(correct: np.ndarray, labels: np.ndarray) -> dict:
    """Mean over the classes present of each class's accuracy, with its standard error."""
    values, errors = [], []
    for label in np.unique(labels):
        own = accuracy(correct[labels == label])
        values.append(own["value"])
        errors.append(own["standard_error"])
    classes = len(values)
    return {
        "value": float(np.mean(values)),
        "classes": classes,
        "standard_error": float(np.sqrt(np.sum(np.square(errors)))) / classes,
    }


def classification(logits: np.ndarray, labels: np.ndarray, areas: np.ndarray, area_names: list[str]) -> dict:
    """All figures of one head.

    Args:
      logits: float (N, classes).
      labels: int (N,).
      areas: int (N,), position in `area_names` of each clip's area.

    Returns:
      {"top1", "top3", "top5", "mean_class", "area": {name: ...}}; see `accuracy`.
    """
    results = {f"top{k}": accuracy(top_k(logits, labels, k)) for k in TOP}
    best = top_k(logits, labels, 1)
    results["mean_class"] = mean_class_accuracy(best, labels)
    results["area"] = {name: accuracy(best[areas == i]) for i, name in enumerate(area_names) if (areas == i).any()}
    return results


def describe(results: dict) -> str:
    """The figures of one head as lines of text."""

    def line(name: str, figure: dict) -> str:
        percent, error = 100 * figure["value"], 100 * figure["standard_error"]
        what = f"{figure['correct']}/{figure['count']}" if "correct" in figure else f"{figure['classes']} classes"
        return f"  {name:22} {percent:6.2f} % +- {error:.2f}  ({what})"

    lines = [line(name, figure) for name, figure in results.items() if name != "area"]
    return "\n".join(lines + [line(name, figure) for name, figure in results["area"].items()])
