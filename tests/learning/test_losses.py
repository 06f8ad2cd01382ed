import jax
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


def test_each_head_and_its_auxiliary_one_have_the_weights_of_their_classes():
    logits = {
        "atomic": jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])),
        "aux_atomic": jnp.log(jnp.array([[0.2, 0.4, 0.4], [0.3, 0.3, 0.4]])),
        "composite": jnp.log(jnp.array([[0.9, 0.1], [0.6, 0.4]])),
    }
    labels = {"atomic": jnp.array([1, 2]), "composite": jnp.array([0, 1])}
    weights = {"atomic": jnp.array([7.0, 0.5, 3.0]), "composite": jnp.array([2.0, 0.25])}
    atomic = -(0.5 * np.log(0.25) + 3 * np.log(0.8)) / 2
    auxiliary = -0.5 * (0.5 * np.log(0.4) + 3 * np.log(0.4)) / 2
    composite = -(2 * np.log(0.9) + 0.25 * np.log(0.4)) / 2
    assert float(losses.loss_fn(logits, labels, weights)) == pytest.approx(atomic + auxiliary + composite, rel=1e-6)


def test_balanced_weights():
    """scikit-learn's; classes without training clips are left out."""
    labels = np.array([0, 0, 0, 0, 0, 0, 2, 2])
    assert losses.balanced(labels, 4).tolist() == pytest.approx([8 / 12, 0, 8 / 4, 0])
    present, counts = np.unique(labels, return_counts=True)
    assert (losses.balanced(labels, 4)[present] * counts).tolist() == pytest.approx([4, 4])


def test_balanced_weights_raise_the_recall_of_a_rare_class():
    """Two overlapping classes of 190 and 10 points, by logistic regression."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [190, 10])
    points = jnp.asarray(rng.normal(size=(200, 2)) + 1.5 * labels[:, None], jnp.float32)

    def recalls(class_weights):
        def loss(params):
            return losses.loss_fn({"atomic": points @ params[0] + params[1]}, {"atomic": labels}, class_weights)

        step = jax.jit(lambda params: jax.tree.map(lambda p, g: p - g, params, jax.grad(loss)(params)))
        params = (jnp.zeros((2, 2)), jnp.zeros(2))
        for _ in range(200):
            params = step(params)
        right = (points @ params[0] + params[1]).argmax(1) == labels
        return float(right[labels == 0].mean()), float(right[labels == 1].mean())

    frequent, rare = recalls(None)
    assert frequent > 0.98
    assert rare < 0.5
    frequent, rare = recalls({"atomic": jnp.asarray(losses.balanced(labels, 2))})
    assert frequent > 0.75
    assert rare > 0.8


def test_binary_cross_entropy_is_the_mean_over_clips_and_classes():
    probabilities = np.array([[0.9, 0.2, 0.5], [0.3, 0.6, 0.1]])
    labels = np.array([[1, 0, 1], [0, 0, 1]], np.int8)
    logits = np.log(probabilities / (1 - probabilities))
    expected = -np.log(np.where(labels, probabilities, 1 - probabilities)).mean()
    on_device = {"atomic": jnp.asarray(logits), "aux_atomic": jnp.asarray(logits)}
    assert float(losses.binary_cross_entropy(on_device, {"atomic": labels})) == pytest.approx(1.5 * expected, rel=1e-6)
    assert losses.mean_binary_cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-6)


def test_exact_matches():
    labels = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.int8)
    logits = jnp.array([[1.0, -1, 2], [-1, 1, 1], [-1, -1, -1], [3, 1, 1]])
    assert float(losses.exact_matches(logits, labels)) == 0.5
