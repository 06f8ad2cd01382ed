"""Views of every clip -> one prediction a clip -> accuracies and a file of predictions."""

import contextlib
import functools
import json
import logging
import secrets
import time

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils

from haa_jax import metrics
from haa_jax.data import pipeline
from haa_jax.experiment import Experiment
from haa_jax.learning import steps
from haa_jax.runtime import hosts, mesh
from haa_jax.runtime.progress import clock

log = logging.getLogger(__name__)

PREDICTIONS_FILE = "predictions.npz"
METRICS_FILE = "metrics.json"


class EvaluationError(RuntimeError):
    """Predictions that cannot be scored."""


def predict(experiment: Experiment, variables, split_name: str, stop=None, views=None) -> dict[str, np.ndarray]:
    """Logits of every clip of a split: head name -> float32 (clips, classes), in the split's order.

    Args:
      variables: {"params", "batch_stats"}.
      stop: called between batches; may raise to leave early.
      views: `pipeline.Views` of each clip, averaged as `config.eval.average` says; None for those of the test.

    Raises:
      EvaluationError: a logit is not finite; names the clips.
    """
    average = steps.AVERAGES[experiment.config.eval.average]
    views = views or experiment.test_views
    logits = run_split(experiment, experiment.eval_step, variables, split_name, average, views, stop)
    for name, values in logits.items():
        check_finite(experiment, split_name, values, f"{name} logits")
    return logits


def run_split(
    experiment: Experiment, step, variables, split_name: str, average, views: pipeline.Views, stop=None
) -> dict[str, np.ndarray]:
    """What a compiled step says of every clip of a split: name -> (clips, size), in the split's order.

    Views stream through host and devices, `config.eval.batch_size` on each device at once: memory does not grow with
    the number of views or of clips.

    Args:
      step: (variables, batch) to {name: (rows, size)}, a row a view, such as `experiment.eval_step`.
      average: (views, size) and an axis to what the views say together, such as one of `steps.AVERAGES`.
      stop: as for `predict`.
    """
    exp, split = experiment, experiment.splits[split_name]
    batches = pipeline.eval_batches(split, exp.test_data, views, exp.eval_batch_size, exp.shard)
    num_views = pipeline.num_views(split.index.num_frames, exp.test_data, views)
    total = pipeline.num_eval_batches(num_views, exp.eval_batch_size, exp.shard)
    clips = ClipOutputs(num_views, average)
    started = last_line = time.monotonic()
    with contextlib.closing(batches):
        for number, batch in enumerate(batches, start=1):
            if stop:
                stop()
            clips.add(*_run(step, variables, batch, exp.mesh))
            del batch  # or two would lie in memory while the next one is made
            if time.monotonic() - last_line > exp.config.log_every_seconds:
                last_line = time.monotonic()
                _report(split_name, number, total, len(split), last_line - started)
    return clips.averaged


def _run(step, variables, batch: dict, device_mesh) -> tuple:
    """A batch's outputs by name, and the clip, view and mask of each of their rows; all rows, in all processes.

    Rows travel with their clip number, since the order of rows over hosts depends on the mesh.
    """
    placed = mesh.to_global(batch, device_mesh)
    outputs = step(variables, {"clips": placed["clips"]})
    with hosts.waiting("outputs of all gathered"):
        rows = (outputs, placed["index"], placed["view"], placed["mask"])
        return multihost_utils.process_allgather(rows, tiled=True)


def _report(split_name: str, number: int, total: int, clips: int, seconds: float) -> None:
    rate, left = clips * number / total / seconds, clock((total - number) * seconds / number)
    log.info("%s: %d of %d batches, %.1f clips/s, %s left", split_name, number, total, rate, left)


