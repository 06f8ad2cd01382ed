"""Gradient accumulation: a function's mean over the microbatches of a batch, one after another."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def split(batch, count: int):
    """A pytree of (B, ...) arrays as one of (count, B / count, ...).

    Microbatch i is every count-th row, starting from row i: each device keeps its own rows.
    """

    def rows_of_each(rows: jax.Array) -> jax.Array:
        return rows.reshape(rows.shape[0] // count, count, *rows.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(rows_of_each, batch)


def mean(function: Callable, microbatches, count: int):
    """The mean of a function's outputs over all microbatches, evaluated one after another.

    Args:
      function: (number of the microbatch, microbatch) to a pytree of arrays.
      microbatches: what `split` returns for the same `count`.
    """
    if count == 1:  # a loop of one iteration would keep XLA from optimizing across its boundary
        return function(0, jax.tree.map(lambda rows: rows[0], microbatches))

    def add(total, numbered):
        return jax.tree.map(jnp.add, total, function(*numbered)), None

    numbered = (jnp.arange(count), microbatches)
    shapes = jax.eval_shape(function, *jax.tree.map(lambda rows: rows[0], numbered))
    zeros = jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), shapes)
    total, _ = jax.lax.scan(add, zeros, numbered)
    return jax.tree.map(lambda array: array / count, total)
