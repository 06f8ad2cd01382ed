"""Checkpoints that survive what happens to long runs (Orbax behind one small door).

Each holds the state and meta: what is needed to read it (config, class names, versions) and the validation history.
Orbax writes to a temporary folder and renames it, so a checkpoint is whole or it is not listed. Before that it is
sealed (see seal.py): one that was damaged later is noticed, the one before is used, and it is moved aside.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from haa_jax import hosts, seal

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
DAMAGED_FOLDER = "checkpoints_damaged"


class CheckpointError(RuntimeError):
    """No checkpoint could be restored; the message says why for each."""


@dataclasses.dataclass(frozen=True)
class Restored:
    step: int
    state: Any
    meta: dict


@dataclasses.dataclass
class _Preserved:
    """Orbax's preservation policy: the latest `keep`, and the best of those there are."""

    keep: int
    scores: dict[int, float]  # on validation, by step

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        preserved = {*steps[-self.keep :], self.best(steps)}
        return [step in preserved for step in steps]

    def best(self, steps: Iterable[int]) -> int | None:
        """The later one of equals; None where no step has a score."""
        scored = [(self.scores[step], step) for step in steps if step in self.scores]
        return max(scored, default=(None, None))[1]


class Checkpoints:
    """The checkpoints of one workdir: the latest `keep`, and the one with the highest validation score."""

    def __init__(self, workdir: epath.PathLike, keep: int):
        self._workdir = epath.Path(workdir).resolve()
        self._saving = None  # the step on its way to the disk
        self._preserved = _Preserved(keep, {})
        self._manager = ocp.CheckpointManager(
            self._workdir / FOLDER,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=self._preserved,
                enable_async_checkpointing=True,
                async_options=ocp.AsyncOptions(post_finalization_callback=self._seal),
                cleanup_tmp_directories=True,
            ),
        )

    def save(self, step: int, state, meta: dict, replace: bool = False) -> None:
        """Starts saving in the background; nothing where this step is saved already, unless it is to be replaced.

        Args:
          meta: what JSON can hold; its "history" is {step as text: validation score}.

        Raises:
          CheckpointError: this or the save before failed, for instance because the disk is full.
        """
        self.wait()
        self._learn_scores(meta)
        if step in self._manager.all_steps():
            if not replace:
                return
            self._manager.delete(step)
        args = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        self._saving = step
        with self._saved_or_said():
            self._manager.save(step, args=args, force=True)

    def restore_latest(self, abstract_state) -> Restored | None:
        """The newest whole checkpoint, or None where there is none at all.

        Args:
          abstract_state: a pytree of `jax.ShapeDtypeStruct` with the shardings wanted.

        Raises:
          CheckpointError: there are checkpoints, but all are damaged, or the newest whole one holds another network;
            they are left as they are.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not steps:
            return None
        damaged = self._damaged_before_a_whole_one(steps) if jax.process_index() == 0 else {}
        count = hosts.from_first("process 0 checks the checkpoints", len(damaged))
        if count == len(steps):
            reasons = [f"  step {step}: {_first(faults)}" for step, faults in damaged.items()]
            raise CheckpointError(
                "\n".join([f"all checkpoints in {self._manager.directory} are damaged:", *reasons])
                + "\nThey were left as they are."
            )
        restored = self._restore(steps[count], abstract_state)
        self._move_aside(steps[:count])
        return restored

    def restore(self, step: int, abstract_state) -> Restored:
        """One checkpoint.

        Raises:
          CheckpointError: it is damaged, or holds another network than `abstract_state`.
        """
        damaged = self._damaged_before_a_whole_one([step]) if jax.process_index() == 0 else {}
        if hosts.from_first(f"process 0 checks checkpoint {step}", len(damaged)):
            faults = _first(damaged.get(step, ["see process 0"]))
            raise CheckpointError(f"checkpoint {step} in {self._manager.directory} is damaged: {faults}")
        return self._restore(step, abstract_state)

    def _restore(self, step: int, abstract_state) -> Restored:
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract_state), meta=ocp.args.JsonRestore())
        try:
            with hosts.waiting(f"checkpoint {step} restored"):
                items = self._manager.restore(step, args=args)
        except Exception as error:  # Orbax and its storage raise whatever it provokes
            raise CheckpointError(
                f"checkpoint {step} in {self._manager.directory} cannot be restored: {_first_line(error)}\n"
                "It was left as it is. If the model was changed, use a new --workdir."
            ) from error
        self._learn_scores(items["meta"])
        return Restored(step, items["state"], items["meta"])

    def _damaged_before_a_whole_one(self, steps: list[int]) -> dict[int, list[str]]:
        """The faults of the first of `steps`, as many as there are before one without any."""
        damaged = {}
        for step in steps:
            faults = seal.faults(self._folder(step))
            if not faults:
                break
            log.warning("CHECKPOINT %d IS DAMAGED: %s", step, _first(faults))
            damaged[step] = faults
        return damaged

    def best_step(self) -> int | None:
        """The step with the highest validation score, as far as was saved or restored; the later one of equals."""
        return self._preserved.best(self._manager.all_steps())

    def wait(self) -> None:
        """Returns when everything is on disk.

        Raises:
          CheckpointError: the save in the background failed.
        """
        with self._saved_or_said():
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    @contextlib.contextmanager
    def _saved_or_said(self) -> Iterator[None]:
        try:
            with hosts.waiting(f"checkpoint {self._saving} saved"):
                yield
        except Exception as error:  # Orbax and its storage raise whatever the disk provokes
            raise CheckpointError(
                f"checkpoint {self._saving} could not be saved in {self._manager.directory}: {_first_line(error)}\n"
                "Those before it are whole; the same command goes on from the newest of them."
            ) from error

    def close(self) -> None:
        self._manager.close()

    def _learn_scores(self, meta: dict) -> None:
        self._preserved.scores |= {int(step): score for step, score in meta["history"].items()}

    def _folder(self, step: int) -> epath.Path:
        return epath.Path(self._manager.directory) / str(step)

    def _seal(self) -> None:
        """Called by Orbax in process 0 when all is written, just before the checkpoint takes its name."""
        names = (str(self._saving), f"{self._saving}{ocp.utils.TMP_DIR_SUFFIX}")  # buckets write in place
        folders = [epath.Path(self._manager.directory) / name for name in names]
        (folder,) = (folder for folder in folders if folder.exists())
        seal.seal(folder)

    def _move_aside(self, damaged: list[int]) -> None:
        """Damaged checkpoints must not block their step numbers, but nothing is ever deleted for it."""
        if not damaged:
            return
        if jax.process_index() == 0:
            folder = self._workdir / DAMAGED_FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            for step in damaged:
                target = folder / f"{step}-{len(list(folder.iterdir()))}"
                self._folder(step).rename(target)
                log.warning("DAMAGED CHECKPOINT %d MOVED TO %s", step, target)
        hosts.barrier("damaged checkpoints moved aside")
        self._manager.reload()


def read_variables(workdir: epath.PathLike) -> dict:
    """The variables that the newest checkpoint of a workdir would be evaluated with, whatever network they are of.

    Returns:
      {"params", "batch_stats"} as trees of NumPy arrays.

    Raises:
      CheckpointError: there is no checkpoint, or the newest cannot be restored.
    """
    folder = epath.Path(workdir).resolve() / FOLDER
    handlers = {"state": ocp.StandardCheckpointHandler(), "meta": ocp.JsonCheckpointHandler()}
    with ocp.CheckpointManager(folder, item_handlers=handlers) as manager:
        step = manager.latest_step()
        if step is None:
            raise CheckpointError(f"{folder} holds no checkpoint")
        if faults := seal.faults(folder / str(step)):
            raise CheckpointError(f"checkpoint {step} in {folder} is damaged: {_first(faults)}")
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        try:
            stored = manager.item_metadata(step)["state"]
            target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), stored)
            restored = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target)))["state"]
            return jax.device_get({name: restored[name] for name in ("params", "batch_stats")})
        except Exception as error:  # as in restore_latest
            raise CheckpointError(f"checkpoint {step} in {folder} cannot be restored: {_first_line(error)}") from error


def _first(faults: list[str]) -> str:
    return faults[0] if len(faults) == 1 else f"{faults[0]}, and {len(faults) - 1} more files"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:600] if str(error).strip() else ''}"
