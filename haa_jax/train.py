"""The training loop, to be read from top to bottom."""

import contextlib
import glob
import json
import logging
import math
import time
from collections.abc import Iterator

import jax
import numpy as np
from clu import metric_writers
from etils import epath
from ml_collections import config_dict

from haa_jax import evaluate, overview
from haa_jax.data import pipeline, sampling
from haa_jax.experiment import Experiment, create_experiment, describe, total_steps, train_step
from haa_jax.learning import losses
from haa_jax.learning.schedules import learning_rate
from haa_jax.learning.train_state import TrainState
from haa_jax.runtime import checkpoint, hosts, mesh, paths
from haa_jax.runtime.checkpoint import Checkpoints, Restored
from haa_jax.runtime.lock import locked
from haa_jax.runtime.progress import Progress, clock
from haa_jax.runtime.signals import Interrupted, StopSignals
from haa_jax.weights import importer

log = logging.getLogger(__name__)

NOT_FINITE_FILE = "not_finite.json"


class NonFiniteError(RuntimeError):
    """The loss or a gradient is no longer a number."""


class ResumeError(RuntimeError):
    """A workdir that belongs to another experiment."""


def train_and_evaluate(config, workdir: epath.PathLike) -> dict:
    """Trains from the newest checkpoint of `workdir`, or from nothing, and evaluates the split `config.eval.split`.

    Returns:
      The results on that split, as written to `metrics.json` (see `evaluate.score`).

    Raises:
      Interrupted: SIGTERM or Ctrl-C came; everything is saved, the same call goes on.
      NonFiniteError: names the step, and the checkpoint that is kept, if there is one.
      ResumeError: the workdir's checkpoints are of other classes, settings or data.
      Those of `experiment.create_experiment`, `checkpoint.CheckpointError`, `lock.WorkdirInUse`.
    """
    workdir = paths.folder(workdir)
    with contextlib.ExitStack() as held:
        new = not workdir.exists()
        if not new:  # a second run is refused before any work, and a setting that is refused makes no folder
            held.enter_context(_locked(workdir))
        exp = create_experiment(config)
        log.info("%s", describe(exp))
        if new:
            workdir.mkdir(parents=True, exist_ok=True)
            held.enter_context(_locked(workdir))
        checkpoints = Checkpoints(workdir, config.checkpoint.keep)
        with StopSignals() as stop, _metric_writer(workdir) as writer:
            try:
                train_state = _train(exp, workdir, checkpoints, writer, stop)
                step, variables = _variables_to_test(exp, checkpoints, train_state)
                del train_state
                logits = evaluate.predict(exp, variables, config.eval.split, stop.check)
            finally:
                checkpoints.wait()
                checkpoints.close()
        results = _finish(exp, workdir, step, logits)
        _plot_test(exp, workdir, logits, results)
        return results


@contextlib.contextmanager
def _metric_writer(workdir: epath.Path) -> Iterator[metric_writers.MetricWriter]:
    """TensorBoard's files; what goes wrong within is not hidden by closing them on a full disk."""
    writer = metric_writers.create_default_writer(str(workdir), just_logging=jax.process_index() > 0)
    try:
        yield writer
    except BaseException:
        with contextlib.suppress(Exception):
            writer.close()
        raise
    writer.flush()
    writer.close()


def _locked(workdir: epath.Path) -> contextlib.AbstractContextManager:
    return locked(workdir) if jax.process_index() == 0 else contextlib.nullcontext()


def evaluate_workdir(config, workdir: epath.PathLike) -> dict:
    """Evaluates the split and the checkpoint that `config.eval` names; returns as training does.

    May run beside a training. The results of a run that is not at its end go into a folder of the workdir,
    `step_<number>`: those in the workdir itself are of finished runs.
    """
    workdir = paths.folder(workdir)
    exp = create_experiment(config)
    log.info("%s", describe(exp))
    restored = _restored_to_test(exp, workdir)
    out = workdir if restored.newest >= _steps_planned(exp, restored.meta) else workdir / f"step_{restored.step}"
    logits = evaluate.predict(exp, restored.state.variables, config.eval.split)
    if jax.process_index() == 0:
        out.mkdir(exist_ok=True)
    return _finish(exp, out, restored.step, logits)


