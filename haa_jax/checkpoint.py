"""Checkpoints that survive what happens to long runs (Orbax behind one small door).

Each holds the state, what is needed to read it (config, class names, versions) and the validation history.
Orbax writes to a temporary folder and renames it, so a checkpoint is whole or it is not listed. A checkpoint
that was damaged later is noticed when it is read: the one before is used, and the damaged one is moved aside.
"""

import dataclasses
import logging
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from jax.experimental import multihost_utils

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
DAMAGED_FOLDER = "checkpoints_damaged"
SCORE = "score"
UNSCORED = -1.0  # below every accuracy; Orbax wants a score from each checkpoint


class CheckpointError(RuntimeError):
    """No checkpoint could be restored; the message says why for each."""


@dataclasses.dataclass(frozen=True)
class Restored:
    step: int
    state: Any
    meta: dict


class Checkpoints:
    """The checkpoints of one workdir: the latest `keep`, and the one with the highest validation score."""

    def __init__(self, workdir: epath.PathLike, keep: int):
        self._workdir = epath.Path(workdir).resolve()
        policies = ocp.checkpoint_managers
        self._manager = ocp.CheckpointManager(
            self._workdir / FOLDER,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(
                    [
                        policies.LatestN(keep),
                        policies.BestN(get_metric_fn=_score, n=1),
                    ]
                ),
                best_fn=_score,  # without it Orbax forgets the scores at a restart
                enable_async_checkpointing=True,
                cleanup_tmp_directories=True,
            ),
        )

    def save(self, step: int, state, meta: dict, score: float | None = None) -> None:
        """Starts saving in the background; where this step is saved already, only to add its score."""
        if step in self._manager.all_steps():
            if score is None or _score(self._manager.metrics(step)) != UNSCORED:
                return
            self.wait()
            self._manager.delete(step)
        args = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        self._manager.save(step, args=args, metrics={SCORE: UNSCORED if score is None else score}, force=True)

    def restore_latest(self, abstract_state) -> Restored | None:
        """The newest whole checkpoint, or None where there is none at all.

        Args:
          abstract_state: a pytree of `jax.ShapeDtypeStruct` with the shardings wanted.

        Raises:
          CheckpointError: there are checkpoints, but none can be read; they are left as they are.
        """
        failures = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                restored = self.restore(step, abstract_state)
            except Exception as error:  # noqa: BLE001  Orbax and its storage raise whatever the damage provokes
                log.warning("CHECKPOINT %d CANNOT BE RESTORED, trying the one before: %s", step, _first_line(error))
                failures[step] = error
            else:
                self._move_aside(failures)
                return restored
        if failures:
            reasons = [f"  step {step}: {_first_line(error)}" for step, error in failures.items()]
            raise CheckpointError(
                "\n".join([f"none of the checkpoints in {self._manager.directory} can be restored:", *reasons])
                + "\nThey were left as they are. If the model was changed, use a new --workdir."
            )
        return None

    def restore(self, step: int, abstract_state) -> Restored:
        """One checkpoint; raises whatever Orbax raises where it is damaged or does not fit."""
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract_state), meta=ocp.args.JsonRestore())
        items = self._manager.restore(step, args=args)
        return Restored(step, items["state"], items["meta"])

    def best_step(self) -> int | None:
        """The step with the highest validation score, the later one of equals."""
        scores = [(_score(self._manager.metrics(step)), step) for step in self._manager.all_steps()]
        score, step = max(scores, default=(UNSCORED, None))
        return None if score == UNSCORED else step

    def wait(self) -> None:
        """Returns when everything is on disk; raises what a background save raised."""
        self._manager.wait_until_finished()
        self._manager.check_for_errors()

    def close(self) -> None:
        self._manager.close()

    def _move_aside(self, failures: dict[int, Exception]) -> None:
        """Damaged checkpoints must not block their step numbers, but nothing is ever deleted for it."""
        if not failures:
            return
        if jax.process_index() == 0:
            folder = self._workdir / DAMAGED_FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            for step in failures:
                target = folder / f"{step}-{len(list(folder.iterdir()))}"
                (epath.Path(self._manager.directory) / str(step)).rename(target)
                log.warning("DAMAGED CHECKPOINT %d MOVED TO %s", step, target)
        multihost_utils.sync_global_devices("damaged checkpoints moved aside")
        self._manager.reload()


def read_variables(workdir: epath.PathLike) -> dict:
    """The variables that the newest checkpoint of a workdir would be evaluated with, whatever network they are of.

    Returns:
      {"params", "batch_stats"} as trees of NumPy arrays; the average of the parameters where the run keeps one.

    Raises:
      CheckpointError: there is no checkpoint, or the newest cannot be restored.
    """
    folder = epath.Path(workdir).resolve() / FOLDER
    handlers = {"state": ocp.StandardCheckpointHandler(), "meta": ocp.JsonCheckpointHandler()}
    with ocp.CheckpointManager(folder, item_handlers=handlers) as manager:
        step = manager.latest_step()
        if step is None:
            raise CheckpointError(f"{folder} holds no checkpoint")
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        try:
            stored = manager.item_metadata(step)["state"]
            target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), stored)
            restored = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target)))["state"]
            params = restored["ema_params"] or restored["params"]
            return jax.device_get({"params": params, "batch_stats": restored["batch_stats"]})
        except Exception as error:  # as in restore_latest
            raise CheckpointError(f"checkpoint {step} in {folder} cannot be restored: {_first_line(error)}") from error


def _score(metrics: dict | None) -> float:
    return metrics[SCORE] if metrics else UNSCORED


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300] if str(error).strip() else ''}"
