"""I3D against the published network: counts, shapes, and golden outputs to the last digits of float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util
from ml_collections import ConfigDict

from haa_jax import models
from haa_jax.models import i3d
from haa_jax.models.heads import average_pool
from haa_jax.runtime.compiling import IS_0_10
from haa_jax.weights import importer, names
from tests import golden
from tests.conftest import OPTIMIZED

TOLERANCE = 1e-5  # float32 against float64: the network itself reaches a few 1e-7
PUBLISHED = {"atomic": 400}

# kinetics-i3d at 64 frames of 224 x 224: time, height, width, channels.
SHAPES = {
    "Conv3d_1a_7x7": (32, 112, 112, 64),
    "MaxPool3d_2a_3x3": (32, 56, 56, 64),
    "Conv3d_2b_1x1": (32, 56, 56, 64),
    "Conv3d_2c_3x3": (32, 56, 56, 192),
    "MaxPool3d_3a_3x3": (32, 28, 28, 192),
    "Mixed_3b": (32, 28, 28, 256),
    "Mixed_3c": (32, 28, 28, 480),
    "MaxPool3d_4a_3x3": (16, 14, 14, 480),
    "Mixed_4b": (16, 14, 14, 512),
    "Mixed_4c": (16, 14, 14, 512),
    "Mixed_4d": (16, 14, 14, 512),
    "Mixed_4e": (16, 14, 14, 528),
    "Mixed_4f": (16, 14, 14, 832),
    "MaxPool3d_5a_2x2": (8, 7, 7, 832),
    "Mixed_5b": (8, 7, 7, 832),
    "Mixed_5c": (8, 7, 7, 1024),
    "features": (1024,),
}


def config(**changes) -> ConfigDict:
    fields = {"name": "i3d", "width": 1.0, "dtype": "float32", "dropout": 0.5, "bn_momentum": 0.999}
    return ConfigDict(fields | {"variant": ""} | changes)


def narrow(heads=None, **changes) -> nn.Module:
    return models.build(config(width=0.125, **changes), heads or {"atomic": 5})


def shapes_of(module: nn.Module, clips_shape: tuple[int, ...]) -> dict:
    clips = jax.ShapeDtypeStruct(clips_shape, jnp.float32)
    return jax.eval_shape(lambda key, x: module.init(key, x, train=False), jax.random.key(0), clips)


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def formula_variables(module: nn.Module, clips: np.ndarray, dtype=jnp.float32) -> dict:
    """Formula weights in `dtype`, rounded to float32 first: so were those of the golden training step."""
    values = golden.fill(shapes_of(module, clips.shape), names.i3d_piergiaj)
    return jax.tree.map(lambda x: jnp.asarray(np.float32(x), dtype), values)


def evaluate(module: nn.Module, variables: dict, clips, endpoints=()):
    return jax.jit(lambda v, x: module.apply(v, x, train=False, endpoints=endpoints))(variables, clips)


def parity_errors() -> dict[str, float]:
    """Relative error of every stage and of the logits, for formula weights and 16 frames in float32."""
    module = models.build(config(), PUBLISHED)
    clips = golden.clips(1, 3, 16, 224, 224)
    shapes, published = shapes_of(module, clips.shape), golden.state_dict("i3d", "shape")
    fit = importer.match({name: x.shape for name, x in published.items()}, "i3d", shapes, "atomic")
    with jax.default_matmul_precision("highest"):
        logits, stages = evaluate(module, importer.convert(published, fit, shapes), clips, tuple(i3d.TRUNK))
    expected = golden.read("i3d")
    errors = {name: golden.relative_error(np.moveaxis(x, -1, 1), expected[name]) for name, x in stages.items()}
    return errors | {"logits": golden.relative_error(logits["atomic"], expected["logits"])}


def test_formula_is_the_one_of_the_golden_tables():
    first = golden.uniform("input", (4,))
    np.testing.assert_allclose(first, [0.99511419, -0.30040534, 0.55908852, -0.78470275], atol=5e-9)


def test_outputs_are_the_published_ones():
    errors = parity_errors()
    assert len(errors) == 17
    assert max(errors.values()) < TOLERANCE, errors


# SAME_LOWER puts the odd one of the padding in front: at even sizes, that is PyTorch's symmetric padding.
@pytest.mark.slow
@pytest.mark.parametrize(("constant", "wrong"), [("BN_EPSILON", 1e-5), ("PADDING", "SAME_LOWER")])
def test_parity_fails_on_a_wrong_constant(monkeypatch, constant, wrong):
    monkeypatch.setattr(i3d, constant, wrong)
    errors = parity_errors()
    assert errors["Conv3d_1a_7x7"] > 10 * TOLERANCE
    assert errors["logits"] > 10 * TOLERANCE


def golden_step(dtype=jnp.float32) -> dict:
    """One training step without dropout on two clips of labels 3 and 7: loss, gradients, new statistics.

    The golden gradient norm is that of a PyTorch port, whose BatchNorms carry gammas, all 1 here. We have
    none, so the interceptor multiplies them in behind our BatchNorms to get their gradients; at 1 it changes
    nothing.
    """
    module = i3d.I3D(PUBLISHED, dropout=0.0, bn_momentum=0.99, dtype=dtype)
    clips = golden.clips(2, 3, 16, 224, 224)
    variables = formula_variables(module, clips, dtype)

    def loss(params, gammas):
        def scale(call, args, kwargs, context):
            y = call(*args, **kwargs)
            if not isinstance(context.module, nn.BatchNorm):
                return y
            beta = context.module.variables["params"]["bias"]
            return y + (gammas[context.module.path] - 1) * (y - beta)

        with nn.intercept_methods(scale):
            given = variables | {"params": params}
            (logits, _), updates = module.apply(given, clips, train=True, mutable=["batch_stats"])
        log_p = jax.nn.log_softmax(logits["atomic"])
        return -(log_p[0, 3] + log_p[1, 7]) / 2, updates["batch_stats"]

    params = variables["params"]
    biases = traverse_util.flatten_dict(params).items()
    gammas = {path[:-1]: jnp.ones_like(bias) for path, bias in biases if path[-2] == "batch_norm"}
    with jax.default_matmul_precision("highest"):
        # As for users, in float64, where the numbers are the same to nine digits; conftest.py has the flags otherwise.
        options = None if IS_0_10 and dtype == jnp.float32 else OPTIMIZED
        step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True), compiler_options=options)
        (value, stats), (grads, gamma_grads) = step(params, gammas)
    old = variables["batch_stats"]
    return {"loss": value, "grads": grads, "gamma_grads": gamma_grads, "old": old, "new": stats}


def unbiased(old: np.ndarray, new: np.ndarray, count: int) -> np.ndarray:
    """PyTorch's running variance after a step at momentum 0.99, from ours: only its batch part differs."""
    old, new = np.asarray(old, np.float64), np.asarray(new, np.float64)
    return new + (new - 0.99 * old) / (count - 1)