def restore_to_test(exp: Experiment, workdir: epath.PathLike) -> tuple[int, dict]:
    """The step and variables of a workdir's checkpoint that `config.eval.checkpoint` names; changes nothing there.

    Raises:
      ResumeError: there is none, or its classes are not the dataset's.
      checkpoint.CheckpointError: none can be read.
    """
    restored = _restored_to_test(exp, paths.folder(workdir))
    return restored.step, restored.state.variables


def _restored_to_test(exp: Experiment, workdir: epath.Path) -> Restored:
    restored = checkpoint.read(workdir, exp.abstract_state, best=exp.config.eval.checkpoint == "best")
    if restored is None:
        raise ResumeError(f"there is no checkpoint in {workdir}")
    _check_same_classes(exp, restored.meta)
    return restored


def _steps_planned(exp: Experiment, meta: dict) -> int:
    """The steps of the whole training that a checkpoint is of, whatever the config says now."""
    return total_steps(config_dict.ConfigDict(meta["config"]), len(exp.splits["train"]))


def _train(exp: Experiment, workdir, checkpoints: Checkpoints, writer, stop: StopSignals) -> TrainState:
    """Runs the steps that are left."""
    config, total = exp.config, exp.total_steps
    train_state, history = _restore_or_init(exp, checkpoints)
    step = int(train_state.step)
    compiled_step = _compiled_step(exp)
    batches = pipeline.train_batches(
        exp.splits["train"], config.data, config.train.batch_size, config.seed, step, exp.shard
    )
    progress = Progress(total, config.train.batch_size, config.log_every_seconds)
    rate = learning_rate(config.optimizer, config.train.batch_size, total)
    eval_every = _steps(config.eval.every_epochs, exp)
    save_every = _steps(config.checkpoint.every_epochs, exp)
    first, last_metrics = step, None
    log.info("compiling the training step; the first step takes a while")

    def save() -> None:
        check_finite()  # never let a bad state become the newest checkpoint
        checkpoints.save(step, train_state, {**exp.meta, "history": dict(history)})

    def check_finite() -> None:
        _check_finite(exp, workdir, last_metrics, step, checkpoints)

    try:
        while True:
            if _due(step, eval_every, total) and str(step) not in history and eval_every:
                try:
                    history[str(step)] = _validate(exp, train_state, writer, step, stop)
                except Interrupted:
                    save()
                    raise
                save()  # where a stop came in between, the score is added to the checkpoint that is there
            elif _due(step, save_every, total) and step > first:
                save()
            if step == total:
                return train_state
            if stop.at(step):
                save()
                raise Interrupted(step)
            started = time.monotonic()
            batch = mesh.to_global(next(batches), exp.mesh)
            data_ready = time.monotonic()
            train_state, metrics = compiled_step(train_state, batch)
            check_finite()  # of the step before, while this one runs
            last_metrics = metrics
            step += 1
            if step == first + 1:
                continue  # it was compiled
            if due := progress.due():
                values = _values(metrics, step)  # waits for this step, so that it counts in full
            progress.add(time.monotonic() - started, data_ready - started)
            if due:
                _report(progress, writer, step, total, values | {"learning_rate": float(rate(step - 1))})
    finally:
        batches.close()


def _restore_or_init(exp: Experiment, checkpoints: Checkpoints) -> tuple[TrainState, dict]:
    """The state to start from, and the validation scores so far by step."""
    restored = checkpoints.restore_latest(exp.abstract_state)
    if restored is not None:
        _check_same_classes(exp, restored.meta)
        _check_same_experiment(exp, restored.meta)
        log.info("going on from the checkpoint of step %d", restored.step)
        return restored.state, restored.meta["history"]
    init_from = _init_from(exp.config)
    train_state = exp.fresh_state()
    log.info("parameters:\n%s", overview.blocks(train_state.params))
    if init_from:
        train_state, fit = importer.start_from(init_from, exp.config.model, train_state)
        log.info("starting from %s with new heads; %s", init_from, importer.describe(fit))
    return train_state, {}


