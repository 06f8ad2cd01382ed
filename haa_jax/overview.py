"""What a run would do and what its network holds, as text."""

import jax
from clu import parameter_overview

from haa_jax.experiment import create_experiment, describe


def show(config) -> str:
    """The resolved config, every parameter with its shape, and what a run would be; checks all that a run checks.

    Raises:
      As `experiment.create_experiment`.
    """
    exp = create_experiment(config)
    table = parameter_overview.get_parameter_overview(exp.abstract_state.params, include_stats=False)
    return f"{config}\n{table}\n{describe(exp)}"


def blocks(params: dict) -> str:
    """The network's parameters, a line for each of its outermost blocks."""
    counts = {name: sum(leaf.size for leaf in jax.tree.leaves(block)) for name, block in params.items()}
    width = max(map(len, counts))
    return "\n".join(f"  {name:{width}} {count:12,}" for name, count in counts.items())
