import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from haa_jax.models.residual import relu_of_sum

VALUES = [-jnp.inf, -2.0, -0.0, 0.0, 1e-30, 3.0, jnp.inf]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_values_and_gradient_are_those_of_flax(dtype):
    y = jnp.array(VALUES, dtype)
    own, pull_back = jax.vjp(relu_of_sum, y)
    expected, pull_back_flax = jax.vjp(nn.relu, y)
    np.testing.assert_array_equal(own, expected, strict=True)
    np.testing.assert_array_equal(pull_back(jnp.full_like(y, 5)), pull_back_flax(jnp.full_like(y, 5)), strict=True)


def test_not_a_number_is_not_hidden():
    assert jnp.isnan(relu_of_sum(jnp.array(jnp.nan)))


def test_a_sum_is_computed_once_for_all_that_read_it():
    """The next block and the gradient read what the ReLU gave, not what it was the sum of."""

    def loss(first, second, third, kernel):
        block = relu_of_sum(first + second)
        return (relu_of_sum(third + block) * (block @ kernel)).sum()

    shapes = [jax.ShapeDtypeStruct((64, 64), jnp.float32)] * 4
    with jax.default_device(jax.devices("cpu")[0]):
        program = jax.jit(jax.grad(loss, argnums=(0, 2, 3))).lower(*shapes).compile().as_text()
    entry = program[program.index("ENTRY") :]
    readers = re.findall(r"= .*\(.*%first\S*[,)]", entry)
    assert len(readers) == 1


def test_other_devices_use_the_maximum():
    traced = jax.jit(jax.value_and_grad(lambda y: relu_of_sum(y).sum())).trace(jnp.zeros(8))
    for platform, maxima in {"cpu": 0, "tpu": 1, "cuda": 1}.items():
        assert traced.lower(lowering_platforms=(platform,)).as_text().count("stablehlo.maximum") == maxima
