"""Reading the checkpoints of a workdir, also while a training writes to it; nothing is changed.

Each checkpoint holds the state, and meta: what is needed to use it (config, class names, versions) and the validation
history. Orbax writes to a temporary folder and renames it, so a checkpoint is listed only once it is complete. Before
that it is sealed (see seal.py), so that later damage is detected.
"""

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from haa_jax.errors import UserError
from haa_jax.runtime import hosts, paths, seal

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
VARIABLES = ("params", "batch_stats")
READ_ATTEMPTS = 30  # while a training saves faster than a checkpoint can be read
_NONE, _FAULT = -1, -2  # in place of a step


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that cannot be saved or restored; the message gives the reason."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """A checkpoint in memory.

    Attributes:
      step: of this checkpoint.
      state: the pytree that was asked for.
      meta: what was saved along with it, its "history" including a score that was added later.
      newest: the newest step in the workdir when this checkpoint was chosen.
    """

    step: int
    state: Any
    meta: dict
    newest: int


def read(workdir: epath.PathLike, abstract_state=None, best: bool = False) -> Restored:
    """The newest checkpoint of a workdir, or the best; all processes must call it.

    Checkpoints that are still being written are not seen. Damaged ones are skipped with a warning; moving them aside is
    left to the training. If the training deletes a checkpoint while it is read, the then newest one is read instead.

    Args:
      abstract_state: a pytree of `jax.ShapeDtypeStruct` with the shardings wanted; None for
        {"params", "batch_stats"} as NumPy arrays, of whatever network they are.
      best: the checkpoint with the highest validation score instead of the newest one.

    Raises:
      CheckpointError: there is no checkpoint; all are damaged, or the best is; none has a score; or it is of another
        network than `abstract_state`.
    """
    choose = _best_step if best else _newest_undamaged
    restore = _variables_and_meta if abstract_state is None else lambda folder: state_and_meta(folder, abstract_state)
    return _read(workdir, choose, restore)


def read_variables(workdir: epath.PathLike) -> dict:
    """The variables of the newest checkpoint of a workdir, of whatever network; all processes must call it.

    Unlike `read`, this never falls back to an older checkpoint.

    Returns:
      {"params", "batch_stats"} as trees of NumPy arrays.

    Raises:
      CheckpointError: there is no checkpoint, or the newest is damaged or cannot be restored.
    """
    return _read(workdir, lambda folder, steps: _checked(folder, max(steps)), _variables_and_meta).state


def read_meta(workdir: epath.PathLike) -> dict:
    """What was saved along with the newest checkpoint of a workdir: "config", "classes", "history", ...; see `read`."""
    return _read(workdir, _newest_undamaged, lambda folder: (None, _meta(folder))).meta


def _read(workdir, choose: Callable, restore: Callable) -> Restored:
    """Restores the checkpoint that `choose` picks, the same in all processes.

    A training deletes an old checkpoint once a newer one is complete. So if anything fails and the list of checkpoints
    has changed, it is tried again. A checkpoint that vanished while it was read may have been read in part and is
    discarded.

    Args:
      choose: (folder of all, their steps) to a step; called in process 0.
      restore: folder of one checkpoint to (state, meta).
    """
    folder = paths.absolute(workdir) / FOLDER
    for _ in range(READ_ATTEMPTS):
        steps, fault = steps_in(folder), None
        step, newest = _NONE, max(steps, default=_NONE)
        if steps and jax.process_index() == 0:
            step, fault = _tried(choose, folder, steps)
        step = hosts.broadcast("process 0 chooses a checkpoint", step if fault is None else _FAULT)
        if step == _NONE:
            raise CheckpointError(f"{folder} holds no checkpoint")
        newest = hosts.broadcast("process 0 lists the checkpoints", newest)
        if step != _FAULT:
            restored, fault = _tried(_restored, restore, folder / str(step))
        if hosts.all_agree(f"checkpoint {step} read", fault is None and step != _FAULT):
            return Restored(step, *restored, newest)
        if hosts.broadcast("process 0 lists the checkpoints again", steps_in(folder) == steps):
            break
    if isinstance(fault, CheckpointError):
        raise fault
    reason = "another process could not read them" if fault is None else first_line(fault)
    raise CheckpointError(f"the checkpoints in {folder} cannot be read: {reason}") from fault


def _tried(function: Callable, *args) -> tuple[Any, Exception | None]:
    try:
        return function(*args), None
    except Exception as error:  # noqa: BLE001  as in state_and_meta; and files may vanish at any moment
        return None, error


def _restored(restore: Callable, folder: epath.Path) -> tuple[Any, dict]:
    restored = restore(folder)
    seal.check_all_there(folder)
    return restored


def _newest_undamaged(folder: epath.Path, steps: list[int]) -> int:
    newest_first = sorted(steps, reverse=True)
    damaged = damaged_before_an_undamaged(folder, newest_first)
    if damaged and steps_in(folder) != steps:
        raise CheckpointError(f"the checkpoints in {folder} changed each time they were read; try again")
    if len(damaged) == len(steps):
        raise all_damaged(folder, damaged)
    for step, faults in damaged.items():
        left = "left in place, the training moves it aside when it resumes"
        log.warning("CHECKPOINT %d IS DAMAGED: %s; %s", step, summary(faults), left)
    return newest_first[len(damaged)]


def _best_step(folder: epath.Path, steps: list[int]) -> int:
    best = highest(scores(_meta(folder / str(_newest_undamaged(folder, steps)))), steps)
    if best is None:
        raise CheckpointError(f"the best checkpoint was asked for, but none in {folder} has a validation score")
    return _checked(folder, best)


def _checked(folder: epath.Path, step: int) -> int:
    if faults := seal.faults(folder / str(step)):
        raise CheckpointError(f"checkpoint {step} in {folder} is damaged: {summary(faults)}")
    return step


def steps_in(folder: epath.PathLike) -> list[int]:
    """The steps of all complete checkpoints in a folder, in order."""
    folder = epath.Path(folder)
    if not folder.exists():
        return []
    return sorted(found.step for found in ocp.path.step.standard_name_format().find_all(folder))


def state_and_meta(folder: epath.Path, abstract_state) -> tuple[Any, dict]:
    """The two items of a checkpoint.

    Raises:
      CheckpointError: they cannot be restored, or not as `abstract_state`.
    """
    try:
        return _items(folder, state=ocp.args.StandardRestore(abstract_state))["state"], _meta(folder)
    except Exception as error:  # Orbax and its storage raise all kinds of exceptions
        raise CheckpointError(
            f"checkpoint {folder.name} in {folder.parent} cannot be restored: {first_line(error)}\n"
            "It was left as it is. If the model was changed, use a new --workdir."
        ) from error


def _variables_and_meta(folder: epath.Path) -> tuple[dict, dict]:
    """Without the optimizer's state, which is not read from disk."""
    stored = ocp.StandardCheckpointHandler().metadata(folder / "state")
    wanted = {name: stored[name] for name in VARIABLES}
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted)
    args = ocp.args.PyTreeRestore(item=wanted, restore_args=as_numpy, partial_restore=True)
    return _items(folder, state=args)["state"], _meta(folder)


