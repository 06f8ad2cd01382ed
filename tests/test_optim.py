import jax
import jax.numpy as jnp
import numpy as np
import pytest

from haa_jax import optim
from haa_jax.configs import base, i3d


def rates(config, batch_size, total):
    schedule = optim.learning_rate(config.optimizer, batch_size, total)
    return [float(schedule(step)) for step in range(total)]


def test_i3ds_steps_are_scaled_to_the_length_of_training():
    config = i3d.get_config()
    found = rates(config, batch_size=384, total=1150)
    assert found[:970] == pytest.approx([0.1] * 970)
    assert found[971:1080] == pytest.approx([0.01] * 109)
    assert found[1081:] == pytest.approx([0.001] * 69)


def test_the_rate_follows_the_batch_size():
    config = base.get_config()
    assert rates(config, 96, 10)[0] == pytest.approx(0.1 * 96 / 384)
    config.optimizer.base_batch_size = 0
    assert rates(config, 96, 10)[0] == pytest.approx(0.1)


def test_cosine_with_warm_up():
    config = base.get_config()
    config.optimizer.update(schedule="cosine", warmup=0.1, base_batch_size=0)
    found = rates(config, 8, 100)
    half_periods = 0.1 * (1 + np.cos(np.pi * np.arange(100) / 100)) / 2
    assert found[10:] == pytest.approx(list(half_periods[10:]), abs=1e-7)
    assert found[:11] == pytest.approx(list(np.linspace(0, half_periods[10], 11)))
    config.optimizer.warmup_start = 0.1
    assert rates(config, 8, 100)[:11] == pytest.approx(list(np.linspace(0.01, half_periods[10], 11)))


def test_the_rate_can_rise_again():
    config = base.get_config()
    config.optimizer.update(drops=(0.5, 0.75), rates=(0.1, 1.0), base_batch_size=0, warmup=0.25)
    assert rates(config, 8, 8) == pytest.approx([0, 0.05, 0.1, 0.1, 0.01, 0.01, 0.1, 0.1])


def updates(config, params, grads, steps=1):
    optimizer = optim.make_optimizer(config.optimizer, 384, 1000)
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
    assert float(updates(config, params, grads, steps=2)["conv"]["bias"][0]) == pytest.approx(-0.1 * 1.9)


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
    config.optimizer.update(decay=decay, weight_decay=0.5)
    params = {
        "conv": {"kernel": jnp.ones(1), "bias": jnp.ones(1)},
        "bn": {"scale": jnp.ones(1), "bias": jnp.ones(1)},
        "Logits": {"kernel": jnp.ones(1), "bias": jnp.ones(1)},
    }
    result = updates(config, params, jax.tree.map(jnp.zeros_like, params))
    moved = {f"{module}/{name}" for module, leaves in result.items() for name, x in leaves.items() if float(x[0])}
    assert moved == decayed


def test_heads_and_biases_learn_faster_but_not_the_biases_of_batchnorm():
    config = base.get_config()
    config.optimizer.update(bias_rate=2.0, head_rate=5.0, weight_decay=0.0)
    params = {name: {"bias": jnp.zeros(1)} for name in ("conv", "tcn_bn", "Logits")} | {"fc": {"kernel": jnp.zeros(1)}}
    result = updates(config, params, jax.tree.map(jnp.ones_like, params))
    assert {name: float(*next(iter(leaf.values()))) for name, leaf in result.items()} == pytest.approx(
        {"conv": -0.2, "tcn_bn": -0.1, "fc": -0.1, "Logits": -1.0}
    )


def test_clipping():
    config = base.get_config()
    config.optimizer.update(clip_norm=1.0, weight_decay=0.0)
    result = updates(config, {"bias": jnp.zeros(2)}, {"bias": jnp.array([30.0, 40.0])})
    assert np.asarray(result["bias"]) == pytest.approx([-0.06, -0.08], rel=1e-5)


def test_adamw_decays_kernels_only_and_apart_from_the_gradient():
    config = base.get_config()
    config.optimizer.update(name="adamw", weight_decay=0.5)
    params = {"conv": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    grads = {"conv": {"kernel": jnp.zeros(1), "bias": jnp.full(1, 7.0)}}
    result = updates(config, params, grads)["conv"]
    assert float(result["kernel"][0]) == pytest.approx(-0.1 * 0.5)
    assert float(result["bias"][0]) == pytest.approx(-0.1, rel=1e-4)
