"""Accuracies over a test set, each with the standard error of a set of this size.

Every HAA500 figure in the paper is k/n with n = 1500 (or 153, 636, 246, 465: one area), and is printed as such here.
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

    A tie counts against the label, so a constant prediction is never correct by chance.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    others_at_least = (logits >= own).sum(axis=1) - 1
    return others_at_least < k


def mean_class_accuracy(correct: np.ndarray, labels: np.ndarray) -> dict:
    """Mean over the classes present of each class's accuracy, with its standard error.

    The variance of a class's accuracy p over n clips is estimated by p (1 - p) / (n - 1), which is unbiased for any n
    above 1 (p (1 - p) / n is a third too small for 3). It cannot be estimated from one clip: if a class has only one,
    the standard error is None.
    """
    accuracies, variances = [], []
    for label in np.unique(labels):
        own = correct[labels == label]
        p = float(own.mean())
        accuracies.append(p)
        variances.append(p * (1 - p) / (len(own) - 1) if len(own) > 1 else None)
    classes = len(accuracies)
    error = None if None in variances else math.sqrt(sum(variances)) / classes
    return {"value": float(np.mean(accuracies)), "classes": classes, "standard_error": error}


def classification(logits: np.ndarray, labels: np.ndarray, areas: np.ndarray, area_names: list[str]) -> dict:
    """All figures of one head.

    Args:
      logits: float (N, classes).
      labels: int (N,).
      areas: int (N,), position in `area_names` of each clip's area.

    Returns:
      {"top1", "top3", "top5", "mean_class", "area": {name: ...}}; see `accuracy`. Top-k is left out
      for k classes or fewer, where it would always be 100 %, except for top-1.
    """
    shown = [k for k in TOP if k == 1 or k < logits.shape[1]]
    results = {f"top{k}": accuracy(top_k(logits, labels, k)) for k in shown}
    best = top_k(logits, labels, 1)
    results["mean_class"] = mean_class_accuracy(best, labels)
    results["area"] = {name: accuracy(best[areas == i]) for i, name in enumerate(area_names) if (areas == i).any()}
    return results


def describe(results: dict) -> str:
    """The figures of one head as lines of text."""

    def line(name: str, figure: dict) -> str:
        percent, error = 100 * figure["value"], figure["standard_error"]
        error = "not known" if error is None else f"{100 * error:.2f}"
        what = f"{figure['correct']}/{figure['count']}" if "correct" in figure else f"{figure['classes']} classes"
        return f"  {name:22} {percent:6.2f} % +- {error}  ({what})"

    lines = [line(name, figure) for name, figure in results.items() if name != "area"]
    return "\n".join(lines + [line(name, figure) for name, figure in results["area"].items()])
