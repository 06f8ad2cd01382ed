import jax.numpy as jnp
import numpy as np
import optax
import pytest

from haa_jax.learning import losses


def test_the_joint_loss_is_the_sum_of_both_cross_entropies():
    logits = {"atomic": jnp.log(jnp.array([[0.5, 0.25, 0.25]])), "composite": jnp.log(jnp.array([[0.9, 0.1]]))}
    labels = {"atomic": jnp.array([1]), "composite": jnp.array([0])}
    expected = -np.log(0.25) - np.log(0.9)
    assert float(losses.loss_fn(logits, labels)) == pytest.approx(expected, rel=1e-6)
    one = {"atomic": logits["atomic"]}
    assert float(losses.loss_fn(one, labels)) == pytest.approx(-np.log(0.25), rel=1e-6)


def test_an_auxiliary_head_counts_half():
    logits = {"atomic": jnp.log(jnp.array([[0.5, 0.5]])), "aux_atomic": jnp.log(jnp.array([[0.2, 0.8]]))}
    expected = -np.log(0.5) - 0.5 * np.log(0.2)
    assert float(losses.loss_fn(logits, {"atomic": jnp.array([0])})) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_cross_entropy_in_numpy_is_optaxs(scale):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(scale=scale, size=(7, 5)).astype(np.float32), rng.integers(0, 5, 7)
    expected = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits), jnp.asarray(labels)).mean()
    assert losses.cross_entropy(logits, labels) == pytest.approx(float(expected), rel=1e-6)
