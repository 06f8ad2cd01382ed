import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from haa_jax import models
from haa_jax.configs import base, i3d
from haa_jax.learning import optimizers as optim
from haa_jax.models import layers as layers_module


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
    config.optimizer.update(schedule="cosine", warmup_fraction=0.1, base_batch_size=0)
    found = rates(config, 8, 100)
    half_periods = 0.1 * (1 + np.cos(np.pi * np.arange(100) / 100)) / 2
    assert found[10:] == pytest.approx(list(half_periods[10:]), abs=1e-7)
    assert found[:11] == pytest.approx(list(np.linspace(0, half_periods[10], 11)))
    config.optimizer.warmup_start_factor = 0.1
    assert rates(config, 8, 100)[:11] == pytest.approx(list(np.linspace(0.01, half_periods[10], 11)))


def test_the_rate_can_rise_again():
    config = base.get_config()
    config.optimizer.update(milestones=(0.5, 0.75), factors=(0.1, 1.0), base_batch_size=0, warmup_fraction=0.25)
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
    result = updates(config, params, jax.tree.map(jnp.zeros_like, params))
    moved = {f"{module}/{name}" for module, leaves in result.items() for name, x in leaves.items() if float(x[0])}
    assert moved == decayed


def test_heads_and_biases_learn_faster_but_not_the_biases_of_batchnorm():
    config = base.get_config()
    config.optimizer.update(bias_lr_multiplier=2.0, head_lr_multiplier=5.0, weight_decay=0.0)
    linear = {"bias": jnp.zeros(1), "kernel": jnp.zeros(1)}
    params = {"conv": linear, "tcn_bn": {"bias": jnp.zeros(1)}, "Logits": linear, "AuxLogits": linear}
    result = updates(config, params, jax.tree.map(jnp.ones_like, params))
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
    result = updates(config, params, jax.tree.map(jnp.ones_like, params))["backbone"]
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


NETWORKS = [
    ("i3d", "", (16, 64, 64, 3)),
    ("slowfast", "4x16", (32, 64, 64, 3)),
    ("tsn", "resnet50", (2, 64, 64, 3)),
    ("tsn", "bninception", (2, 64, 64, 3)),
    ("tpn", "tsm", (8, 64, 64, 3)),
    ("stgcn", "coco17", (1, 8, 17, 3)),
]


@pytest.mark.parametrize(("name", "variant", "shape"), NETWORKS)
def test_the_parameters_of_batchnorm_are_those_whose_module_has_statistics(name, variant, shape):
    config = base.get_config().model
    config.name, config.variant, config.width = name, variant, 0.0625
    model = models.build(config, {"atomic": 5})
    clips = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), clips)
    params = traverse_util.flatten_dict(variables["params"])
    layers = {path[:-1] for path in params if path[-1] == "kernel"}
    norms = {path[:-1] for path in params if optim.kind_of(path, layers) == "norm"}
    assert norms == {path[:-1] for path in traverse_util.flatten_dict(variables["batch_stats"])}
    stems = {"/".join(path[:-1]) for path in layers if layers_module.is_stem(path)}
    assert len(stems) == {"slowfast": 2, "stgcn": 0}.get(name, 1)
    others = {path[-1] for path in params if optim.kind_of(path, layers) == "other"}
    assert others == ({"edge_importance"} if name == "stgcn" else set())


def test_a_batchnorm_is_known_under_any_name():
    """By the ending of its name, norm1 would have decayed."""
    config = base.get_config()
    config.optimizer.update(weight_decay_mask="not_batchnorm", weight_decay=0.5, bias_lr_multiplier=2.0)
    params = {"norm1": {"scale": jnp.ones(1), "bias": jnp.ones(1)}, "bn": {"kernel": jnp.ones(1), "bias": jnp.ones(1)}}
    result = updates(config, params, jax.tree.map(jnp.zeros_like, params))
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
        optimizer = optim.make_optimizer(config.optimizer, 384, 1000)
        _, after = optimizer.update({"bias": jnp.ones(1)}, optimizer.init(params), params)
        moved = optimizer.update({"bias": jnp.zeros(1)}, after, params)[0]["bias"]
        found[config.optimizer.name, config.optimizer.nesterov] = float(moved[0]) / -0.1
    adam = (0.8 / 1.8) / np.sqrt(0.98 / 1.98)  # the means of (1, 0) and of their squares, unbiased
    wanted = {("sgd", False): 0.8, ("sgd", True): 0.8 * 0.8, ("adamw", False): adam}
    assert found == pytest.approx(wanted, rel=1e-5)


def test_clipping_sees_the_gradient_without_the_decay():
    """As torch's clip_grad_norm_ and SGD(weight_decay=...): the decay is added to what was clipped."""
    config = base.get_config()
    config.optimizer.update(clip_norm=1.0, weight_decay=0.5, decay="all")
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
