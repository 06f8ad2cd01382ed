"""Where a training starts: from its newest checkpoint, from the weights that the config names, or from random ones."""

import glob
import logging

from etils import epath

from haa_jax import overview, restore
from haa_jax.errors import UserError
from haa_jax.experiment import Experiment
from haa_jax.learning.train_state import TrainState
from haa_jax.runtime import paths
from haa_jax.runtime.checkpoint import Checkpoints
from haa_jax.weights import importer, kinetics

log = logging.getLogger(__name__)

# What may change when a run is resumed, since it affects neither what is learned nor from what.
FREE_TO_CHANGE = (
    *("config.eval", "config.checkpoint", "config.log_every_seconds", "config.mesh", "config.init_from"),
    *("config.data.threads", "config.data.prefetch", "config.data.data_dir"),
)


class ResumeError(UserError, RuntimeError):
    """A workdir whose checkpoints are of an experiment with other settings or data."""


def restore_or_init(exp: Experiment, checkpoints: Checkpoints) -> tuple[TrainState, dict[str, float]]:
    """The state to start from, and the validation scores so far by step.

    Raises:
      ResumeError, restore.RestoreError: the checkpoints are of other settings, data or classes.
      checkpoint_reader.CheckpointError: none can be restored.
      paths.PathError, readers.WeightsError: `config.init_from` is missing, or does not fit the network.
    """
    restored = checkpoints.restore_latest(exp.abstract_state)
    if restored is not None:
        restore.check_classes(restored.meta["classes"], exp.classes)
        check_same_experiment(restored.meta, exp.meta, exp.config.checkpoint.allow_changes)
        log.info("resuming from the checkpoint at step %d", restored.step)
        return restored.state, restored.meta["history"]
    init_from = weights_path(exp.config.init_from)
    train_state = exp.fresh_state()
    log.info("parameters:\n%s", overview.blocks(train_state.params))
    if init_from:
        train_state, fit = importer.start_from(init_from, exp.config.model, train_state)
        log.info("starting from %s with new heads; %s", init_from, importer.describe(fit))
    return train_state, {}


def weights_path(init_from: str) -> str:
    """`config.init_from` as a path; a bare name other than "kinetics-400" is left as it is.

    Raises:
      PathError: it is a path without a file.
      WeightsError: it is "kinetics-400", whose package is not installed.
    """
    path = kinetics.locate(init_from)
    is_path = "/" in path or epath.Path(path).suffix
    # A TensorFlow checkpoint is named by the common beginning of its files' names.
    if is_path and paths.is_local(path) and not glob.glob(f"{glob.escape(path)}*"):
        raise paths.PathError(f"config.init_from={path}: there is no such file or workdir")
    return path


def check_same_experiment(stored: dict, now: dict, allow_changes: bool = False) -> None:
    """Compares the settings and the data of a checkpoint with those of the run that would resume from it.

    Args:
      stored, now: `Experiment.meta` of each.
      allow_changes: only warn.

    Raises:
      ResumeError: lists what differs, other than what is FREE_TO_CHANGE.
    """
    before, after = (_flat({key: meta[key] for key in ("config", "dataset")}) for meta in (stored, now))
    changed = [key for key in sorted(before.keys() & after.keys()) if before[key] != after[key]]
    changed = [key for key in changed if not key.startswith(FREE_TO_CHANGE)]
    if not changed:
        return
    lines = [f"  {key}: {before[key]!r} in the checkpoint, {after[key]!r} now" for key in changed]
    if allow_changes:
        log.warning("RESUMING WITH SETTINGS OTHER THAN THE CHECKPOINT'S:\n%s", "\n".join(lines))
        return
    raise ResumeError(
        "\n".join(["the workdir's checkpoints are of another experiment:", *lines])
        + "\nUse a new --workdir, or --config.checkpoint.allow_changes=True to resume nevertheless."
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
