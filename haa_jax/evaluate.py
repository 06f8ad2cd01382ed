"""Evaluation: predictions of every view -> one prediction per clip -> accuracies and a file of predictions."""

import contextlib
import logging
import time

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils

from haa_jax import overview, predictions, restore
from haa_jax.averaging import ClipOutputs
from haa_jax.data import pipeline
from haa_jax.experiment import Experiment, create_experiment, total_steps
from haa_jax.learning import steps
from haa_jax.predictions import METRICS_FILE, PREDICTIONS_FILE, TABLE_FILE, EvaluationError
from haa_jax.runtime import hosts, mesh, paths
from haa_jax.runtime.progress import clock

log = logging.getLogger(__name__)


def evaluate_workdir(config, workdir: epath.PathLike) -> dict:
    """Evaluates the split and the checkpoint that `config.eval` names; returns the same as training does.

    May run during a training of this workdir. The results of a run that is not finished go into a subfolder
    `step_<number>`: those in the workdir itself are of finished runs.

    Raises:
      Those of `experiment.create_experiment`, `restore.restore_state` and `predict`.
    """
    workdir = paths.folder(workdir)
    exp = create_experiment(config)
    log.info("%s", overview.describe(exp))
    restored = restore.restore_state(workdir, exp.abstract_state, exp.classes, config.eval.checkpoint)
    # Of the training that saved the checkpoint, whatever this config sets.
    planned = total_steps(restore.config_of(restored.meta), len(exp.splits["train"]))
    out = workdir if restored.newest >= planned else workdir / f"step_{restored.step}"
    logits = predict(exp, restored.state.variables, config.eval.split)
    if jax.process_index() == 0:
        out.mkdir(exist_ok=True)
    return report(exp, out, restored.step, logits)


def predict(experiment: Experiment, variables, split_name: str, stop=None, views=None) -> dict[str, np.ndarray]:
    """Logits of every clip of a split: head name -> float32 (clips, classes), in the split's order.

    Args:
      variables: {"params", "batch_stats"}.
      stop: called between batches; may raise to end the evaluation.
      views: `pipeline.Views` of each clip, averaged by `config.eval.average`; None for those of the test.

    Raises:
      EvaluationError: logits are not finite; names the clips.
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
    """The outputs of a compiled step for every clip of a split: name -> (clips, size), in the split's order.

    Views are streamed, `config.eval.batch_size` on each device at a time, so memory does not grow with the number of
    views or clips.

    Args:
      step: (variables, batch) -> {name: (rows, size)}, one row per view, such as `experiment.eval_step`.
      average: (views, size), axis -> (size,), such as one of `steps.AVERAGES`.
      stop: as in `predict`.
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
            del batch  # or it would stay in memory while the next one is made
            if time.monotonic() - last_line > exp.config.log_every_seconds:
                last_line = time.monotonic()
                _log_progress(split_name, number, total, len(split), last_line - started)
    return clips.averaged


def _run(step, variables, batch: dict, device_mesh) -> tuple:
    """The outputs of a batch by name, and the clip, view and mask of each row; all rows, in all processes.

    Rows are gathered together with their clip number, since their order over hosts depends on the mesh.
    """
    placed = mesh.to_global(batch, device_mesh)
    outputs = step(variables, {"clips": placed["clips"]})
    with hosts.waiting("outputs of all processes gathered"):
        rows = (outputs, placed["index"], placed["view"], placed["mask"])
        return multihost_utils.process_allgather(rows, tiled=True)


def _log_progress(split_name: str, number: int, total: int, clips: int, seconds: float) -> None:
    rate, left = clips * number / total / seconds, clock((total - number) * seconds / number)
    log.info("%s: %d of %d batches, %.1f clips/s, %s left", split_name, number, total, rate, left)


def check_finite(experiment: Experiment, split_name: str, values: np.ndarray, what: str) -> None:
    """Raises EvaluationError naming the clips whose row of `values` (clips, size) is not finite."""
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        clips = ", ".join(experiment.splits[split_name].index.clip_id[i] for i in bad[:20])
        raise EvaluationError(f"{split_name}: the {what} of {len(bad)} clips are not finite: {clips}")


def score(experiment: Experiment, logits: dict[str, np.ndarray], split_name: str) -> dict:
    """What the test counts, as `predictions.score` returns it."""
    run = arrays(experiment, logits, split_name)
    return predictions.score(run, split_name, experiment.objective.evaluated)


def report(exp: Experiment, workdir: epath.Path, step: int, logits: dict[str, np.ndarray]) -> dict:
    """Scores the logits of the split `config.eval.split`, writes the results to `workdir` and logs them.

    Returns:
      `score` and the "step" of the checkpoint.
    """
    results = {"step": step, **score(exp, logits, exp.config.eval.split)}
    if jax.process_index() == 0:
        write_results(workdir, exp, logits, results)
    log.info("step %d\n%s", step, predictions.describe(results))
    files = (METRICS_FILE, PREDICTIONS_FILE, TABLE_FILE)
    log.info("evaluated head: %s; %s, %s and %s are in %s", results["evaluated_head"], *files, workdir)
    return results


def write_results(workdir: epath.PathLike, experiment: Experiment, logits: dict, results: dict) -> None:
    """Writes the files of an evaluation (see predictions.py) of the split `results["split"]`, each atomically."""
    predictions.write(workdir, arrays(experiment, logits, results["split"]), results)


def arrays(experiment: Experiment, logits: dict[str, np.ndarray], split_name: str) -> predictions.Run:
    """What predictions.npz holds of a split."""
    split, several = experiment.splits[split_name], experiment.objective.multi_label
    run = {"clip_ids": np.array(split.index.clip_id)}
    if not several:
        run["areas"] = np.array(experiment.taxonomy.area_names)[split.index.area]
    for head in experiment.heads:
        run[f"{head.name}_logits"] = logits[head.name]
        run[f"{head.name}_labels"] = split.labels[head.name]
        run[f"{head.name}_classes"] = np.array(head.classes)
        if several:
            run[f"{head.name}_threshold"] = np.array(experiment.config.eval.threshold, np.float64)
    return run
