"""The runs of a report: the predictions of each on the same clips, and what its workdir knows besides."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from etils import epath

from haa_jax import averaging, metrics, predictions
from haa_jax.errors import UserError
from haa_jax.predictions import PREDICTIONS_FILE
from haa_jax.runtime import checkpoint_reader, paths


class ReportError(UserError, ValueError):
    """A report that cannot be made; the message says what to change."""


@dataclasses.dataclass(frozen=True)
class Answers:
    """What one head of one run answers for N clips.

    Attributes:
      classes: names, in the order of the logits.
      labels: int (N,).
      order: int (N, classes), from the most likely class to the least; see `predictions.ranked`.
      scores: float (N, classes), softmax.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    order: np.ndarray
    scores: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        return self.order[:, 0]

    @property
    def correct(self) -> np.ndarray:
        return self.predicted == self.labels

    @functools.cached_property
    def rank(self) -> np.ndarray:
        """The place of each clip's label, from 1: int (N,)."""
        return 1 + (self.order == self.labels[:, None]).argmax(axis=1)

    def score_of(self, classes: np.ndarray) -> np.ndarray:
        """The softmax of one class for each clip: float (N,)."""
        return np.take_along_axis(self.scores, classes[:, None], axis=1)[:, 0]


@dataclasses.dataclass(frozen=True)
class Sets:
    """What one head of one run answers for N clips of several classes.

    Attributes:
      classes: names, in the order of the logits.
      labels: bool (N, classes).
      predicted: bool (N, classes), the classes whose score is above the threshold.
      scores: float (N, classes), sigmoid.
      precisions: float (classes,), the average precision of each; NaN without clips.
      iou: float (N,), intersection over union of labels and predicted.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    precisions: np.ndarray
    iou: np.ndarray


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a report.

    Attributes:
      name: short, different from those of the other runs.
      file: its predictions.
      arrays: what the file holds (see predictions.py), clips in the order of the report's first run.
      results: what the metrics.json next to it holds.
      workdir: where its checkpoints are; None if there are none.
      meta: of its newest checkpoint; {} without one.
      note: why `meta` is empty; "" if it is not.
    """

    name: str
    file: epath.Path
    arrays: predictions.Run
    results: dict
    workdir: epath.Path | None
    meta: dict
    note: str

    @functools.cached_property
    def heads(self) -> dict[str, Answers] | dict[str, Sets]:
        of_head = _sets if self.multi_label else _answers
        return {head: of_head(self.arrays, head) for head in predictions.heads(self.arrays)}

    @property
    def multi_label(self) -> bool:
        """Whether clips have several classes."""
        return predictions.is_multi_label(self.arrays, self.evaluated)

    @functools.cached_property
    def figures(self) -> dict[str, dict]:
        """The figures of each head (see metrics.py), computed from the predictions."""
        return predictions.score(self.arrays, self.split, self.evaluated)["heads"]

    @property
    def split(self) -> str:
        return self.results["split"]

    @property
    def evaluated(self) -> str:
        return self.results["evaluated_head"]


def open_runs(given: Sequence[str]) -> list[Run]:
    """The runs that a command line names: workdirs, other folders with predictions, or predictions files.

    Raises:
      ReportError: a path has no predictions, or two are the same.
      predictions.EvaluationError: files that are unreadable, or not of the same clips, classes and split.
    """
    files = [_predictions_file(paths.folder(path)) for path in given]
    resolved = [file.resolve() for file in files]
    twice = sorted({str(file) for file in files if resolved.count(file.resolve()) > 1})
    if twice:
        raise ReportError(f"given twice: {', '.join(twice)}")
    runs, results = predictions.read_all(files)
    workdirs = [_workdir(file.parent, result) for file, result in zip(files, results, strict=True)]
    opened = zip(short_names(resolved), files, runs, results, workdirs, map(_meta, workdirs), strict=True)
    return [Run(*of_run, *meta_and_note) for *of_run, meta_and_note in opened]


def _predictions_file(path: epath.Path) -> epath.Path:
    if not path.is_dir():
        return path
    if not (path / PREDICTIONS_FILE).exists():
        inner = sorted(str(found.parent) for found in path.glob(f"*/{PREDICTIONS_FILE}"))
        hint = f"; there are some in {predictions.some(inner)}" if inner else ""
        raise ReportError(
            f"{path} has no {PREDICTIONS_FILE}{hint}; evaluating a run writes them: "
            f"python -m haa_jax.main --config=CONFIG --workdir={path} --mode=eval"
        )
    return path / PREDICTIONS_FILE


def short_names(files: Sequence[epath.Path]) -> list[str]:
    """The shortest ends of the files' folders that differ: runs/a/i3d and runs/b/i3d are a/i3d and b/i3d."""
    folders = [file.parent.parts for file in files]
    for length in range(1, max(map(len, folders)) + 1):
        names = ["/".join(parts[-length:]) for parts in folders]
        if len(set(names)) == len(names):
            return names
    return [str(file) for file in files]  # several files of one folder


def _workdir(folder: epath.Path, results: dict) -> epath.Path | None:
    """The folder with the checkpoints of predictions in `folder`.

    The results of a run that was not finished are in a subfolder of it; those of a fusion are of several workdirs, of
    which the first is taken.
    """
    fused = [epath.Path(file).parent for file in results.get("fusion", {}).get("files", ())]
    for place in (folder, folder.parent, *fused):
        if (place / checkpoint_reader.FOLDER).is_dir():
            return place
    return None


def _meta(workdir: epath.Path | None) -> tuple[dict, str]:
    """The meta of a workdir's newest checkpoint, or {} and the reason why not."""
    if workdir is None:
        return {}, "there are no checkpoints next to its predictions"
    try:
        return checkpoint_reader.read_meta(workdir), ""
    except checkpoint_reader.CheckpointError as error:
        return {}, str(error)


def _sets(arrays: predictions.Run, head: str) -> Sets:
    logits, labels, threshold = (arrays[f"{head}_{what}"] for what in ("logits", "labels", "threshold"))
    scores = averaging.sigmoid(logits)
    return Sets(
        classes=tuple(arrays[f"{head}_classes"].tolist()),
        labels=labels > 0,
        predicted=scores > threshold,
        scores=scores,
        precisions=metrics.average_precisions(logits, labels),
        iou=metrics.intersection_over_union(logits, labels, threshold),
    )


def _answers(arrays: predictions.Run, head: str) -> Answers:
    logits, labels = arrays[f"{head}_logits"], arrays[f"{head}_labels"]
    order, scores = predictions.ranked(logits, labels), averaging.softmax(logits)
    return Answers(tuple(arrays[f"{head}_classes"].tolist()), labels, order, scores)
