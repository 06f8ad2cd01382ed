"""Accuracies on a test set, each with its standard error; and the figures of clips of several classes.

Every HAA500 figure in the paper is k/n with n = 1500 (or 153, 636, 246, 465 for one area), so k and n are reported too.
"""

import math

import numpy as np

from haa_jax import averaging

TOP = (1, 3, 5)


def accuracy(correct: np.ndarray) -> dict:
    """k of n correct with the binomial standard error, from a boolean array of length n above 0."""
    k, n = int(correct.sum()), len(correct)
    value = k / n
    return {"correct": k, "count": n, "value": value, "standard_error": math.sqrt(value * (1 - value) / n)}


def top_k(logits: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """True where the label is among the k highest logits: bool (N,).

    A tie counts against the label, so that a constant prediction is never correct by chance.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    others_at_least = (logits >= own).sum(axis=1) - 1
    return others_at_least < k


def mean_class_accuracy(correct: np.ndarray, labels: np.ndarray) -> dict:
    """Mean of the accuracies of all classes that occur, with its standard error.

    The variance of a class's accuracy p over n clips is estimated by p (1 - p) / (n - 1), which is unbiased for any n
    (p (1 - p) / n is a third too small for 3). It cannot be estimated from one clip: if a class has only one, the
    standard error is None.
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
      areas: int (N,), each clip's area as a position in `area_names`.

    Returns:
      {"top1", "top3", "top5", "mean_class", "area": {name: ...}}; see `accuracy`. Except for top-1, top-k is left out
      if there are k classes or fewer, of which it would always be 100 %.
    """
    shown = [k for k in TOP if k == 1 or k < logits.shape[1]]
    results = {f"top{k}": accuracy(top_k(logits, labels, k)) for k in shown}
    best = top_k(logits, labels, 1)
    results["mean_class"] = mean_class_accuracy(best, labels)
    results["area"] = {name: accuracy(best[areas == i]) for i, name in enumerate(area_names) if (areas == i).any()}
    return results


def intersection_over_union(logits: np.ndarray, labels: np.ndarray, threshold: float) -> np.ndarray:
    """For each clip, how many classes are both predicted and its own, of those that are either: float64 (N,).

    Predicted are the classes whose sigmoid is above the threshold. A clip that has no class and for which none is
    predicted has 1: nothing about it is wrong. (In the data sets of this project, every clip has a class.)

    Args:
      logits: float (N, classes).
      labels: multi-hot (N, classes), with a class at least for one of the clips.
      threshold: 0 to 1.
    """
    predicted, own = averaging.sigmoid(logits) > threshold, labels > 0
    either = (predicted | own).sum(axis=1)
    return np.where(either > 0, (predicted & own).sum(axis=1) / np.maximum(either, 1), 1.0)


def average_precisions(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The average precision of each class over all clips (scikit-learn's): float64 (classes,), NaN without positives.

    Arguments as of `intersection_over_union`.
    """
    from sklearn.metrics import average_precision_score

    pairs = zip(labels.T, logits.T, strict=True)
    return np.array([average_precision_score(own, scores) if own.any() else np.nan for own, scores in pairs])


def several_labels(logits: np.ndarray, labels: np.ndarray, threshold: float) -> dict:
    """All figures of one head of clips of several classes. Arguments as of `intersection_over_union`.

    Returns:
      {"mean_iou", "mean_average_precision"}. The paper's Table 11 has "mIOU" for AVA and does not define it; here it is
      the mean over the clips, with the threshold that it was measured at. The mean average precision is over the
      classes that any clip has; "left_out" counts the others. Its standard error is not estimated: None.
    """
    each, precisions = intersection_over_union(logits, labels, threshold), average_precisions(logits, labels)
    error = float(each.std(ddof=1) / math.sqrt(len(each))) if len(each) > 1 else None
    there = precisions[~np.isnan(precisions)]
    return {
        "mean_iou": {
            "value": float(each.mean()),
            "count": len(each),
            "threshold": float(threshold),
            "standard_error": error,
        },
        "mean_average_precision": {
            "value": float(there.mean()),
            "classes": len(there),
            "left_out": len(precisions) - len(there),
            "standard_error": None,
        },
    }


def counted(figure: dict) -> str:
    """What a figure was counted over: "3/4", "80 classes", ..."""
    if "correct" in figure:
        return f"{figure['correct']}/{figure['count']}"
    if "threshold" in figure:
        return f"{figure['count']} clips, sigmoid above {figure['threshold']:g}"
    left_out = figure.get("left_out", 0)
    return f"{figure['classes']} classes" + (f", {left_out} without clips left out" if left_out else "")


def value(figure: dict, width: int = 0) -> str:
    """A figure, right-aligned in `width` characters, with its standard error: "75.00 % +- 21.65"."""
    percent, error = f"{100 * figure['value']:.2f}", figure["standard_error"]
    return f"{percent:>{width}} % +- {'not known' if error is None else f'{100 * error:.2f}'}"


def describe(results: dict) -> str:
    """The figures of one head as lines of text."""

    def line(name: str, figure: dict) -> str:
        return f"  {name:22} {value(figure, width=6)}  ({counted(figure)})"

    lines = [line(name, figure) for name, figure in results.items() if name != "area"]
    return "\n".join(lines + [line(name, figure) for name, figure in results.get("area", {}).items()])
