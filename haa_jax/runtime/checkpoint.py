"""Checkpoints that survive what happens to long runs (Orbax's CheckpointManager in one class).

`Checkpoints` is for the training, of which there is one at a time in a workdir. Everything else reads checkpoints with
checkpoint_reader.py, which describes what they hold.
"""

import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import Iterator

import jax
import orbax.checkpoint as ocp
from etils import epath

from haa_jax.runtime import checkpoint_reader as reader
from haa_jax.runtime import hosts, paths, seal
from haa_jax.runtime.checkpoint_reader import FOLDER, CheckpointError, Restored

log = logging.getLogger(__name__)

DAMAGED_FOLDER = "checkpoints_damaged"


@dataclasses.dataclass
class _Preserved:
    """Orbax's preservation policy: the latest `keep` checkpoints, and the best."""

    keep: int
    scores: dict[int, float]  # on validation, by step

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        preserved = {*steps[-self.keep :], reader.highest(self.scores, steps)}
        return [step in preserved for step in steps]


def _open(folder: epath.Path, options: ocp.CheckpointManagerOptions) -> ocp.CheckpointManager:
    """Orbax's manager of a folder.

    Orbax lists the folder while a thread of it removes half-written checkpoints. A bucket's folder is gone with the
    last of them, so that listing it fails; at the next attempt it is new.
    """
    for seconds in (1, 5):
        try:
            return ocp.CheckpointManager(folder, options=options)
        except FileNotFoundError:
            time.sleep(seconds)  # until the thread is done
    return ocp.CheckpointManager(folder, options=options)


