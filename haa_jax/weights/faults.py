"""What is wrong with the values of tensors whose names and shapes fit."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from haa_jax.models.skeleton import PARTITIONS, SKELETONS, spatial_adjacency
from haa_jax.weights.fit import ADJACENCY, Fit


def in_values(tensors: Mapping[str, np.ndarray], fit: Fit) -> tuple[str, ...]:
    """A line on each tensor in use whose values cannot be used, and what to do."""
    used = dict.fromkeys([*fit.taken.values(), *fit.gammas.values()])
    numbers = {name: tensors[name] for name in used if jnp.issubdtype(tensors[name].dtype, np.floating)}
    integers = [f"not floating-point: {name} ({tensors[name].dtype})" for name in used if name not in numbers]
    if integers:
        integers.append("What to do: use the weights before they were quantized, or save each tensor's dequantize()")
    bad = {name: _not_finite(tensor) for name, tensor in numbers.items()}
    not_finite = [f"not finite: {name} ({n} of {numbers[name].size})" for name, n in bad.items() if n]
    variances = {name for path, name in fit.taken.items() if path[-1] == "var" and name in numbers}
    not_finite += [f"a negative variance: {name}" for name in used if name in variances and (numbers[name] < 0).any()]
    if not_finite:
        not_finite.append(
            "What to do: use another file or an earlier checkpoint: the training diverged, or the file is damaged"
        )
    return (*integers, *not_finite)


def in_graph(tensors: Mapping[str, np.ndarray], fit: Fit, config: ConfigDict) -> tuple[str, ...]:
    """A line if an ST-GCN file has a graph other than that of `config` (config.model), and what to do.

    ST-GCN files have the adjacency that the network was trained with, as `A` or, in mmaction2, in every block.
    """
    adjacencies = [name for name, reason in fit.unused.items() if reason == ADJACENCY]
    others = [name for name in adjacencies if not _is_graph(tensors[name], config.variant, config.partition)]
    if not others:
        return ()
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    graphs = [
        f"config.model.variant={variant!r}, config.model.partition={partition!r}"
        for variant in SKELETONS
        for partition in PARTITIONS
        if all(_is_graph(tensors[name], variant, partition) for name in others)
    ]
    return (
        f"another graph: {others[0]}{more} is not that of config.model.variant={config.variant!r}, "
        f"config.model.partition={config.partition!r}",
        f"What to do: {f'set {graphs[0]}' if graphs else 'use a file with one of these graphs; this one has another'}",
    )


def _not_finite(tensor: np.ndarray) -> int:
    """Numbers that are NaN or infinite, as float32."""
    with np.errstate(over="ignore"):
        return int((~np.isfinite(tensor.astype(np.float32))).sum())


def _is_graph(tensor: np.ndarray, variant: str, partition: str) -> bool:
    """Whether a tensor is this adjacency, to within half of the last digit of numbers up to 1 in its dtype."""
    ours = spatial_adjacency(SKELETONS[variant], partition)
    digit = jnp.finfo(tensor.dtype).eps if jnp.issubdtype(tensor.dtype, np.floating) else 0
    tolerance = max(1e-6, float(digit) / 2)
    return tensor.shape == ours.shape and bool((np.abs(tensor.astype(np.float64) - ours) <= tolerance).all())