def _init_from(config) -> str:
    """`config.init_from` as a path. Raises PathError where it is one, not a name, and nothing is there."""
    path = paths.expand(config.init_from)
    is_path = "/" in path or epath.Path(path).suffix
    # A TensorFlow checkpoint is named by what its files' names begin with.
    if is_path and paths.is_local(path) and not glob.glob(f"{glob.escape(path)}*"):
        raise paths.PathError(f"config.init_from={path}: there is no such file or workdir")
    return path


def _compiled_step(exp: Experiment):
    shardings = mesh.shardings_of(exp.abstract_state)
    return jax.jit(
        train_step(exp.config, exp.model, exp.optimizer),
        in_shardings=(shardings, mesh.batch_sharding(exp.mesh)),
        out_shardings=(shardings, mesh.replicated(exp.mesh)),
        donate_argnums=0,
    )


def _validate(exp: Experiment, train_state, writer, step: int, stop: StopSignals) -> float:
    """Top-1 of the evaluated head on the validation split."""
    logits = evaluate.predict(exp, train_state.variables, "validation", stop.check, exp.validation_views)
    results = evaluate.score(exp, logits, "validation")
    writer.write_scalars(step, _scalars(exp, logits, results))
    top1 = results["heads"][results["evaluated_head"]]["top1"]
    log.info("step %d: validation top-1 %.2f %% (%d/%d)", step, 100 * top1["value"], top1["correct"], top1["count"])
    return top1["value"]


def _scalars(exp: Experiment, logits: dict[str, np.ndarray], results: dict) -> dict[str, float]:
    """TensorBoard's figures of an evaluated split: accuracies and the mean cross-entropy of each head."""
    split, labels = results["split"], exp.splits[results["split"]].labels
    found = {}
    for head, figures in results["heads"].items():
        accuracies = [name for name in ("top1", "top5", "mean_class") if name in figures]
        found |= {f"{split}/{head}_{name}": figures[name]["value"] for name in accuracies}
        found[f"{split}/{head}_loss"] = losses.cross_entropy(logits[head], labels[head])
    return found


def _plot_test(exp: Experiment, workdir: epath.Path, logits: dict[str, np.ndarray], results: dict) -> None:
    """The test's figures to TensorBoard, beside the training's."""
    with _metric_writer(workdir) as writer:
        writer.write_scalars(results["step"], _scalars(exp, logits, results))


def _values(metrics: dict, step: int) -> dict[str, float]:
    with hosts.waiting(f"step {step} done by all"):
        return {name: float(value) for name, value in metrics.items()}


def _report(progress: Progress, writer, step: int, total: int, values: dict[str, float]) -> None:
    figures = progress.report(step)
    writer.write_scalars(step, {f"train/{name}": value for name, value in {**values, **figures}.items()})
    log.info(
        "step %d/%d: loss %.4f, accuracy %.1f %%, %.1f clips/s, %.0f %% waiting for data, %s left",
        step,
        total,
        values["loss"],
        100 * values["accuracy"],
        figures["clips_per_second"],
        100 * figures["waiting_for_data"],
        clock(figures["seconds_left"]),
    )


def _check_finite(
    exp: Experiment, workdir: epath.Path, metrics: dict | None, step: int, checkpoints: Checkpoints
) -> None:
    """Raises where the metrics of the step that ended at `step` are not finite; writes down which clips it saw."""
    bad = {name: value for name, value in _values(metrics or {}, step).items() if not math.isfinite(value)}
    if not bad:
        return
    split = exp.splits["train"]
    clips, _ = sampling.batch_clips(exp.config.seed, step - 1, exp.config.train.batch_size, len(split))
    report = {"step": step, "metrics": {name: str(value) for name, value in bad.items()}}
    report["clip_ids"] = [split.index.clip_id[clip] for clip in clips]
    report["checkpoint"] = kept = checkpoints.newest_step()
    if jax.process_index() == 0:
        (workdir / NOT_FINITE_FILE).write_text(json.dumps(report, indent=2))
    last_good = "there is no checkpoint from before it" if kept is None else f"checkpoint {kept} is kept"
    raise NonFiniteError(
        f"step {step}: {bad}; {last_good}, and {workdir / NOT_FINITE_FILE} names the clips of the step. "
        "Lower the learning rate?"
    )