def _meta(folder: epath.Path) -> dict:
    meta = _items(folder, meta=ocp.args.JsonRestore())["meta"]
    return {**meta, "history": meta["history"] | json.loads(seal.note(folder) or "{}")}


def _items(folder: epath.Path, **args) -> dict:
    """Not by a CheckpointManager, which only one process (or one run) may have open."""
    return ocp.CompositeCheckpointHandler().restore(folder, args=ocp.args.Composite(**args))


def scores(meta: dict) -> dict[int, float]:
    """The validation scores, by step."""
    return {int(step): score for step, score in meta["history"].items()}


def highest(scores: dict[int, float], steps: Iterable[int]) -> int | None:
    """The step with the highest score, the later one if equal; None if no step has a score."""
    return max(((scores[step], step) for step in steps if step in scores), default=(None, None))[1]


def damaged_before_an_undamaged(folder: epath.Path, steps: list[int]) -> dict[int, list[str]]:
    """The faults of the leading `steps` that are damaged, up to the first that is not."""
    damaged = {}
    for step in steps:
        faults = seal.faults(folder / str(step))
        if not faults:
            break
        damaged[step] = faults
    return damaged


def all_damaged(folder: epath.Path, damaged: dict[int, list[str]]) -> CheckpointError:
    reasons = [f"  step {step}: {summary(faults)}" for step, faults in damaged.items()]
    return CheckpointError(
        "\n".join([f"all checkpoints in {folder} are damaged:", *reasons]) + "\nThey were left as they are."
    )


def summary(faults: list[str]) -> str:
    """The first fault, and how many more there are."""
    return faults[0] if len(faults) == 1 else f"{faults[0]}, and {len(faults) - 1} more files"


def first_line(error: Exception) -> str:
    """The type and the first line of an exception."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:600] if str(error).strip() else ''}"