def step_errors(step: dict) -> dict[str, float]:
    """Relative errors of everything that the golden table has of the training step, by its row's name."""
    expected = golden.read("i3d")
    errors = {"TRAIN loss": abs(float(step["loss"]) / expected["TRAIN loss"].sum - 1)}
    both = norm((step["grads"], step["gamma_grads"]))
    errors["TRAIN global grad l2norm"] = abs(both / expected["TRAIN global grad l2norm"].l2 - 1)
    for path, grad in traverse_util.flatten_dict(step["grads"]).items():
        row = f"TRAIN grad {names.i3d_piergiaj(path)}"
        if row in expected:
            errors[row] = golden.relative_error(golden.to_torch(np.asarray(grad)), expected[row])
    positions = {"Conv3d_1a_7x7": 2 * 8 * 112 * 112, "Mixed_5c": 2 * 2 * 7 * 7}
    old = traverse_util.flatten_dict(step["old"])
    for path, new in traverse_util.flatten_dict(step["new"]).items():
        row = f"TRAIN after 1 fwd {names.i3d_piergiaj(path)}"
        if row in expected:
            new = unbiased(old[path], new, positions[path[0]]) if path[-1] == "var" else new
            errors[row] = golden.relative_error(new, expected[row])
    assert set(errors) == {row for row in expected if row.startswith("TRAIN")}
    return errors


def norm(tree) -> float:
    return sum(np.square(x, dtype=np.float64).sum() for x in jax.tree.leaves(tree)) ** 0.5


# Rounding decides to which of two almost equal inputs a max pool passes its gradient, and whether a ReLU near
# 0 passes it at all. Each such flip moves a whole gradient, so float32 only comes within a percent below the
# pools, and it takes float64 (the slow test) to show that the gradients are the same.
FLIPPED_IN_FLOAT32 = {
    "TRAIN grad Conv3d_1a_7x7.conv3d.weight": 2e-2,
    "TRAIN grad Mixed_4c.b2b.conv3d.weight": 1e-2,
    "TRAIN global grad l2norm": 5e-4,
}


