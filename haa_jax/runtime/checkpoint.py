"""Checkpoints that survive what happens to long runs (Orbax behind one small door).

Each holds the state and meta: what is needed to read it (config, class names, versions) and the validation history.
Orbax writes to a temporary folder and renames it, so a checkpoint is whole or it is not listed. Before that it is
sealed (see seal.py): one that was damaged later is noticed, the one before is used, and it is moved aside.

`Checkpoints` is for the training, one at a time in a workdir. Everybody else reads with `read` and `read_variables`,
which change nothing and may run beside a training.
"""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from haa_jax.runtime import hosts, seal

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
DAMAGED_FOLDER = "checkpoints_damaged"
READ_ATTEMPTS = 30  # of a reader beside a training that saves faster than it can be read
_NONE, _FAULT = -1, -2  # in the place of a step


class CheckpointError(RuntimeError):
    """No checkpoint could be restored; the message says why for each."""


@dataclasses.dataclass(frozen=True)
class Restored:
    step: int
    state: Any
    meta: dict
    newest: int  # the newest step there was at that time


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
        return _best(self.scores, steps)


class Checkpoints:
    """The checkpoints of the run at work in a workdir: the latest `keep`, and the one with the best validation score.

    Clears away what a killed run left half-written, so only one process or one run of several may have it open.
    """

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

    def save(self, step: int, state, meta: dict) -> None:
        """Starts saving in the background; where this step is saved already, only its score is added, if that is new.

        Args:
          meta: what JSON can hold; its "history" is {step as text: validation score}.

        Raises:
          CheckpointError: this or the save before failed, for instance because the disk is full.
        """
        self.wait()
        known = step in self._preserved.scores
        self._learn_scores(meta)
        if step in self._manager.all_steps():
            if step in self._preserved.scores and not known:
                self._add_score(step)
            return
        args = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        self._saving = step
        with self._saved_or_said(f"checkpoint {step}"):
            self._manager.save(step, args=args, force=True)

    def _add_score(self, step: int) -> None:
        """The checkpoint itself, which may be the only one, is not touched."""
        with self._saved_or_said(f"the validation score of checkpoint {step}"):
            if jax.process_index() == 0:
                seal.add_note(self._folder(step), json.dumps({str(step): self._preserved.scores[step]}))

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
        damaged = _damaged_before_a_whole_one(self._manager.directory, steps) if jax.process_index() == 0 else {}
        for step, faults in damaged.items():
            log.warning("CHECKPOINT %d IS DAMAGED: %s", step, _first(faults))
        count = hosts.from_first("process 0 checks the checkpoints", len(damaged))
        if count == len(steps):
            raise _all_damaged(self._manager.directory, damaged)
        restored = self._restore(steps[count], abstract_state)
        self._move_aside(steps[:count])
        return restored

    def restore(self, step: int, abstract_state) -> Restored:
        """One checkpoint.

        Raises:
          CheckpointError: it is damaged, or holds another network than `abstract_state`.
        """
        damaged = _damaged_before_a_whole_one(self._manager.directory, [step]) if jax.process_index() == 0 else {}
        if hosts.from_first(f"process 0 checks checkpoint {step}", len(damaged)):
            faults = _first(damaged.get(step, ["see process 0"]))
            raise CheckpointError(f"checkpoint {step} in {self._manager.directory} is damaged: {faults}")
        return self._restore(step, abstract_state)

    def _restore(self, step: int, abstract_state) -> Restored:
        with hosts.waiting(f"checkpoint {step} restored"):
            state, meta = _state_and_meta(self._folder(step), abstract_state)
        self._learn_scores(meta)
        return Restored(step, state, meta, max(self._manager.all_steps()))

    def newest_step(self) -> int | None:
        """The newest step that is on disk, once what is on its way is there too.

        Raises:
          CheckpointError: the save in the background failed.
        """
        self.wait()
        return max(self._manager.all_steps(), default=None)

    def best_step(self) -> int | None:
        """The step with the highest validation score, as far as was saved or restored; the later one of equals."""
        return self._preserved.best(self._manager.all_steps())

    def wait(self) -> None:
        """Returns when everything is on disk.

        Raises:
          CheckpointError: the save in the background failed.
        """
        with self._saved_or_said(f"checkpoint {self._saving}"):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    @contextlib.contextmanager
    def _saved_or_said(self, what: str) -> Iterator[None]:
        try:
            with hosts.waiting(f"{what} saved"):
                yield
        except Exception as error:  # Orbax and its storage raise whatever the disk provokes
            raise CheckpointError(
                f"{what} could not be saved in {self._manager.directory}: {_first_line(error)}\n{self._what_is_left()}"
            ) from error

    def _what_is_left(self) -> str:
        newest = max(_steps(self._manager.directory), default=None)
        if newest is None:
            return "There is no checkpoint yet: the same command begins anew."
        return f"Nothing that was saved before was touched: the same command goes on from checkpoint {newest}."

    def close(self) -> None:
        self._manager.close()

    def _learn_scores(self, meta: dict) -> None:
        self._preserved.scores |= _scores(meta)

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


