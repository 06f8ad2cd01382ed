import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from haa_jax.models.pooling import ceil_pads, max_pool

# window, stride, padding: those of the networks, and some that none of them has.
CASES = {
    "I3D, frames": ((1, 3, 3), (1, 2, 2), "SAME"),
    "I3D, all": ((3, 3, 3), (1, 1, 1), "SAME"),
    "I3D, strided": ((3, 3, 3), (2, 2, 2), "SAME"),
    "I3D, blocks": ((2, 2, 2), (2, 2, 2), "SAME"),
    "ResNet": ((1, 3, 3), (1, 2, 2), ((0, 0), (1, 1), (1, 1))),
    "gaps": ((1, 2, 1), (1, 3, 2), ((0, 0), (1, 0), (0, 0))),
    "overlaps": ((5, 2, 3), (2, 1, 1), ((2, 2), (0, 1), (0, 0))),
    "none": ((1, 1, 1), (1, 1, 1), "VALID"),
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradient_are_those_of_flax(case):
    window, stride, padding = CASES[case]
    x = jax.random.permutation(jax.random.key(0), jnp.arange(2 * 5 * 7 * 6 * 3, dtype=jnp.float32))  # no two are equal
    x = x.reshape(2, 5, 7, 6, 3) - 600
    own, pull_back = jax.vjp(lambda x: max_pool(x, window, stride, padding), x)
    expected, pull_back_flax = jax.vjp(lambda x: nn.max_pool(x, window, stride, padding), x)
    np.testing.assert_array_equal(own, expected, strict=True)
    dy = jax.random.normal(jax.random.key(1), own.shape)
    np.testing.assert_allclose(pull_back(dy)[0], pull_back_flax(dy)[0], rtol=1e-6, atol=1e-6, strict=True)


def test_the_gradient_is_shared_among_all_that_hold_the_maximum():
    x = jnp.array([1.0, 3, 3, 3, 0, 3]).reshape(1, 1, 1, 6, 1)
    pool = functools.partial(max_pool, window=(1, 1, 3), stride=(1, 1, 1), padding="SAME")
    gradient = jax.grad(lambda x: pool(x).sum())(x)[0, 0, 0, :, 0]
    # The windows: 1 3, 1 3 3, 3 3 3, 3 3 0, 3 0 3, 0 3.
    np.testing.assert_allclose(gradient, [0, 1 + 1 / 2 + 1 / 3, 1 / 2 + 1 / 3 + 1 / 2, 1 / 3 + 1 / 2 + 1 / 2, 0, 3 / 2])


def test_a_gradient_in_bfloat16_stays_in_it():
    x = jnp.arange(8, dtype=jnp.bfloat16).reshape(1, 2, 2, 2, 1)
    pool = functools.partial(max_pool, window=(2, 2, 2), stride=(2, 2, 2), padding="VALID")
    gradient = jax.grad(lambda x: pool(x).astype(jnp.float32).sum())(x)
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_array_equal(gradient.ravel(), [0] * 7 + [1])


def test_only_a_cpu_pools_by_axis():
    def loss(x):
        return max_pool(x, (3, 3, 3), (1, 1, 1), "SAME").sum()

    traced = jax.jit(jax.grad(loss)).trace(jnp.zeros((1, 4, 4, 4, 2)))
    for platform, windowed in {"cpu": 0, "tpu": 1, "cuda": 1}.items():
        program = traced.lower(lowering_platforms=(platform,)).as_text()
        assert program.count("stablehlo.select_and_scatter") == windowed


@pytest.mark.parametrize(("size", "last"), [(7, 0), (8, 1), (9, 0)])
def test_ceil_pads_cover_the_input(size, last):
    assert ceil_pads((size,), (3,), (2,)) == [(0, last)]
    (pads,) = ceil_pads((size,), (3,), (2,))
    assert size <= 3 + 2 * ((size + sum(pads) - 3) // 2)
