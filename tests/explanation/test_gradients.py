import jax
import jax.numpy as jnp
import numpy as np
import pytest

from haa_jax.explanation import gradients

X = jnp.linspace(-1, 2, 6).reshape(2, 3)
W = jnp.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.25]])


def branched(w, x):
    """The first value reaches the result twice, through relu and directly; the second is computed from the first."""
    first = jnp.sin(x)
    second = jax.nn.relu(first) @ w
    return (second**2 + first[:, :2]).sum(1), {"second": second, "first": first}


def after_first(first):
    return (((jax.nn.relu(first) @ W) ** 2) + first[:, :2]).sum()


def after_second(second):
    return (second**2).sum()


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_at_values_on_the_way_are_those_of_what_follows(compiled):
    def run(w, x):
        result, values, pull_back = gradients.vjp(branched, w, x)
        return result, values, pull_back(jnp.ones(2))

    result, values, found = (jax.jit(run) if compiled else run)(W, X)
    expected, expected_values = branched(W, X)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    np.testing.assert_allclose(values["first"], expected_values["first"], rtol=1e-6)
    np.testing.assert_allclose(found["first"], jax.grad(after_first)(values["first"]), rtol=1e-5)
    np.testing.assert_allclose(found["second"], jax.grad(after_second)(values["second"]), rtol=1e-5)


def test_a_value_that_the_result_does_not_need_is_an_error():
    with pytest.raises(gradients.UnusedError, match=r"^copy$"):
        gradients.vjp(lambda x: (x.sum(), {"copy": x * 2}), X)


def test_values_keep_their_dtype():
    def halved(x):
        value = x.astype(jnp.bfloat16)
        return value.astype(jnp.float32).sum(), {"value": value}

    _, values, pull_back = gradients.vjp(halved, X)
    assert values["value"].dtype == pull_back(jnp.float32(1))["value"].dtype == jnp.bfloat16