def read(workdir: epath.PathLike, abstract_state, best: bool = False) -> Restored | None:
    """A checkpoint of a workdir that a training may be at work in; all processes must call it.

    Nothing is changed. What is half-written is not seen. Damaged ones are passed over with a warning; moving them aside
    is for the training. One that the training deletes meanwhile is no fault: then the newest is taken that is there.

    Args:
      abstract_state: a pytree of `jax.ShapeDtypeStruct` with the shardings wanted.
      best: the one with the highest validation score, not the newest.

    Returns:
      None where there is none at all.

    Raises:
      CheckpointError: all are damaged, or the best is; none has a score; or it holds another network.
    """
    choose = _best_step if best else _newest_whole
    return _read(workdir, choose, lambda folder: _state_and_meta(folder, abstract_state))


def read_variables(workdir: epath.PathLike) -> dict:
    """The variables that the newest checkpoint of a workdir would be evaluated with, whatever network they are of.

    Changes nothing, as `read`; all processes must call it.

    Returns:
      {"params", "batch_stats"} as trees of NumPy arrays.

    Raises:
      CheckpointError: there is no checkpoint, or the newest is damaged or cannot be restored.
    """
    found = _read(workdir, lambda folder, steps: _checked(folder, max(steps)), lambda folder: (_variables(folder), {}))
    if found is None:
        raise CheckpointError(f"{epath.Path(workdir).resolve() / FOLDER} holds no checkpoint")
    return found.state


def _read(workdir, choose: Callable, restore: Callable) -> Restored | None:
    """What `restore` makes of the folder of the step that `choose` names, the same step in all processes.

    A training deletes an old checkpoint when a newer one is whole, so where anything fails and the list is no longer
    what it was, it is tried again. What vanished while it was read may have been read in part, and does not count.

    Args:
      choose: (folder of all, their steps) to a step; called in process 0.
      restore: folder of one to (state, meta).
    """
    folder = epath.Path(workdir).resolve() / FOLDER
    for _ in range(READ_ATTEMPTS):
        steps, fault = _steps(folder), None
        step, newest = _NONE, max(steps, default=_NONE)
        if steps and jax.process_index() == 0:
            step, fault = _tried(choose, folder, steps)
        step = hosts.from_first("process 0 chooses a checkpoint", step if fault is None else _FAULT)
        if step == _NONE:
            return None
        newest = hosts.from_first("process 0 knows the newest checkpoint", newest)
        if step != _FAULT:
            state_and_meta, fault = _tried(_restored, restore, folder / str(step))
        if hosts.all_agree(f"checkpoint {step} read", fault is None and step != _FAULT):
            return Restored(step, *state_and_meta, newest)
        if hosts.from_first("process 0 sees the same checkpoints as before", _steps(folder) == steps):
            break
    if isinstance(fault, CheckpointError):
        raise fault
    reason = "another process could not" if fault is None else _first_line(fault)
    raise CheckpointError(f"the checkpoints in {folder} cannot be read: {reason}") from fault


def _tried(function: Callable, *args) -> tuple[Any, Exception | None]:
    try:
        return function(*args), None
    except Exception as error:  # noqa: BLE001  as in _state_and_meta; and files may vanish at any moment
        return None, error


def _restored(restore: Callable, folder: epath.Path) -> tuple[Any, dict]:
    state_and_meta = restore(folder)
    seal.check_all_there(folder)
    return state_and_meta


