import jax
import jax.numpy as jnp
import numpy as np
import pytest

from haa_jax.models import graph
from haa_jax.models.skeleton import PARTITIONS, SKELETONS, spatial_adjacency


def problem(skeleton, partition):
    """What joints hold, weights, and the edges, of which one joint has none that ends there."""
    adjacency = spatial_adjacency(SKELETONS[skeleton], partition)
    adjacency[:, :, 3] = 0
    rng = np.random.default_rng(0)
    y = jnp.asarray(rng.normal(size=(2, 5, adjacency.shape[1], 3, 4)), jnp.float32)
    weights = jnp.asarray(adjacency * rng.normal(size=adjacency.shape), jnp.float32)
    return y, weights, tuple(map(tuple, np.argwhere(adjacency).tolist()))


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("skeleton", SKELETONS)
def test_the_sum_and_both_gradients_are_those_of_the_product(skeleton, partition):
    y, weights, edges = problem(skeleton, partition)
    result, pull_back = jax.vjp(lambda y, weights: graph.sum_over_neighbors(y, weights, edges), y, weights)
    expected, pull_back_product = jax.vjp(lambda y, w: jnp.einsum("ntvkc,kvw->ntwc", y, w), y, weights)
    np.testing.assert_allclose(result, expected, atol=2e-6)
    dy = jnp.asarray(np.random.default_rng(1).normal(size=result.shape), jnp.float32)
    for got, want in zip(pull_back(dy), pull_back_product(dy), strict=True):
        np.testing.assert_allclose(got, want, atol=2e-5, strict=True)


def test_bfloat16_is_summed_in_float32():
    y, weights, edges = problem("coco17", "released")
    y, weights = y.astype(jnp.bfloat16), weights.astype(jnp.bfloat16)
    exact = np.einsum("ntvkc,kvw->ntwc", np.float64(y), np.float64(weights))
    result = graph.sum_over_neighbors(y, weights, edges)
    assert result.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float64(result), exact, rtol=2**-8, atol=1e-6)


def test_only_a_cpu_sums_the_edges():
    y, weights, edges = problem("coco17", "released")

    def loss(y, weights):
        return graph.sum_over_neighbors(y, weights, edges).sum()

    traced = jax.jit(jax.grad(loss, argnums=(0, 1))).trace(y, weights)
    programs = {name: traced.lower(lowering_platforms=(name,)).as_text() for name in ("cpu", "tpu", "cuda")}
    assert {name: "stablehlo.gather" in text for name, text in programs.items()} == {
        "cpu": True,
        "tpu": False,
        "cuda": False,
    }
