"""What the paper's tables cost: runs x steps x FLOPs a step, counted in the networks that the runs train.

    python -m haa_jax.paper.costs        prints the table of docs/paper.md; takes minutes, and trains nothing

A step of B clips costs B times that of one clip, and an epoch has all training clips, so a run costs epochs x clips x
FLOPs a clip: forward and backward pass as they are traced, without the gradients that frozen layers do not need. The
clips of HAA500 are known; those of other datasets depend on what is packaged, so their share is per 1,000 training
clips.

Not counted: evaluation, decoding, flow, and what is not a convolution or a matrix product.
"""

import collections
import dataclasses
import functools
import json
from collections.abc import Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from haa_jax import models, streams
from haa_jax.configs import base
from haa_jax.experiment import clip_shape, train_step
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.train_state import abstract_state
from haa_jax.models.cost import multiply_adds
from haa_jax.models.parameters import abstract_variables
from haa_jax.paper import commands
from haa_jax.paper.printed import INSTRUMENTS, SPORTS
from haa_jax.paper.runs import RUNS
from haa_jax.paper.tables import TABLES
from haa_jax.runtime import mesh

# Training clips of HAA500: 16 of each class, of all or of the classes of an area.
CLIPS = {"": 16 * 500, SPORTS: 16 * 212, INSTRUMENTS: 16 * 51}
CLASSES = 500  # of the one head here; the last layer is a thousandth of the cost or less
PER = 1000  # clips of another dataset


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of some runs.

    Attributes:
      runs: how many are trained.
      haa500: FLOPs of those on HAA500.
      others: dataset -> FLOPs per PER of its training clips, of all runs on it.
    """

    runs: int
    haa500: float
    others: dict[str, float]


def of_tables(names: Sequence[str]) -> Cost:
    """The cost of all runs that some tables need, each once; those of one table that others share are included."""
    cells = [cell.run for name in names for cell in TABLES[name].cells]
    needed = [run for run in commands.needed(cells) if run in RUNS]
    haa500, others = 0.0, collections.Counter()
    for run in needed:
        config = commands.config(run)
        family, _, folder = config.data.dataset.partition("/")
        flops = config.train.epochs * flops_a_clip(run)
        if family == "haa500":
            haa500 += CLIPS[config.area or (INSTRUMENTS if folder == "instruments" else "")] * flops
        else:
            others[folder] += PER * flops
    return Cost(len(needed), haa500, dict(others))


def flops_a_clip(run: str) -> float:
    """FLOPs of a training step on one clip: two for each multiply-add of its forward and its backward pass."""
    config = commands.config(run)
    data = config.data.to_dict() | {"dataset": "", "stride": 1}  # on these, the cost does not depend
    settings = {"model": config.model.to_dict(), "data": data, "trainable": config.optimizer.trainable}
    return 2.0 * _multiply_adds(json.dumps(settings))


@functools.cache
def _multiply_adds(settings: str) -> int:
    """Of a training step on one clip with one head, as traced; nothing is computed."""
    given = json.loads(settings)
    config = base.get_config()
    config.model, config.data = ConfigDict(given["model"]), ConfigDict(given["data"])
    config.optimizer.trainable = tuple(given["trainable"])
    shape = clip_shape(config)
    model = models.build(config.model, {"atomic": CLASSES})
    variables = abstract_variables(model, shape)
    roles = models.parameter_roles(config.model.name, variables)
    optimizer = make_optimizer(config.optimizer, config.train.batch_size, PER, roles)
    state = abstract_state(variables, optimizer, mesh.make_mesh(1))
    labels = {"atomic": jax.ShapeDtypeStruct((1,), np.int32)}
    batch = {"clips": streams.abstract_clips(config.data, 1), "labels": labels}
    return multiply_adds(train_step(config, model, optimizer), state, batch)


def describe(names: Sequence[str]) -> str:
    """The table of docs/paper.md, with a row for each of some tables and for all of them together."""
    rows = [(TABLES[name].title.partition(":")[0], of_tables([name])) for name in names]
    rows.append(("all of these", of_tables(names)))
    lines = ["| table | trainings | on HAA500 | and for each 1,000 training clips of |", "|---|---|---|---|"]
    for title, cost in rows:
        others = ", ".join(f"{name} {_flops(flops)}" for name, flops in sorted(cost.others.items()))
        lines.append(f"| {title} | {cost.runs} | {_flops(cost.haa500)} | {others or '-'} |")
    return "\n".join(lines)


def _flops(flops: float) -> str:
    """In units of 10^15: "1,234"."""
    return f"{flops / 1e15:,.0f}"


if __name__ == "__main__":
    print(describe(list(TABLES)))
