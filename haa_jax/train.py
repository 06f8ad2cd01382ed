"""The training loop."""

import concurrent.futures
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable

import jax
from etils import epath

from haa_jax import evaluate, metrics, not_finite, overview, predictions, start, summaries
from haa_jax.data import pipeline
from haa_jax.experiment import Experiment, create_experiment, train_step
from haa_jax.learning.schedules import learning_rate
from haa_jax.learning.train_state import TrainState
from haa_jax.runtime import compiling, hosts, mesh, paths
from haa_jax.runtime.checkpoint import CheckpointError, Checkpoints
from haa_jax.runtime.lock import locked
from haa_jax.runtime.progress import Progress, clock
from haa_jax.runtime.signals import Interrupted, StopSignals

log = logging.getLogger(__name__)


def train_and_evaluate(config, workdir: epath.PathLike) -> dict:
    """Trains from the newest checkpoint of `workdir`, or from scratch, and evaluates the split `config.eval.split`.

    Returns:
      The results on that split, as written to `metrics.json` (see `evaluate.score`).

    Raises:
      Interrupted: by SIGTERM or Ctrl-C; everything is saved, the same call resumes.
      not_finite.NonFiniteError: names the step, and the checkpoint that is kept, if there is one.
      start.ResumeError, restore.RestoreError: the workdir's checkpoints are of other settings, data or classes.
      Those of `experiment.create_experiment`, `checkpoint.CheckpointError`, `lock.WorkdirInUse`.
    """
    workdir = paths.folder(workdir)
    with contextlib.ExitStack() as held:
        new = not workdir.exists()
        if not new:  # refuse a second run before any work; a setting that is refused must not leave a folder
            held.enter_context(_locked(workdir))
        exp = create_experiment(config)
        log.info("%s", overview.describe(exp))
        if new:
            workdir.mkdir(parents=True, exist_ok=True)
            held.enter_context(_locked(workdir))
        checkpoints = Checkpoints(workdir, config.checkpoint.keep)
        with StopSignals() as stop, summaries.metric_writer(workdir) as writer:
            try:
                train_state = _train(exp, workdir, checkpoints, writer, stop)
                step, variables = _variables_to_test(exp, checkpoints, train_state)
                del train_state
                logits = evaluate.predict(exp, variables, config.eval.split, stop.check)
            finally:
                checkpoints.wait()
                checkpoints.close()
        results = evaluate.report(exp, workdir, step, logits)
        with summaries.metric_writer(workdir) as writer:
            _write_evaluation(writer, exp, step, results, logits)
        return results


def _locked(workdir: epath.Path) -> contextlib.AbstractContextManager:
    return locked(workdir) if jax.process_index() == 0 else contextlib.nullcontext()


def _train(
    exp: Experiment,
    workdir: epath.Path,
    checkpoints: Checkpoints,
    writer: summaries.MetricWriter,
    stop: StopSignals,
) -> TrainState:
    """Runs the remaining steps."""
    config, total = exp.config, exp.total_steps
    train_state, history, compiled_step = _prepare(exp, checkpoints)
    run = _Run(exp, workdir, checkpoints, train_state, history, first=int(train_state.step))
    del train_state  # the first step donates it
    writer.begin(run.first + 1)
    batches = pipeline.train_batches(
        exp.splits["train"], config.data, config.train.batch_size, config.seed, run.step, exp.shard
    )
    progress = Progress(total, config.train.batch_size, config.log_every_seconds)
    rate = jax.jit(learning_rate(config.optimizer, config.train.batch_size, total))
    log.info("compiling the training step; the first step takes a while")
    with contextlib.closing(batches):
        while True:
            run.validate_or_save(writer, stop)
            if run.step == total:
                return run.state
            if stop.at(run.step):
                run.save()
                raise Interrupted(run.step)
            started = time.monotonic()
            batch = mesh.to_global(next(batches), exp.mesh)
            data_ready = time.monotonic()
            run.take_step(compiled_step, batch)
            first = run.step == run.first + 1  # its time is that of compiling; its loss belongs to the curve, as all do
            if due := first or progress.due():
                values = run.metrics()  # waits for this step, so that its whole duration counts
                values["learning_rate"] = float(rate(run.step - 1))
            if first:
                _plot(writer, run.step, values)
                continue
            progress.add(time.monotonic() - started, data_ready - started)
            if due:
                _report(progress, writer, run.step, total, values)


def _prepare(exp: Experiment, checkpoints: Checkpoints) -> tuple[TrainState, dict[str, float], Callable]:
    """The state to start from, the validation scores so far, and the training step, which its first call compiles.

    Tracing the step keeps one core busy, as making or reading the state does: so they go on side by side. The first
    call finds its trace in JAX's cache.
    """
    compiled_step, traced, newest = _compiled_step(exp), None, checkpoints.newest_step()
    if newest is None:
        _ = exp.fresh_state  # is traced before the step: Python takes as long for two traces side by side
    if newest != exp.total_steps:
        other = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="trace")
        traced = other.submit(compiled_step.lower, exp.abstract_state, exp.abstract_batch)
        other.shutdown(wait=False)  # an error of the state does not wait for the trace
    train_state, history = start.restore_or_init(exp, checkpoints)
    if traced:
        traced.result()  # raises what tracing raised
    return train_state, history, compiled_step