@pytest.mark.slow
def test_training_step_is_the_published_one_in_float32():
    step = golden_step()
    for row, error in step_errors(step).items():
        assert error < FLIPPED_IN_FLOAT32.get(row, TOLERANCE), row
    # The port's 7,280 gammas are a real part of its norm, 211.882: without them the gradient is shorter.
    assert norm(step["gamma_grads"]) == pytest.approx(6.805, abs=0.02)
    assert norm(step["grads"]) == pytest.approx(211.773, rel=FLIPPED_IN_FLOAT32["TRAIN global grad l2norm"])


@pytest.mark.slow
def test_training_step_is_the_published_one_in_float64():
    with jax.enable_x64(True):
        step = golden_step(jnp.float64)
        errors = step_errors(step)
    assert max(errors.values()) < 1e-9, errors
    assert norm(step["gamma_grads"]) == pytest.approx(6.804101, abs=1e-6)
    assert norm(step["grads"]) == pytest.approx(211.772749, abs=1e-6)


@pytest.mark.parametrize(("channels", "expected"), [(2, 12_668_032), (3, 12_689_984), (6, 12_755_840), (8, 12_799_744)])
def test_parameter_counts(channels, expected):
    variables = shapes_of(models.build(config(), PUBLISHED), (1, 32, 224, 224, channels))
    assert count(variables["params"]) == expected
    assert count(variables["batch_stats"]) == 14_560
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))


def test_endpoint_shapes():
    module = models.build(config(), PUBLISHED)
    variables = shapes_of(module, (2, 64, 224, 224, 3))
    clips = jax.ShapeDtypeStruct((2, 64, 224, 224, 3), jnp.float32)
    logits, endpoints = jax.eval_shape(
        lambda v, x: module.apply(v, x, train=False, endpoints=i3d.ENDPOINTS), variables, clips
    )
    assert {name: x.shape[1:] for name, x in endpoints.items()} == SHAPES
    assert logits["atomic"].shape == (2, 400)


def test_parameters_keep_the_published_names():
    params = shapes_of(models.build(config(), PUBLISHED), (1, 16, 224, 224, 3))["params"]
    assert set(params) == {name for name in SHAPES if name.startswith(("Conv", "Mixed"))} | {"Logits"}
    units = {"/".join(path[:2]) for path in traverse_util.flatten_dict(params["Mixed_5b"])}
    assert units == {
        "Branch_0/Conv3d_0a_1x1",
        "Branch_1/Conv3d_0a_1x1",
        "Branch_1/Conv3d_0b_3x3",
        "Branch_2/Conv3d_0a_1x1",
        "Branch_2/Conv3d_0a_3x3",
        "Branch_3/Conv3d_0b_1x1",
    }
    unit = params["Mixed_3b"]["Branch_2"]["Conv3d_0b_3x3"]
    assert unit["conv_3d"]["kernel"].shape == (3, 3, 3, 16, 32)
    assert unit["batch_norm"]["bias"].shape == (32,)


@pytest.mark.parametrize(("width", "features"), [(0.25, 256), (0.5, 512), (2.0, 2048), (1e-4, 4)])
def test_width_multiplies_channels(shallow_i3d, width, features):
    module = models.build(config(width=width), PUBLISHED)
    params = shapes_of(module, (1, 16, 64, 64, 3))["params"]
    assert params["Logits"]["atomic"]["kernel"].shape == (features, 400)
    assert params["Conv3d_1a_7x7"]["conv_3d"]["kernel"].shape[-1] == max(1, round(64 * width))


# Table 11 of the HAA500 paper has rows for these.
@pytest.mark.parametrize("frames", [1, 8, *(pytest.param(frames, marks=pytest.mark.slow) for frames in (2, 4))])
def test_short_clips_give_finite_logits(frames):
    module, clips = narrow(), golden.clips(1, 3, frames, 32, 32)
    logits, _ = evaluate(module, formula_variables(module, clips), clips)
    assert np.isfinite(logits["atomic"]).all()
    assert np.ptp(logits["atomic"]) > 0


