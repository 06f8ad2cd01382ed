import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from haa_jax.configs import base
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.models.parameters import roles


def updates(config, params, grads, steps=1, norms=(), heads=(), stem=()):
    """The last update of some steps of the same gradient; `norms` are the BatchNorms among the modules."""
    statistics = traverse_util.unflatten_dict({(*name.split("/"), "mean"): jnp.zeros(1) for name in norms})
    variables = {"params": params, "batch_stats": statistics}
    optimizer = make_optimizer(config.optimizer, 384, 1000, roles(variables, heads, stem))
    state = optimizer.init(params)
    for _ in range(steps):
        result, state = optimizer.update(grads, state, params)
    return result


def test_only_kernels_decay_and_momentum_adds_up():
    config = base.get_config()
    config.optimizer.weight_decay = 0.5
    params = {"conv": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    grads = {"conv": {"kernel": jnp.zeros(1), "bias": jnp.ones(1)}}
    result = updates(config, params, grads)["conv"]
    assert float(result["kernel"][0]) == pytest.approx(-0.1 * 0.5)
    assert float(result["bias"][0]) == pytest.approx(-0.1)
    second = updates(config, params, grads, steps=2)["conv"]
    assert float(second["bias"][0]) == pytest.approx(-0.1 * 1.9)
    assert float(second["kernel"][0]) == pytest.approx(-0.1 * 0.5 * 1.9)  # the decay has momentum too, as torch's


@pytest.mark.parametrize(
    ("decay", "decayed"),
    [
        ("kernels", {"conv/kernel", "Logits/kernel"}),
        ("not_batchnorm", {"conv/kernel", "conv/bias", "Logits/kernel", "Logits/bias"}),
        ("all", {"conv/kernel", "conv/bias", "bn/scale", "bn/bias", "Logits/kernel", "Logits/bias"}),
    ],
)
def test_what_decays(decay, decayed):
    config = base.get_config()
    config.optimizer.update(weight_decay_mask=decay, weight_decay=0.5)
    params = {
        "conv": {"kernel": jnp.ones(1), "bias": jnp.ones(1)},
        "bn": {"scale": jnp.ones(1), "bias": jnp.ones(1)},
        "Logits": {"kernel": jnp.ones(1), "bias": jnp.ones(1)},
    }
    result = updates(config, params, jax.tree.map(jnp.zeros_like, params), norms=["bn"])
    moved = {f"{module}/{name}" for module, leaves in result.items() for name, x in leaves.items() if float(x[0])}
    assert moved == decayed


def test_heads_and_biases_learn_faster_but_not_the_biases_of_batchnorm():
    config = base.get_config()
    config.optimizer.update(bias_lr_multiplier=2.0, head_lr_multiplier=5.0, weight_decay=0.0)
    linear = {"bias": jnp.zeros(1), "kernel": jnp.zeros(1)}
    params = {"conv": linear, "tcn_bn": {"bias": jnp.zeros(1)}, "Logits": linear, "AuxLogits": linear}
    ones = jax.tree.map(jnp.ones_like, params)
    result = updates(config, params, ones, norms=["tcn_bn"], heads=["Logits", "AuxLogits"])
    assert {name: float(*leaf["bias"]) for name, leaf in result.items()} == pytest.approx(
        {"conv": -0.2, "tcn_bn": -0.1, "Logits": -1.0, "AuxLogits": -1.0}
    )
    assert {name: float(*leaf["kernel"]) for name, leaf in result.items() if "kernel" in leaf} == pytest.approx(
        {"conv": -0.1, "Logits": -0.5, "AuxLogits": -0.5}
    )


def test_the_first_convolution_learns_faster_its_bias_too_but_not_its_batchnorm():
    config = base.get_config()
    config.optimizer.update(stem_lr_multiplier=5.0, bias_lr_multiplier=2.0, weight_decay=0.0)
    layer = {"conv": {"kernel": jnp.zeros(1), "bias": jnp.zeros(1)}, "bn": {"scale": jnp.ones(1), "bias": jnp.zeros(1)}}
    params = {"backbone": {"conv1_7x7_s2": layer, "conv2_3x3": layer}}
    settings = {"norms": ["backbone/conv1_7x7_s2/bn", "backbone/conv2_3x3/bn"], "stem": ["backbone/conv1_7x7_s2"]}
    result = updates(config, params, jax.tree.map(jnp.ones_like, params), **settings)["backbone"]
    found = {"/".join(path): float(*leaf) for path, leaf in traverse_util.flatten_dict(result).items()}
    assert found == pytest.approx(
        {
            "conv1_7x7_s2/conv/kernel": -0.5,
            "conv1_7x7_s2/conv/bias": -1.0,
            "conv1_7x7_s2/bn/scale": -0.1,
            "conv1_7x7_s2/bn/bias": -0.1,
            "conv2_3x3/conv/kernel": -0.1,
            "conv2_3x3/conv/bias": -0.2,
            "conv2_3x3/bn/scale": -0.1,
            "conv2_3x3/bn/bias": -0.1,
        }
    )


def test_a_batchnorm_is_recognized_under_any_name():
    config = base.get_config()
    config.optimizer.update(weight_decay_mask="not_batchnorm", weight_decay=0.5, bias_lr_multiplier=2.0)
    params = {"norm1": {"scale": jnp.ones(1), "bias": jnp.ones(1)}, "bn": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    result = updates(config, params, jax.tree.map(jnp.zeros_like, params), norms=["norm1"])
    assert jax.tree.map(float, jax.tree.map(jnp.squeeze, result)) == {
        "norm1": {"scale": 0.0, "bias": 0.0},
        "bn": {"kernel": pytest.approx(-0.05), "bias": pytest.approx(-0.1)},
    }


def test_a_bias_that_learns_without_its_kernel_is_still_one():
    config = base.get_config()
    config.optimizer.update(
        bias_lr_multiplier=2.0, weight_decay=0.5, trainable=("conv/bias",), weight_decay_mask="not_batchnorm"
    )
    params = {"conv": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    result = updates(config, params, jax.tree.map(jnp.zeros_like, params))
    assert float(result["conv"]["bias"][0]) == pytest.approx(-0.1)
    assert float(result["conv"]["kernel"][0]) == 0.0


def test_clipping():
    config = base.get_config()
    config.optimizer.update(clip_norm=1.0, weight_decay=0.0)
    result = updates(config, {"bias": jnp.zeros(2)}, {"bias": jnp.array([30.0, 40.0])})
    assert np.asarray(result["bias"]) == pytest.approx([-0.06, -0.08], rel=1e-5)


def test_momentum_of_every_kind_is_what_the_config_says():
    """Of a gradient of 1 and then none, by hand: the second step shows what is remembered."""
    config, params = base.get_config(), {"bias": jnp.zeros(1)}
    config.optimizer.update(momentum=0.8, beta2=0.98)
    found = {}
    for config.optimizer.name, config.optimizer.nesterov in (("sgd", False), ("sgd", True), ("adamw", False)):
        optimizer = make_optimizer(config.optimizer, 384, 1000, roles({"params": params}, heads=(), stem=()))
        _, after = optimizer.update({"bias": jnp.ones(1)}, optimizer.init(params), params)
        moved = optimizer.update({"bias": jnp.zeros(1)}, after, params)[0]["bias"]
        found[config.optimizer.name, config.optimizer.nesterov] = float(moved[0]) / -0.1
    adam = (0.8 / 1.8) / np.sqrt(0.98 / 1.98)  # the means of (1, 0) and of their squares, unbiased
    wanted = {("sgd", False): 0.8, ("sgd", True): 0.8 * 0.8, ("adamw", False): adam}
    assert found == pytest.approx(wanted, rel=1e-5)


def test_clipping_sees_the_gradient_without_the_decay():
    """As torch's clip_grad_norm_ and SGD(weight_decay=...): the decay is added to what was clipped."""
    config = base.get_config()
    config.optimizer.update(clip_norm=1.0, weight_decay=0.5, weight_decay_mask="all")
    result = updates(config, {"kernel": jnp.ones(2)}, {"kernel": jnp.array([30.0, 40.0])})
    assert np.asarray(result["kernel"]) == pytest.approx([-0.06 - 0.05, -0.08 - 0.05], rel=1e-5)


def test_adamw_decays_kernels_only_and_apart_from_the_gradient():
    config = base.get_config()
    config.optimizer.update(name="adamw", weight_decay=0.5)
    params = {"conv": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    grads = {"conv": {"kernel": jnp.zeros(1), "bias": jnp.full(1, 7.0)}}
    result = updates(config, params, grads)["conv"]
    assert float(result["kernel"][0]) == pytest.approx(-0.1 * 0.5)
    assert float(result["bias"][0]) == pytest.approx(-0.1, rel=1e-4)
