"""What a run will do, and what its network consists of, as text."""

import math

import jax
import numpy as np
from clu import parameter_overview

from haa_jax.data.labels import Head
from haa_jax.experiment import Experiment, create_experiment
from haa_jax.runtime import mesh


def show(config) -> str:
    """The resolved config, every parameter with its shape, and a summary; checks everything that a run checks.

    Raises:
      As `experiment.create_experiment`.
    """
    exp = create_experiment(config)
    table = parameter_overview.get_parameter_overview(exp.abstract_state.params, include_stats=False)
    return f"{config}\n{table}\n{describe(exp)}"


def describe(exp: Experiment) -> str:
    """The network, the data and the length of a training, in a few lines."""
    config = exp.config
    clips = ", ".join(f"{len(split)} {name}" for name, split in exp.splits.items())
    heads = ", ".join(f"{name} ({len(classes)} classes)" for name, classes in exp.classes.items())
    parameters = sum(math.prod(array.shape) for array in jax.tree.leaves(exp.abstract_state.params))
    devices = f"{jax.device_count()} {jax.devices()[0].device_kind} in {jax.process_count()} process(es)"
    weights = [_weights(head, exp.class_weights[head.name]) for head in exp.heads if exp.class_weights]
    return (
        f"{config.model.name}: {parameters:,} parameters, {config.model.dtype}; heads: {heads}\n"
        f"{exp.builder.info.full_name} in {exp.builder.data_dir}: {clips} clips\n"
        f"{exp.total_steps} steps of {config.train.batch_size} clips "
        f"({exp.total_steps / exp.steps_per_epoch:.1f} epochs) on {devices}; {mesh.describe_state(exp.abstract_state)}"
        + "".join(weights)
    )


def _weights(head: Head, weights: np.ndarray) -> str:
    """A line with the least and the greatest weight among the classes that have training clips."""
    low, high = weights[weights > 0].min(), weights.max()
    names = [head.classes[int(np.argmax(weights == weight))] for weight in (low, high)]
    return f"\nclass weights in the loss of {head.name}: {low:.3g} ({names[0]}) to {high:.3g} ({names[1]})"


def blocks(params: dict) -> str:
    """The number of parameters of each outermost block of a network, one line each."""
    counts = {name: sum(leaf.size for leaf in jax.tree.leaves(block)) for name, block in params.items()}
    width = max(map(len, counts))
    return "\n".join(f"  {name:{width}} {count:12,}" for name, count in counts.items())
