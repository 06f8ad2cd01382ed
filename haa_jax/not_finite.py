"""Stops a training whose loss or gradient has become NaN or infinite, and records which clips were in that step."""

import json
import math

import jax
from etils import epath

from haa_jax.data import sampling
from haa_jax.errors import UserError
from haa_jax.experiment import Experiment
from haa_jax.runtime.checkpoint import Checkpoints
from haa_jax.runtime.files import atomic_write

NOT_FINITE_FILE = "not_finite.json"


class NonFiniteError(UserError, RuntimeError):
    """The loss or the gradient is NaN or infinite."""


def check(values: dict[str, float], step: int, exp: Experiment, workdir: epath.Path, checkpoints: Checkpoints) -> None:
    """Raises NonFiniteError, after writing NOT_FINITE_FILE, if a metric of the step that ended at `step` is not finite.

    The file holds {"step", "metrics": {name: "nan" or "inf"}, "clip_ids", "checkpoint": step of the newest or null}.
    """
    bad = {name: value for name, value in values.items() if not math.isfinite(value)}
    if not bad:
        return
    split = exp.splits["train"]
    clips, _ = sampling.batch_clips(exp.config.seed, step - 1, exp.config.train.batch_size, len(split))
    newest = checkpoints.newest_step()
    report = {
        "step": step,
        "metrics": {name: str(value) for name, value in bad.items()},
        "clip_ids": [split.index.clip_id[clip] for clip in clips],
        "checkpoint": newest,
    }
    if jax.process_index() == 0:
        with atomic_write(workdir / NOT_FINITE_FILE) as file:
            file.write(json.dumps(report, indent=2).encode())
    kept = "there is no earlier checkpoint" if newest is None else f"checkpoint {newest} is kept"
    raise NonFiniteError(
        f"step {step}: {bad}; {kept}, and {workdir / NOT_FINITE_FILE} lists the clips of the step. "
        "Lower the learning rate?"
    )