class Checkpoints:
    """The checkpoints of a training run: the latest `keep`, and the one with the best validation score.

    Deletes what a killed run left half-written, so only one process, or the processes of one run, may have it open.
    """

    def __init__(self, workdir: epath.PathLike, keep: int):
        self._workdir = paths.absolute(workdir)
        self._saving = None  # the step being written
        self._preserved = _Preserved(keep, {})
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self._preserved,
            enable_async_checkpointing=True,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._seal),
            cleanup_tmp_directories=True,
        )
        self._manager = _open(self._workdir / FOLDER, options)

    def save(self, step: int, state, meta: dict) -> None:
        """Starts saving in the background; if this step is saved already, only a new validation score is added.

        Args:
          meta: serializable as JSON; its "history" is {step as text: validation score}.

        Raises:
          CheckpointError: this or the previous save failed, for instance because the disk is full.
        """
        self.wait()
        known = step in self._preserved.scores
        self._update_scores(meta)
        if step in self._manager.all_steps():
            if step in self._preserved.scores and not known:
                self._add_score(step)
            return
        args = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta))
        self._saving = step
        with self._saving_errors(f"checkpoint {step}"):
            self._manager.save(step, args=args, force=True)

    def _add_score(self, step: int) -> None:
        """The checkpoint itself, which may be the only one, is not touched."""
        with self._saving_errors(f"the validation score of checkpoint {step}"):
            if jax.process_index() == 0:
                seal.add_note(self._folder(step), json.dumps({str(step): self._preserved.scores[step]}))

    def restore_latest(self, abstract_state) -> Restored | None:
        """The newest undamaged checkpoint, or None if there is no checkpoint at all.

        Args:
          abstract_state: a pytree of `jax.ShapeDtypeStruct` with the shardings wanted.

        Raises:
          CheckpointError: all checkpoints are damaged, or the newest undamaged one is of another network; nothing is
            changed then.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not steps:
            return None
        damaged = self._damaged(steps)
        for step, faults in damaged.items():
            log.warning("CHECKPOINT %d IS DAMAGED: %s", step, reader.summary(faults))
        count = hosts.broadcast("process 0 checks the checkpoints", len(damaged))
        if count == len(steps):
            raise reader.all_damaged(self._manager.directory, damaged)
        restored = self._restore(steps[count], abstract_state)
        self._move_aside(steps[:count])
        return restored

    def restore(self, step: int, abstract_state) -> Restored:
        """The checkpoint of a step.

        Raises:
          CheckpointError: it is damaged, or of another network than `abstract_state`.
        """
        damaged = self._damaged([step])
        if hosts.broadcast(f"process 0 checks checkpoint {step}", len(damaged)):
            faults = reader.summary(damaged.get(step, ["see process 0"]))
            raise CheckpointError(f"checkpoint {step} in {self._manager.directory} is damaged: {faults}")
        return self._restore(step, abstract_state)

    def _damaged(self, steps: list[int]) -> dict[int, list[str]]:
        """In process 0, the faults of the leading `steps` that are damaged; {} in the others."""
        if jax.process_index() != 0:
            return {}
        return reader.damaged_before_an_undamaged(self._manager.directory, steps)

    def _restore(self, step: int, abstract_state) -> Restored:
        with hosts.waiting(f"checkpoint {step} restored"):
            state, meta = reader.state_and_meta(self._folder(step), abstract_state)
        self._update_scores(meta)
        return Restored(step, state, meta, max(self._manager.all_steps()))

    def newest_step(self) -> int | None:
        """The newest step on disk, after waiting for a save in the background.

        Raises:
          CheckpointError: the save in the background failed.
        """
        self.wait()
        return max(self._manager.all_steps(), default=None)

    def best_step(self) -> int | None:
        """The step with the highest validation score among those saved or restored; the later one if equal."""
        return reader.highest(self._preserved.scores, self._manager.all_steps())

    def wait(self) -> None:
        """Returns when everything is on disk.

        Raises:
          CheckpointError: the save in the background failed.
        """
        with self._saving_errors(f"checkpoint {self._saving}"):
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    @contextlib.contextmanager
    def _saving_errors(self, what: str) -> Iterator[None]:
        """Turns whatever fails within into a CheckpointError."""
        try:
            with hosts.waiting(f"{what} saved"):
                yield
        except Exception as error:  # Orbax and its storage raise all kinds of exceptions
            reason = reader.first_line(error)
            raise CheckpointError(
                f"{what} could not be saved in {self._manager.directory}: {reason}\n{self._what_is_left()}"
            ) from error

    def _what_is_left(self) -> str:
        newest = max(reader.steps_in(self._manager.directory), default=None)
        if newest is None:
            return "There is no checkpoint yet: the same command starts from the beginning."
        return f"The earlier checkpoints are untouched: the same command resumes from checkpoint {newest}."

    def close(self) -> None:
        self._manager.close()

    def _update_scores(self, meta: dict) -> None:
        self._preserved.scores |= reader.scores(meta)

    def _folder(self, step: int) -> epath.Path:
        return epath.Path(self._manager.directory) / str(step)

    def _seal(self) -> None:
        """Called by Orbax in process 0 when all is written, just before the checkpoint gets its final name."""
        names = (str(self._saving), f"{self._saving}{ocp.utils.TMP_DIR_SUFFIX}")  # buckets are written in place
        folders = [epath.Path(self._manager.directory) / name for name in names]
        (folder,) = (folder for folder in folders if folder.exists())
        seal.seal(folder)

    def _move_aside(self, damaged: list[int]) -> None:
        """Frees the step numbers of damaged checkpoints without deleting anything."""
        if not damaged:
            return
        if jax.process_index() == 0:
            folder = self._workdir / DAMAGED_FOLDER
            folder.mkdir(parents=True, exist_ok=True)
            for step in damaged:
                # In a bucket, a folder without files is not there, whether it was made or not.
                target = folder / f"{step}-{len(list(folder.iterdir())) if folder.exists() else 0}"
                _move(self._folder(step), target)
                log.warning("DAMAGED CHECKPOINT %d MOVED TO %s", step, target)
        hosts.barrier("damaged checkpoints moved aside")
        self._manager.reload()


def _move(folder: epath.Path, target: epath.Path) -> None:
    """Renames a folder; in a bucket, which has none, moves file by file.

    If that is interrupted, every file is in one place or the other: the mark of a complete checkpoint goes last, since
    Orbax deletes what has none.
    """
    if paths.is_local(folder):
        folder.rename(target)
        return
    files = seal.all_files(folder)
    for name in sorted(files, key=lambda name: name == seal.COMMITTED):
        files[name].copy(target / name)
        files[name].unlink(missing_ok=True)  # a request whose answer was lost is sent again, and finds nothing