def _newest_whole(folder: epath.Path, steps: list[int]) -> int:
    newest_first = sorted(steps, reverse=True)
    damaged = _damaged_before_a_whole_one(folder, newest_first)
    if damaged and _steps(folder) != steps:
        raise CheckpointError(f"the checkpoints in {folder} changed each time that they were read; try again")
    if len(damaged) == len(steps):
        raise _all_damaged(folder, damaged)
    for step, faults in damaged.items():
        left = "left where it is, the training moves it aside when it goes on"
        log.warning("CHECKPOINT %d IS DAMAGED: %s; %s", step, _first(faults), left)
    return newest_first[len(damaged)]


def _best_step(folder: epath.Path, steps: list[int]) -> int:
    newest = folder / str(_newest_whole(folder, steps))
    meta = _items(newest, meta=ocp.args.JsonRestore())["meta"]
    best = _best(_scores(_with_note(newest, meta)), steps)
    if best is None:
        raise CheckpointError(f"config.eval.checkpoint='best', but no checkpoint in {folder} has a validation score")
    return _checked(folder, best)


def _checked(folder: epath.Path, step: int) -> int:
    if faults := seal.faults(folder / str(step)):
        raise CheckpointError(f"checkpoint {step} in {folder} is damaged: {_first(faults)}")
    return step


def _steps(folder: epath.PathLike) -> list[int]:
    """The steps of all checkpoints in a folder, in order; not of what is half-written."""
    folder = epath.Path(folder)
    if not folder.exists():
        return []
    return sorted(found.step for found in ocp.path.step.standard_name_format().find_all(folder))


def _items(folder: epath.Path, **args) -> dict:
    """Without a CheckpointManager, which is for one process or one run only."""
    return ocp.CompositeCheckpointHandler().restore(folder, args=ocp.args.Composite(**args))


def _state_and_meta(folder: epath.Path, abstract_state) -> tuple[Any, dict]:
    """The items of a checkpoint, the score that was added later among its history."""
    try:
        items = _items(folder, state=ocp.args.StandardRestore(abstract_state), meta=ocp.args.JsonRestore())
        return items["state"], _with_note(folder, items["meta"])
    except Exception as error:  # Orbax and its storage raise whatever it provokes
        raise CheckpointError(
            f"checkpoint {folder.name} in {folder.parent} cannot be restored: {_first_line(error)}\n"
            "It was left as it is. If the model was changed, use a new --workdir."
        ) from error


def _variables(folder: epath.Path) -> dict:
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    stored = ocp.StandardCheckpointHandler().metadata(folder / "state")
    target = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), stored)
    restored = _items(folder, state=ocp.args.StandardRestore(target))["state"]
    return jax.device_get({name: restored[name] for name in ("params", "batch_stats")})


def _with_note(folder: epath.Path, meta: dict) -> dict:
    return {**meta, "history": meta["history"] | json.loads(seal.note(folder) or "{}")}


def _scores(meta: dict) -> dict[int, float]:
    """The validation scores, by step."""
    return {int(step): score for step, score in meta["history"].items()}


def _best(scores: dict[int, float], steps: Iterable[int]) -> int | None:
    """The step with the highest score, the later one of equals; None where no step has one."""
    return max(((scores[step], step) for step in steps if step in scores), default=(None, None))[1]


def _damaged_before_a_whole_one(folder: epath.Path, steps: list[int]) -> dict[int, list[str]]:
    """The faults of the first of `steps`, as many as there are before one without any."""
    damaged = {}
    for step in steps:
        faults = seal.faults(folder / str(step))
        if not faults:
            break
        damaged[step] = faults
    return damaged


def _all_damaged(folder: epath.Path, damaged: dict[int, list[str]]) -> CheckpointError:
    reasons = [f"  step {step}: {_first(faults)}" for step, faults in damaged.items()]
    return CheckpointError(
        "\n".join([f"all checkpoints in {folder} are damaged:", *reasons]) + "\nThey were left as they are."
    )


def _first(faults: list[str]) -> str:
    return faults[0] if len(faults) == 1 else f"{faults[0]}, and {len(faults) - 1} more files"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:600] if str(error).strip() else ''}"
