"""One training step of I3D on small clips, in float32, against this project's own numbers in float64.

The slow tests of test_i3d.py show that the step is the published one, at the published size, which takes half a minute.
Here the same code runs on a fraction of the pixels, and i3d_small_step.json has what it gave in float64 then: a change
of a gradient or a statistic is noticed. If a change is meant, and the slow tests pass with it, write the numbers again,
which takes four minutes: python -m tests.models.test_i3d_step
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from haa_jax import models
from haa_jax.learning import losses
from haa_jax.models.parameters import abstract_variables
from tests import golden
from tests.models.test_published import HEADS, config

FILE = golden.FOLDER / "i3d_small_step.json"
KINDS = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var", "bias": "bias"}


def step(dtype) -> dict[str, np.ndarray]:
    """The loss and every gradient and new statistic, by name."""
    module = models.build(config("i3d", ""), HEADS).clone(dtype=dtype)
    clips = jnp.asarray(golden.clips(2, 3, 8, 64, 64), dtype)
    abstract = abstract_variables(module, clips.shape[1:])
    variables = golden.fill(abstract, lambda path: ".".join((*path[:-1], KINDS[path[-1]])))

    variables = jax.tree.map(lambda x: jnp.asarray(x, dtype), variables)

    def loss(params):
        given = {**variables, "params": params}
        (logits, _), updates = module.apply(given, clips, train=True, mutable=["batch_stats"])
        return losses.loss_fn(logits, {"atomic": jnp.array([3, 7])}), updates["batch_stats"]

    with jax.default_matmul_precision("highest"):
        (value, statistics), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])
    flat = traverse_util.flatten_dict({"loss": value, "grads": grads, "statistics": statistics}, sep="/")
    return {name: np.asarray(array, np.float64) for name, array in flat.items()}


# A ReLU or max pool near a tie that flips with float32's rounding moves a gradient (see test_i3d.py), not a statistic.
TOLERANCES = {"loss": 3e-5, "statistics": 2e-4, "grads": 0.1}


def test_a_step_gives_the_numbers_that_it_gave():
    expected, found = json.loads(FILE.read_text()), step(jnp.float32)
    assert found.keys() == expected.keys()
    for name, row in expected.items():
        error = golden.relative_error(found[name], golden.Expected(**row | {"first": np.array(row["first"])}))
        assert error < TOLERANCES[name.partition("/")[0]], name


def row(array: np.ndarray) -> dict:
    """What is kept of an array: the fields of `golden.Expected`."""
    return {
        "shape": array.shape,
        "sum": array.sum(),
        "l2": np.linalg.norm(array),
        "first": array.ravel()[:4].tolist(),
    }


if __name__ == "__main__":
    with jax.enable_x64(True):
        rows = {name: row(array) for name, array in step(jnp.float64).items()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(numbers)}" for name, numbers in rows.items())
    FILE.write_text(f"{{{lines}}}\n")
