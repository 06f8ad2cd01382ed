"""ST-GCN's sum over neighboring joints: one product with a matrix, and on a CPU the terms of the edges alone.

Of the 3 x 17 x 17 weights of COCO's skeleton, 49 are not zero. On a CPU, the product would first write its operand in
another order, which takes ten times as long as these terms.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax.models import by_platform

Edges = tuple[tuple[int, int, int], ...]  # (subset, from joint, to joint)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def sum_over_neighbors(y: jax.Array, weights: jax.Array, edges: Edges) -> jax.Array:
    """Each joint's sum of `weights` times what its neighbors hold. It has no forward-mode derivatives (`jax.jvp`).

    Args:
      y: (batch, time, joints, subsets, channels).
      weights: (subsets, from joints, to joints), of y's dtype; zero but for `edges`.

    Returns:
      (batch, time, joints, channels).
    """
    return by_platform.choose(_sum, _product, y, weights, edges=edges)


def _save(y, weights, edges):
    return sum_over_neighbors(y, weights, edges), (y, weights)


def _gradients(edges, saved, dy):
    return by_platform.choose(_gradients_of_sum, _gradients_of_product, *saved, dy, edges=edges)


sum_over_neighbors.defvjp(_save, _gradients)


def _product(y, weights, edges):
    del edges  # a product has all weights
    return jnp.einsum("ntvkc,kvw->ntwc", y, weights)


def _gradients_of_product(y, weights, dy, edges):
    return jax.vjp(functools.partial(_product, edges=edges), y, weights)[1](dy)


def _sum(y, weights, edges):
    subset, start, end = np.transpose(edges)
    nodes = y.reshape(*y.shape[:2], -1, y.shape[-1])  # each joint's subsets
    return _sum_over_edges(nodes, weights[subset, start, end], start * y.shape[3] + subset, end, weights.shape[2])


def _gradients_of_sum(y, weights, dy, edges):
    subset, start, end = np.transpose(edges)
    batch, time, joints, subsets, channels = y.shape
    nodes = joints * subsets
    for_y = _sum_over_edges(dy, weights[subset, start, end], end, start * subsets + subset, nodes).reshape(y.shape)
    frames = y.reshape(batch * time, nodes, channels), dy.reshape(batch * time, -1, channels)
    wide = jnp.promote_types(y.dtype, jnp.float32)
    for_weights = jnp.einsum("fnc,fwc->fnw", *frames, preferred_element_type=wide).sum(0)
    return for_y, for_weights.reshape(joints, subsets, -1).swapaxes(0, 1).astype(weights.dtype)


def _sum_over_edges(x, weights, start, end, nodes):
    """For each of so many nodes, the sum over the edges that end there of their weight times x at their start.

    Args:
      x: (batch, time, nodes where edges start, channels).
      weights, start, end: one for each edge.
    """
    of_node = [np.flatnonzero(end == node) for node in range(nodes)]
    total = 0
    for nth in range(max(map(len, of_node))):
        edge = np.array([edges[nth] if nth < len(edges) else -1 for edges in of_node])
        total += x[:, :, start[edge]] * jnp.where(edge < 0, 0, weights[edge])[:, None].astype(jnp.float32)
    return total.astype(x.dtype)
