"""The files of an evaluation: what a network predicts for every clip, and how often it is right.

predictions.npz    the logits of every head with the labels, without pickled objects: `clip_ids` (N,), `areas` (N,)
                   and, for each head, `<head>_logits` float32 (N, classes), `<head>_labels` int32 (N,) and
                   `<head>_classes` (classes,). For clips of several classes: no `areas`, `<head>_labels` multi-hot int8
                   (N, classes), and `<head>_threshold` (), of the sigmoid of a predicted class
predictions.csv    the same by name, one line a clip, for a spreadsheet; see `table`
metrics.json       the accuracies; see `score`
"""

import csv
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable

import numpy as np
from etils import epath

from haa_jax import averaging, label_kinds, metrics
from haa_jax.errors import UserError
from haa_jax.runtime.files import atomic_write

PREDICTIONS_FILE = "predictions.npz"
TABLE_FILE = "predictions.csv"
METRICS_FILE = "metrics.json"
NOT_OF_CLIPS = ("_classes", "_threshold")  # ends of the names of arrays that are not one row a clip
Run = dict[str, np.ndarray]  # the arrays of a predictions file

# What NumPy and zipfile raise for a file that is damaged or of another format.
_DAMAGE = (
    *(OSError, EOFError, TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


class EvaluationError(UserError, RuntimeError):
    """Predictions that cannot be scored."""


def write(folder: epath.PathLike, run: Run, results: dict) -> None:
    """Writes the three files to a folder, each atomically."""
    folder = epath.Path(folder)
    with atomic_write(folder / PREDICTIONS_FILE) as file:
        np.savez(file, **run)
    write_csv(folder / TABLE_FILE, *table(run))
    with atomic_write(folder / METRICS_FILE) as file:
        file.write(json.dumps(results, indent=2).encode())


def write_csv(path: epath.PathLike, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Writes a table as UTF-8 CSV, atomically."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(out.getvalue().encode())


def table(run: Run) -> tuple[list[str], list[list]]:
    """The columns and rows of predictions.csv: `clip_id`, `area` if it is known, and the columns of each head.

    <head>_label: the name of the clip's class.
    <head>_predicted: the name of the class with the highest logit (see `ranked` for ties).
    <head>_correct: 1 or 0, so that the column's mean is the top-1 accuracy.
    <head>_score: the softmax of the predicted class, 0 to 1.
    <head>_label_score: the softmax of the label.
    <head>_rank: the place of the label among the classes: 1 if correct, at most 5 where top-5 counts it.

    Of clips of several classes, lists in one cell are separated by "; ":

    <head>_labels: the names of the clip's classes.
    <head>_predicted: the names of the classes whose sigmoid is above the threshold, the highest first.
    <head>_scores: their sigmoids, 0 to 1.
    <head>_iou: intersection over union of the two sets, whose mean is the mean IOU.
    """
    columns, lists = ["clip_id"], [run["clip_ids"].tolist()]
    if "areas" in run:
        columns, lists = [*columns, "area"], [*lists, run["areas"].tolist()]
    for head in heads(run):
        found = _sets_columns(run, head) if is_multi_label(run, head) else _label_columns(run, head)
        columns += [f"{head}_{name}" for name in found]
        lists += found.values()
    return columns, [list(row) for row in zip(*lists, strict=True)]


def _label_columns(run: Run, head: str) -> dict[str, list]:
    names, labels = run[f"{head}_classes"], run[f"{head}_labels"]
    order, scores = ranked(run[f"{head}_logits"], labels), averaging.softmax(run[f"{head}_logits"])
    rank = 1 + (order == labels[:, None]).argmax(axis=1)
    return {
        "label": names[labels].tolist(),
        "predicted": names[order[:, 0]].tolist(),
        "correct": (rank == 1).astype(int).tolist(),
        "score": [f"{score:.4f}" for score in np.take_along_axis(scores, order[:, :1], axis=1)[:, 0]],
        "label_score": [f"{score:.4f}" for score in np.take_along_axis(scores, labels[:, None], axis=1)[:, 0]],
        "rank": rank.tolist(),
    }


def _sets_columns(run: Run, head: str) -> dict[str, list]:
    names, labels, threshold = (run[f"{head}_{what}"] for what in ("classes", "labels", "threshold"))
    scores = averaging.sigmoid(run[f"{head}_logits"])
    predicted = [[i for i in np.argsort(-own, kind="stable") if own[i] > threshold] for own in scores]
    ious = metrics.intersection_over_union(run[f"{head}_logits"], labels, threshold)
    return {
        "labels": ["; ".join(names[own > 0]) for own in labels],
        "predicted": ["; ".join(names[own]) if own else "" for own in predicted],
        "scores": ["; ".join(f"{x:.4f}" for x in row[own]) for own, row in zip(predicted, scores, strict=True)],
        "iou": [f"{iou:.4f}" for iou in ious],
    }


def ranked(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The classes of each clip from the highest logit to the lowest: int (N, classes).

    As in `metrics.top_k`, a tie counts against the label, so that the first class is the label where top-1 is correct
    and only there.
    """
    is_label = np.arange(logits.shape[1]) == labels[:, None]
    return np.lexsort((is_label, -logits), axis=1)


def read(path: epath.PathLike) -> Run:
    """The arrays of a predictions file.

    Raises:
      EvaluationError: lists everything that is wrong with the file.
    """
    path = epath.Path(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            run = dict(arrays)
    except FileNotFoundError as error:
        raise EvaluationError(f"{path} is missing") from error
    except _DAMAGE as error:
        raise EvaluationError(f"{path} is not a predictions file: {error}") from error
    problems = _problems(run)
    if problems:
        raise EvaluationError("\n".join(f"{path}: {problem}" for problem in problems))
    return run


def align(first: Run, run: Run, path: epath.PathLike) -> Run:
    """`run` with its clips in the order of `first`.

    Raises:
      EvaluationError: lists the heads, classes, clips, labels, areas and thresholds in which the two differ.
    """
    problems = []
    if set(heads(first)) != set(heads(run)):
        problems.append(f"heads differ: {heads(run)} here, {heads(first)} in the first file")
    problems += [
        f"{key} differ: {_difference(first[key], run[key])}"
        for key in first.keys() & run.keys()
        if key.endswith("_classes") and not np.array_equal(first[key], run[key])
    ]
    if set(first["clip_ids"]) != set(run["clip_ids"]):
        problems.append(f"clips differ: {_difference(first['clip_ids'], run['clip_ids'])}")
    else:
        row = {clip: i for i, clip in enumerate(run["clip_ids"])}
        order = np.array([row[clip] for clip in first["clip_ids"]])
        run = {key: array if key.endswith(NOT_OF_CLIPS) else array[order] for key, array in run.items()}
        for key in sorted(first.keys() & run.keys()):
            if first[key].ndim != run[key].ndim:
                problems.append(f"{key} are of one class a clip in one file, and of several in the other")
            elif key == "areas" or key.endswith("_labels"):
                different = (first[key] != run[key]).reshape(len(order), -1).any(axis=1)
                wrong = first["clip_ids"][different]
                problems += [f"{key} differ for {some(wrong)}"] if len(wrong) else []
            elif key.endswith("_threshold") and first[key] != run[key]:
                problems.append(f"{key} is {run[key]:g} here, {first[key]:g} in the first file")
    if problems:
        raise EvaluationError("\n".join(f"{path}: {problem}" for problem in problems))
    return run


def score(run: Run, split: str, evaluated: str) -> dict:
    """{"split", "evaluated_head", "heads": {name: as in `metrics.classification` or `metrics.several_labels`}}."""
    return {"split": split, "evaluated_head": evaluated, "heads": {name: _figures(run, name) for name in heads(run)}}


def _figures(run: Run, head: str) -> dict:
    logits, labels = run[f"{head}_logits"], run[f"{head}_labels"]
    if is_multi_label(run, head):
        return metrics.several_labels(logits, labels, float(run[f"{head}_threshold"]))
    area_names, areas = np.unique(run["areas"], return_inverse=True)
    return metrics.classification(logits, labels, areas, area_names.tolist())


def best_figure(results: dict) -> tuple[str, dict]:
    """The figure of the evaluated head that counts, and its name."""
    figures = results["heads"][results["evaluated_head"]]
    name = next(kind.best for kind in (label_kinds.ONE, label_kinds.SEVERAL) if kind.best in figures)
    return name, figures[name]


def is_multi_label(run: Run, head: str) -> bool:
    """Whether clips have several classes in a head."""
    return run[f"{head}_labels"].ndim == 2


def read_all(paths: list[epath.Path]) -> tuple[list[Run], list[dict]]:
    """The runs of several predictions files on the same clips, in the order of the first, and their `read_results`.

    Raises:
      EvaluationError: lists every file that is unreadable, or differs from the first, and how.
    """
    runs = map_with_all_errors(read, paths)
    results = map_with_all_errors(read_results, paths, runs)
    splits = [result["split"] for result in results]
    if len(set(splits)) > 1:
        named = ", ".join(f"{path} ({split})" for path, split in zip(paths, splits, strict=True))
        raise EvaluationError(f"the files are of different splits: {named}")
    return [runs[0], *map_with_all_errors(align, [runs[0]] * (len(runs) - 1), runs[1:], paths[1:])], results


def read_results(path: epath.PathLike, run: Run) -> dict:
    """What the metrics.json next to a predictions file holds.

    Raises:
      EvaluationError: it is missing, or does not name the split or the evaluated head of these predictions.
    """
    path = epath.Path(path)
    neighbor = path.parent / METRICS_FILE
    try:
        results = json.loads(neighbor.read_text())
        results["split"], head = results["split"], results.get("evaluated_head")
    except FileNotFoundError as error:
        raise EvaluationError(f"{neighbor}, which names the split of {path.name}, is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{neighbor} does not name the split of {path.name}") from error
    if head not in heads(run):
        raise EvaluationError(f"{neighbor} has evaluated_head={head!r}; the heads in {path} are {some(heads(run))}")
    return results


def describe(results: dict) -> str:
    """The accuracies as text, the evaluated head last."""
    evaluated = results["evaluated_head"]
    names = sorted(results["heads"], key=lambda name: name == evaluated)
    return "\n".join(f"{results['split']}, {name} head:\n{metrics.describe(results['heads'][name])}" for name in names)


def heads(run: Run) -> list[str]:
    """The names of the heads."""
    return [key.removesuffix("_logits") for key in run if key.endswith("_logits")]


def map_with_all_errors(function: Callable, *columns) -> list:
    """[function(*row) for each row of the columns]; raises all their EvaluationErrors as one."""
    results, problems = [], []
    for row in zip(*columns, strict=True):
        try:
            results.append(function(*row))
        except EvaluationError as error:
            problems.append(str(error))
    if problems:
        raise EvaluationError("\n".join(problems))
    return results


def some(names) -> str:
    """The first ten names, and how many more there are."""
    listed = ", ".join(map(str, names[:10]))
    return f"{listed} and {len(names) - 10} more" if len(names) > 10 else listed


def _problems(run: Run) -> list[str]:
    """What is wrong with the arrays of one file, one line each; [] if nothing is."""
    names = heads(run)
    several = any(run.get(f"{head}_labels", np.empty(0)).ndim == 2 for head in names)
    each = ("logits", "labels", "classes", *(("threshold",) if several else ()))
    common = ("clip_ids",) if several else ("clip_ids", "areas")
    if not names or {*common, *(f"{head}_{what}" for head in names for what in each)} != run.keys():
        wanted = "clip_ids, areas and the logits, labels and classes of each head"
        return [f"it holds {some(sorted(run))}, not {wanted}"]
    count, problems = run["clip_ids"].size, []
    if count == 0 or len(set(run["clip_ids"].flat)) != count:
        problems.append(f"of its {count} clips, {len(set(run['clip_ids'].flat))} are different")
    for head in names:
        logits, labels = run[f"{head}_logits"], run[f"{head}_labels"]
        classes = run[f"{head}_classes"].size
        keys = (*common, f"{head}_labels", f"{head}_logits")
        shapes = [run[key].shape for key in keys]
        if shapes != [*[(count,)] * len(common), (count, classes) if several else (count,), (count, classes)]:
            problems.append(f"{', '.join(keys[:-1])} and {keys[-1]} have shapes {some(shapes)}")
        elif logits.dtype.kind != "f" or labels.dtype.kind not in "iu":
            problems.append(f"{head}_logits and {head}_labels have dtypes {logits.dtype} and {labels.dtype}")
        elif (bad := ~np.isfinite(logits).all(axis=1)).any():
            problems.append(f"{head}_logits are not finite for {some(run['clip_ids'][bad])}")
        elif several:
            problems += _set_problems(run, head)
        elif (bad := (labels < 0) | (labels >= classes)).any():
            problems.append(f"{head}_labels are not among the {classes} classes for {some(run['clip_ids'][bad])}")
    return problems


def _set_problems(run: Run, head: str) -> list[str]:
    """As `_problems`, of labels that are multi-hot, and their threshold."""
    labels, threshold = run[f"{head}_labels"], run[f"{head}_threshold"]
    problems = []
    if (bad := ~np.isin(labels, (0, 1)).all(axis=1)).any():
        problems.append(f"{head}_labels are not 0 or 1 for {some(run['clip_ids'][bad])}")
    elif (bad := ~labels.any(axis=1)).any():
        problems.append(f"{head}_labels have no class for {some(run['clip_ids'][bad])}")
    if threshold.shape or threshold.dtype.kind != "f" or not 0 <= threshold < 1:
        problems.append(f"{head}_threshold is {threshold}, not a number from 0 to below 1")
    return problems


def _difference(first: np.ndarray, other: np.ndarray) -> str:
    """The names that only one of two lists has."""
    missing, surplus = sorted(set(first) - set(other)), sorted(set(other) - set(first))
    listed = [f"{len(missing)} missing here ({some(missing)})"] if missing else []
    listed += [f"{len(surplus)} not in the first file ({some(surplus)})"] if surplus else []
    return "; ".join(listed) or "the same in another order"