@dataclasses.dataclass
class _Run:
    """A training at work.

    Attributes:
      history: validation scores by step, as text.
      first: the step at which this process started.
      step: steps done.
      pending: metrics of the last step, on the device, where it may still be running; None before the first.
    """

    exp: Experiment
    workdir: epath.Path
    checkpoints: Checkpoints
    state: TrainState
    history: dict[str, float]
    first: int
    step: int = dataclasses.field(init=False)
    pending: dict[str, jax.Array] | None = None

    def __post_init__(self):
        self.step = self.first

    def take_step(self, compiled_step, batch) -> None:
        """Starts one step on the device and, while it runs, checks the one before."""
        self.state, metrics = compiled_step(self.state, batch)
        self.check_finite()
        self.pending = metrics
        self.step += 1

    def metrics(self) -> dict[str, float]:
        """The metrics of the last step, once it has run; {} before the first."""
        with hosts.waiting(f"step {self.step} done by all"):
            return {name: float(value) for name, value in (self.pending or {}).items()}

    def check_finite(self) -> None:
        not_finite.check(self.metrics(), self.step, self.exp, self.workdir, self.checkpoints)

    def save(self) -> None:
        self.check_finite()  # a bad state must never become the newest checkpoint
        self.checkpoints.save(self.step, self.state, {**self.exp.meta, "history": dict(self.history)})

    def validate_or_save(self, writer: summaries.MetricWriter, stop: StopSignals) -> None:
        """Validates and saves a checkpoint, or only saves, if either is due at this step."""
        config = self.exp.config
        if self._due(config.eval.every_epochs) and str(self.step) not in self.history and config.eval.every_epochs:
            try:
                self.history[str(self.step)] = _validate(self.exp, self.state, writer, self.step, stop)
            except Interrupted:
                self.save()
                raise
            self.save()  # if this step was saved before an interruption, only the score is added
        elif self._due(config.checkpoint.every_epochs) and self.step > self.first:
            self.save()

    def _due(self, every_epochs: float) -> bool:
        """Whether something is due that happens every so many epochs (0: never) and at the end."""
        every = max(1, round(every_epochs * self.exp.steps_per_epoch)) if every_epochs else 0
        return self.step > 0 and (self.step == self.exp.total_steps or (every > 0 and self.step % every == 0))


def _compiled_step(exp: Experiment):
    """(state, batch) to (state, metrics); the state that is passed is donated."""
    shardings = mesh.shardings_of(exp.abstract_state)
    return jax.jit(
        train_step(exp.config, exp.model, exp.optimizer, exp.class_weights),
        in_shardings=(shardings, mesh.batch_sharding(exp.mesh)),
        out_shardings=(shardings, mesh.replicated(exp.mesh)),
        donate_argnums=0,
        compiler_options=compiling.options(exp.mesh),
    )


def _validate(exp: Experiment, train_state: TrainState, writer, step: int, stop: StopSignals) -> float:
    """The figure that counts (`predictions.best_figure`), on the validation split."""
    logits = evaluate.predict(exp, train_state.variables, "validation", stop.check, exp.validation_views)
    results = evaluate.score(exp, logits, "validation")
    _write_evaluation(writer, exp, step, results, logits)
    name, figure = predictions.best_figure(results)
    shown = name.replace("top1", "top-1").replace("_", " ")
    log.info("step %d: validation %s %.2f %% (%s)", step, shown, 100 * figure["value"], metrics.counted(figure))
    return figure["value"]


def _write_evaluation(writer, exp: Experiment, step: int, results: dict, logits: dict) -> None:
    labels = exp.splits[results["split"]].labels
    writer.write_scalars(step, summaries.evaluation_scalars(results, logits, labels))


def _plot(writer: summaries.MetricWriter, step: int, values: dict[str, float]) -> None:
    writer.write_scalars(step, {f"train/{name}": value for name, value in values.items()})


def _report(progress: Progress, writer, step: int, total: int, values: dict[str, float]) -> None:
    """Logs the last step and the speed since the last report."""
    figures = progress.report(step)
    _plot(writer, step, {**values, **figures})
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


def _variables_to_test(exp: Experiment, checkpoints: Checkpoints, train_state: TrainState) -> tuple[int, dict]:
    """The step and the variables that `config.eval.checkpoint` asks for, after the last step."""
    step = int(train_state.step)
    if exp.config.eval.checkpoint == "best":
        checkpoints.wait()
        best = checkpoints.best_step()
        if best is None:
            raise CheckpointError("config.eval.checkpoint='best', but no checkpoint has a validation score")
        if best != step:
            train_state = checkpoints.restore(best, exp.abstract_state).state
            step = best
    return step, train_state.variables