class ClipOutputs:
    """Outputs of views, averaged for each clip as soon as its last view is there.

    Args:
      num_views: int (clips,): how many views each clip has.
      average: (views, size) and an axis to what the views say together.

    Attributes:
      averaged: name -> (clips, size); NaN for clips whose views are not all there.
    """

    def __init__(self, num_views: np.ndarray, average):
        self._num_views, self._average = num_views, jax.jit(functools.partial(average, axis=0))
        self._open: dict[int, dict] = {}  # clip -> what its views so far say
        self.averaged: dict[str, np.ndarray] = {}

    def add(self, outputs: dict, index: np.ndarray, view: np.ndarray, mask: np.ndarray) -> None:
        """Takes rows in any order: outputs name -> (rows, size), the clip and the view of each; padding is dropped."""
        if not self.averaged:
            clips = len(self._num_views)
            self.averaged = {name: np.full((clips, x.shape[1]), np.nan, x.dtype) for name, x in outputs.items()}
        for row in np.flatnonzero(mask):
            clip = int(index[row])
            seen = self._open.setdefault(clip, {})
            seen[int(view[row])] = {name: values[row] for name, values in outputs.items()}
            if len(seen) == self._num_views[clip]:
                self._close(clip)

    def _close(self, clip: int) -> None:
        seen = self._open.pop(clip)
        for name, values in self.averaged.items():
            values[clip] = self._average(np.stack([seen[view][name] for view in sorted(seen)]))


def check_finite(experiment: Experiment, split_name: str, values: np.ndarray, what: str) -> None:
    """Raises EvaluationError naming the clips where a row of `values` (clips, size) is not finite."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        clips = ", ".join(experiment.splits[split_name].index.clip_id[i] for i in bad[:20])
        raise EvaluationError(f"{split_name}: the {what} of {len(bad)} clips are not finite: {clips}")


def score(experiment: Experiment, logits: dict[str, np.ndarray], split_name: str) -> dict:
    """Accuracies of each head on a split (see `metrics.classification`), the evaluated one named."""
    split = experiment.splits[split_name]
    areas = experiment.taxonomy.area_names
    heads = {
        name: metrics.classification(values, split.labels[name], split.index.area, areas)
        for name, values in logits.items()
    }
    return {"split": split_name, "evaluated_head": experiment.objective.evaluated, "heads": heads}


def write_results(workdir: epath.PathLike, experiment: Experiment, logits: dict, results: dict) -> None:
    """Writes `predictions.npz` and `metrics.json`; a reader never sees half of one.

    The predictions file holds, without pickled objects, `clip_ids` (N,), `areas` (N,), and for each head
    `<head>_logits` float32 (N, classes), `<head>_labels` int32 (N,) and `<head>_classes` (classes,).
    """
    split = experiment.splits[results["split"]]
    areas = np.array(experiment.taxonomy.area_names)[split.index.area]
    arrays = {"clip_ids": np.array(split.index.clip_id), "areas": areas}
    for head in experiment.heads:
        arrays[f"{head.name}_logits"] = logits[head.name]
        arrays[f"{head.name}_labels"] = split.labels[head.name]
        arrays[f"{head.name}_classes"] = np.array(head.classes)
    write_files(workdir, arrays, results)


def write_files(workdir: epath.PathLike, arrays: dict[str, np.ndarray], results: dict) -> None:
    """Writes `predictions.npz` and `metrics.json`, each in one stroke."""
    workdir = epath.Path(workdir)
    with replacing(workdir / PREDICTIONS_FILE) as file:
        np.savez(file, **arrays)
    with replacing(workdir / METRICS_FILE) as file:
        file.write(json.dumps(results, indent=2).encode())


class replacing:  # noqa: N801  used as a function
    """Opens a temporary neighbor of a file for writing and puts it in the file's place when all went well.

    The neighbor has a name of its own each time: a training and an evaluation may write the same file at once.
    """

    def __init__(self, path: epath.Path):
        self._path = path
        self._temporary = path.parent / f"{path.name}.{secrets.token_hex(4)}.tmp"

    def __enter__(self):
        self._file = self._temporary.open("wb")
        return self._file

    def __exit__(self, kind, *_):
        self._file.close()
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink()


def describe(results: dict) -> str:
    """The accuracies as text, the evaluated head last."""
    evaluated = results["evaluated_head"]
    names = sorted(results["heads"], key=lambda name: name == evaluated)
    return "\n".join(f"{results['split']}, {name} head:\n{metrics.describe(results['heads'][name])}" for name in names)