def _check_same_experiment(exp: Experiment, meta: dict) -> None:
    """Raises ResumeError where a checkpoint is of other settings or data, unless the config allows it."""
    stored, now = (_flat({key: own[key] for key in ("config", "dataset")}) for own in (meta, exp.meta))
    changed = [key for key in sorted(stored.keys() & now.keys()) if stored[key] != now[key]]
    changed = [key for key in changed if not key.startswith(FREE_TO_CHANGE)]
    if not changed:
        return
    lines = [f"  {key}: {stored[key]!r} in the checkpoint, {now[key]!r} now" for key in changed]
    if exp.config.checkpoint.allow_changes:
        log.warning("GOING ON WITH OTHER SETTINGS THAN THE CHECKPOINT'S:\n%s", "\n".join(lines))
        return
    raise ResumeError(
        "\n".join(["the workdir's checkpoints are of another experiment:", *lines])
        + "\nUse a new --workdir, or --config.checkpoint.allow_changes=True to go on all the same."
    )


# What may differ between the sittings of one run, since it changes neither what is learned nor from what.
FREE_TO_CHANGE = (
    *("config.eval", "config.checkpoint", "config.log_every_seconds", "config.mesh", "config.init_from"),
    *("config.data.threads", "config.data.prefetch", "config.data.data_dir"),
)


def _flat(tree: dict) -> dict:
    """{"config": {"seed": 0}} as {"config.seed": 0}; JSON's lists as tuples."""
    found = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": leaf for inner, leaf in _flat(value).items()}
        else:
            found[key] = tuple(value) if isinstance(value, list) else value
    return found


def _check_same_classes(exp: Experiment, meta: dict) -> None:
    for head in exp.heads:
        stored = meta["classes"].get(head.name)
        if stored != list(head.classes):
            different = sorted(set(stored or []) ^ set(head.classes))[:10]
            raise ResumeError(
                f"the checkpoint's {head.name} classes are not the dataset's (different: {different}); "
                "use the config and dataset that it was trained with, or a new --workdir"
            )


def _variables_to_test(exp: Experiment, checkpoints: Checkpoints, train_state) -> tuple[int, dict]:
    """The step and variables that `config.eval.checkpoint` names."""
    step = int(train_state.step)
    if exp.config.eval.checkpoint == "best":
        checkpoints.wait()
        best = checkpoints.best_step()
        if best is None:
            raise ResumeError("config.eval.checkpoint='best', but no checkpoint has a validation score")
        if best != step:
            train_state = checkpoints.restore(best, exp.abstract_state).state
            step = best
    return step, train_state.variables


def _finish(exp: Experiment, workdir: epath.Path, step: int, logits: dict[str, np.ndarray]) -> dict:
    results = {"step": step, **evaluate.score(exp, logits, exp.config.eval.split)}
    if jax.process_index() == 0:
        evaluate.write_results(workdir, exp, logits, results)
    log.info("step %d\n%s", step, evaluate.describe(results))
    log.info(
        "evaluated head: %s; %s and %s are in %s",
        results["evaluated_head"],
        evaluate.METRICS_FILE,
        evaluate.PREDICTIONS_FILE,
        workdir,
    )
    return results


def _steps(epochs: float, exp: Experiment) -> int:
    """Epochs in steps; 0 stays 0, which means never."""
    return max(1, round(epochs * exp.steps_per_epoch)) if epochs else 0


def _due(step: int, every: int, total: int) -> bool:
    return step > 0 and (step == total or (every > 0 and step % every == 0))
