"""Views of every clip -> one prediction a clip -> accuracies and a file of predictions."""

import json
import logging
import secrets
import time

import numpy as np
from etils import epath
from jax.experimental import multihost_utils

from haa_jax import hosts, mesh, metrics, objectives
from haa_jax.data import pipeline
from haa_jax.experiment import Experiment
from haa_jax.progress import clock

log = logging.getLogger(__name__)

PREDICTIONS_FILE = "predictions.npz"
METRICS_FILE = "metrics.json"


class EvaluationError(RuntimeError):
    """Predictions that cannot be scored."""


def predict(experiment: Experiment, variables, split_name: str, stop=None) -> dict[str, np.ndarray]:
    """Logits of every clip of a split: head name -> float32 (clips, classes), in the split's order.

    Args:
      variables: {"params", "batch_stats"}.
      stop: called between batches; may raise to leave early.

    Raises:
      EvaluationError: a logit is not finite; names the clips.
    """
    logits = run_split(experiment, experiment.eval_step, variables, split_name, stop)
    for name, values in logits.items():
        check_finite(experiment, split_name, values, f"{name} logits")
    return logits


def run_split(experiment: Experiment, step, variables, split_name: str, stop=None) -> dict[str, np.ndarray]:
    """What a compiled step says of every clip of a split: name -> (clips, size), in the split's order.

    Args:
      step: (variables, batch) to {name: (rows, size)}, such as `experiment.eval_step`.
      stop: as for `predict`.
    """
    exp, split = experiment, experiment.splits[split_name]
    config = exp.config
    batches = pipeline.eval_batches(split, exp.test_data, config.eval, config.eval.batch_size, exp.share)
    total = -(-len(split) // config.eval.batch_size)
    everything = {}
    started = last_line = time.monotonic()
    for number, batch in enumerate(batches, start=1):
        if stop:
            stop()
        placed = mesh.to_global({key: batch[key] for key in ("clips", "index", "mask")}, exp.mesh)
        outputs = step(variables, placed)
        if not everything:
            everything = {name: np.full((len(split), x.shape[1]), np.nan, x.dtype) for name, x in outputs.items()}
        _collect(everything, outputs, placed)
        if time.monotonic() - last_line > config.log_every_seconds:
            last_line = time.monotonic()
            rate = number / (last_line - started)
            left = clock((total - number) / rate)
            log.info(
                "%s: %d of %d batches, %.1f clips/s, %s left",
                split_name,
                number,
                total,
                rate * config.eval.batch_size,
                left,
            )
    return everything


def check_finite(experiment: Experiment, split_name: str, values: np.ndarray, what: str) -> None:
    """Raises EvaluationError naming the clips where a row of `values` (clips, size) is not finite."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        clips = ", ".join(experiment.splits[split_name].index.clip_id[i] for i in bad[:20])
        raise EvaluationError(f"{split_name}: the {what} of {len(bad)} clips are not finite: {clips}")


def _collect(everything: dict, outputs: dict, placed: dict) -> None:
    """Writes a batch's outputs to the rows they belong to; padding is dropped.

    Rows travel with their clip number, since the order of rows over hosts depends on the mesh.
    """
    with hosts.waiting("outputs of all gathered"):
        rows = multihost_utils.process_allgather((outputs, placed["index"], placed["mask"]), tiled=True)
    outputs, index, mask = rows
    for name, values in outputs.items():
        everything[name][index[mask]] = values[mask]


def score(experiment: Experiment, logits: dict[str, np.ndarray], split_name: str) -> dict:
    """Accuracies of each head on a split (see `metrics.classification`), the evaluated one named."""
    split = experiment.splits[split_name]
    areas = experiment.taxonomy.area_names
    heads = {
        name: metrics.classification(values, split.labels[name], split.index.area, areas)
        for name, values in logits.items()
    }
    return {"split": split_name, "evaluated_head": objectives.evaluated_head(heads), "heads": heads}


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
    """Opens a temporary neighbour of a file for writing and puts it in the file's place when all went well.

    The neighbour has a name of its own each time: a training and an evaluation may write the same file at once.
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