@pytest.mark.parametrize(("frames", "steps"), [(1, 1), (8, 1), (9, 1), (17, 2), (64, 7), (79, 9)])
def test_average_pool_leaves_the_published_steps(frames, steps):
    x = golden.clips(1, 3, -(-frames // 8), 7, 7).astype(np.float32)
    pooled = average_pool(x, i3d.LOGITS_WINDOW)
    assert pooled.shape == (1, steps, 1, 1, 3)
    np.testing.assert_allclose(pooled[0, -1, 0, 0], x[0, -2:].mean((0, 1, 2)), atol=1e-6)


@pytest.mark.parametrize("channels", [6, 8])
def test_more_input_channels_all_count(shallow_i3d, channels):
    module, clips = narrow(), golden.clips(1, channels, 8, 32, 32)
    one_blanked = clips * (1 - np.eye(channels))[:, None, None, None]
    together = np.concatenate([clips, one_blanked])
    logits, _ = evaluate(module, formula_variables(module, clips), together)
    changes = np.abs(logits["atomic"][1:] - logits["atomic"][0]).max(1)
    assert changes.shape == (channels,)
    assert (changes > 1e-4).all()


def test_heads_share_the_trunk(shallow_i3d):
    heads, clips = {"atomic": 7, "composite": 4}, golden.clips(2, 3, 8, 32, 32)
    variables = formula_variables(narrow(heads), clips)
    joint, _ = evaluate(narrow(heads), variables, clips)
    assert {name: x.shape for name, x in joint.items()} == {"atomic": (2, 7), "composite": (2, 4)}
    params = variables["params"]
    alone = variables | {"params": params | {"Logits": {"composite": params["Logits"]["composite"]}}}
    logits, _ = evaluate(narrow({"composite": 4}), alone, clips)
    np.testing.assert_allclose(logits["composite"], joint["composite"], rtol=1e-5)


def test_dropout_only_in_training_and_after_the_features(shallow_i3d):
    module, clips = narrow(dropout=0.9), golden.clips(2, 3, 8, 32, 32)
    variables = formula_variables(module, clips)

    @jax.jit
    def step(key):
        options = {"train": True, "endpoints": ("features",), "mutable": ["batch_stats"]}
        return module.apply(variables, clips, rngs={"dropout": key}, **options)

    ((first, before), updates), ((second, after), _) = step(jax.random.key(1)), step(jax.random.key(2))
    assert np.abs(first["atomic"] - second["atomic"]).max() > 1e-3
    np.testing.assert_array_equal(before["features"], after["features"])
    old, new = jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(updates["batch_stats"])
    assert all(np.abs(a - b).max() > 0 for a, b in zip(old, new, strict=True))
    evaluate(module, variables, clips)  # needs no rng


def test_bfloat16_is_close_to_float32():
    clips = golden.clips(2, 3, 8, 32, 32)
    variables = formula_variables(narrow(), clips)
    exact, _ = evaluate(narrow(), variables, clips)
    logits, endpoints = evaluate(narrow(dtype="bfloat16"), variables, clips, i3d.ENDPOINTS)
    assert logits["atomic"].dtype == endpoints["features"].dtype == jnp.float32
    assert {endpoints[name].dtype for name in i3d.TRUNK} == {jnp.dtype("bfloat16")}
    error = np.abs(logits["atomic"] - exact["atomic"]).max() / np.abs(exact["atomic"]).max()
    assert 1e-6 < error < 5e-2


def test_bfloat16_keeps_statistics_in_float32():
    unit = i3d.Unit3D(1, (1, 1, 1), bn_momentum=0.0, dtype=jnp.bfloat16)
    clips = jnp.ones((1, 8, 64, 64, 1))
    variables = {
        "params": {"conv_3d": {"kernel": jnp.ones((1, 1, 1, 1, 1))}, "batch_norm": {"bias": jnp.zeros(1)}},
        "batch_stats": {"batch_norm": {"mean": jnp.zeros(1), "var": jnp.ones(1)}},
    }
    y, updates = unit.apply(variables, clips, train=True, mutable=["batch_stats"])
    mean = updates["batch_stats"]["batch_norm"]["mean"]
    assert y.dtype == jnp.bfloat16
    assert mean.dtype == jnp.float32
    np.testing.assert_allclose(mean, 1.0)  # a sum in bfloat16 stops growing at 256


def test_kernels_start_as_in_sonnet():
    kernel = i3d.sonnet_init(jax.random.key(0), (3, 3, 3, 16, 256)) * (27 * 16) ** 0.5
    assert kernel.std() == pytest.approx(0.8796, abs=0.01)  # of a normal cut at two deviations
    assert 1.9 < np.abs(kernel).max() <= 2


@pytest.mark.parametrize("field", ["name", "dtype"])
def test_unknown_value_is_an_error_that_names_the_known(field):
    with pytest.raises(ValueError, match=rf"config\.model\.{field} is 'nonsense'.*{config()[field]}"):
        models.build(config(**{field: "nonsense"}), PUBLISHED)


def test_unknown_endpoint_is_an_error_that_names_the_nearest():
    clips = np.zeros((1, 8, 32, 32, 3))
    with pytest.raises(ValueError, match="'Mixed_5C'; did you mean 'Mixed_5c'"):
        narrow().apply({}, clips, train=False, endpoints=("features", "Mixed_5C"))
