"""The compiled steps, on one device and on eight."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from haa_jax import experiment, streams
from haa_jax.configs import base
from haa_jax.learning import losses, steps
from haa_jax.learning.batch_statistics import running_statistics
from haa_jax.learning.objectives import OBJECTIVES
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.train_state import init_state
from haa_jax.models import parameters
from haa_jax.runtime import mesh

CLASSES, SHAPE = 5, (2, 8, 8, 3)
preprocess = functools.partial(streams.preprocess, data=base.get_config().data)


class Tiny(nn.Module):
    """A network in a few lines, with the layers that make a training step hard to get right."""

    norm: bool = True
    momentum: float = 0.9

    @nn.compact
    def __call__(self, clips, *, train, endpoints=()):
        x = nn.Conv(8, (3, 3, 3), use_bias=False)(clips)
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train, momentum=self.momentum)(x)
        x = nn.relu(x).mean((1, 2, 3))
        x = nn.Dropout(0.0, deterministic=not train)(x)
        return {"atomic": nn.Dense(CLASSES)(x)}, {}


def make(norm=True, **overrides):
    config = base.get_config()
    config.optimizer.update(base_batch_size=0, **overrides)
    model = Tiny(norm)
    roles = parameters.roles(parameters.abstract_variables(model, SHAPE), ["Dense_0"], ["Conv_0"])
    optimizer = make_optimizer(config.optimizer, 8, 100, roles)
    init = functools.partial(init_state, 0, SHAPE, init=parameters.initializer(model), optimizer=optimizer)
    step = functools.partial(
        steps.train_step,
        model=model,
        preprocess=preprocess,
        optimizer=optimizer,
        objective=OBJECTIVES["atomic"],
        seed=0,
        accumulation_steps=1,
        bn_momentum=0.9,
    )
    return init, step


def make_batch(size=8, seed=0):
    rng = np.random.default_rng(seed)
    clips = rng.integers(0, 256, (size, 2, 8, 8, 3), np.uint8)
    return {"clips": {"rgb": clips}, "labels": {"atomic": rng.integers(0, CLASSES, size).astype(np.int32)}}


def assert_close(left, right, tolerance=1e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), left, right)


def test_a_step_lowers_the_loss_and_counts():
    init, step = make()
    current, values = init(), []
    for _ in range(20):
        current, metrics = jax.jit(step)(current, make_batch())
        values.append(float(metrics["loss"]))
    assert values[-1] < 0.8 * values[0]
    assert int(current.step) == 20
    assert 0 <= float(metrics["accuracy"]) <= 1
    assert float(metrics["grad_norm"]) > 0


def test_accumulation_equals_the_whole_batch_where_there_is_no_batchnorm():
    init, step = make(norm=False)
    whole, whole_metrics = jax.jit(step)(init(), make_batch())
    accumulated, accumulated_metrics = jax.jit(functools.partial(step, accumulation_steps=4))(init(), make_batch())
    assert_close(whole.params, accumulated.params)
    assert_close(whole_metrics, accumulated_metrics)


def test_accumulation_updates_the_statistics_once_with_the_mean_of_its_microbatches():
    init, step = make()
    batch, start = make_batch(), init()
    after, _ = jax.jit(functools.partial(step, accumulation_steps=2))(start, batch)

    def published(rows):
        clips = preprocess({"rgb": batch["clips"]["rgb"][rows]})
        variables = {"params": start.params, "batch_stats": start.batch_stats}
        return Tiny().apply(variables, clips, train=True, mutable=["batch_stats"])[1]["batch_stats"]

    mean = jax.tree.map(lambda a, b: (a + b) / 2, published(slice(0, None, 2)), published(slice(1, None, 2)))
    assert_close(after.batch_stats, running_statistics(start.batch_stats, mean, jnp.int32(0), 0.9))


def test_the_config_sets_the_momentum_of_the_running_statistics_and_the_seed_of_the_first_parameters():
    config, model, optimizer = base.get_config(), Tiny(momentum=0.5), optax.sgd(0.1)
    config.data.update(frames=2, resize=8, crop=8)
    config.model.bn_momentum = 0.5
    starts = []
    for config.seed in (3, 3, 4):
        starts.append(
            init_state(
                config.seed, experiment.clip_shape(config), init=parameters.initializer(model), optimizer=optimizer
            )
        )
    kernels = [start.params["Conv_0"]["kernel"] for start in starts]
    assert np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])

    after = jax.jit(experiment.train_step(config, model, optimizer))(starts[0], make_batch())[0].batch_stats
    seen = nn.Conv(8, (3, 3, 3), use_bias=False).apply(
        {"params": starts[0].params["Conv_0"]}, preprocess(make_batch()["clips"])
    )
    assert_close(after["BatchNorm_0"]["mean"], 0.9 * seen.mean((0, 1, 2, 3)))  # of the first step: see the rule above


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_balanced_weights_do_what_repeated_clips_do(accumulation_steps):
    config, model = base.get_config(), Tiny(norm=False)
    config.train.accumulation_steps = accumulation_steps
    batch, labels = make_batch(), np.array([3, 3, 1, 3, 3, 1, 3, 3], np.int32)
    rows = np.concatenate([np.arange(8), *[np.flatnonzero(labels == 1)] * 2])  # three times as many of class 1
    repeated = {"clips": {"rgb": batch["clips"]["rgb"][rows]}, "labels": {"atomic": labels[rows]}}
    start = init_state(0, SHAPE, init=parameters.initializer(model), optimizer=optax.sgd(1.0))
    weights = {"atomic": losses.balanced(labels, CLASSES)}
    weighted = jax.jit(experiment.train_step(config, model, optax.sgd(1.0), weights))
    after, metrics = weighted(start, batch | {"labels": {"atomic": labels}})
    expected, expected_metrics = jax.jit(experiment.train_step(config, model, optax.sgd(1.0)))(start, repeated)
    assert_close(after.params, expected.params)
    for name in ("loss", "grad_norm"):
        assert float(metrics[name]) == pytest.approx(float(expected_metrics[name]), rel=1e-5)


class Constant(nn.Module):
    """Two heads whose initial logits are the same for every clip."""

    @nn.compact
    def __call__(self, clips, *, train, endpoints=()):
        shift = self.param("shift", nn.initializers.zeros, (2,))
        heads = {"atomic": jnp.array([1.0, 0.0]), "composite": jnp.array([0.0, 2.0])}
        return {name: jnp.tile(logits + shift, (len(clips), 1)) for name, logits in heads.items()}, {}


def test_a_step_reports_the_evaluated_head_and_the_gradient_before_the_update():
    labels = {"atomic": np.array([0, 0, 0, 0]), "composite": np.array([1, 1, 1, 0])}
    config = base.get_config()
    config.optimizer.update(base_batch_size=0, clip_norm=1e-3)
    roles = parameters.roles(parameters.abstract_variables(Constant(), SHAPE), heads=(), stem=())
    options = {"model": Constant(), "optimizer": make_optimizer(config.optimizer, 4, 10, roles)}
    start = init_state(0, SHAPE, init=parameters.initializer(options["model"]), optimizer=options["optimizer"])
    options |= {"objective": OBJECTIVES["joint"], "preprocess": preprocess, "bn_momentum": 0.9}
    step = functools.partial(steps.train_step, **options, seed=0, accumulation_steps=1)
    _, metrics = jax.jit(step)(start, {"clips": make_batch(4)["clips"], "labels": labels})
    assert float(metrics["accuracy"]) == 0.75
    first, second = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-2))  # probability of class 0 of one, of class 1 of the other
    assert float(metrics["grad_norm"]) == pytest.approx(np.sqrt(2) * abs((first - 1) - (second - 0.75)), rel=1e-5)
    assert float(metrics["loss"]) == pytest.approx(-np.log(first) - np.log(second) + 2 / 4, rel=1e-5)


@pytest.mark.parametrize("model_axis", [1, 2])
@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_eight_devices_do_what_one_does(model_axis, accumulation_steps, monkeypatch):
    monkeypatch.setattr(mesh, "MIN_SHARDED_BYTES", 64)  # so that even this network is split
    init, step = make()
    step = functools.partial(step, accumulation_steps=accumulation_steps)
    one, one_metrics = jax.jit(step)(init(), make_batch(16))
    device_mesh = mesh.make_mesh(model_axis)
    shardings = mesh.state_shardings(jax.eval_shape(init), device_mesh)
    sharded = jax.jit(init, out_shardings=shardings)()
    if model_axis == 2:
        assert any("model" in (s.spec or ()) for s in jax.tree.leaves(shardings))
    compiled = jax.jit(
        step,
        in_shardings=(shardings, mesh.batch_sharding(device_mesh)),
        out_shardings=(shardings, mesh.replicated(device_mesh)),
        donate_argnums=0,
    )
    eight, eight_metrics = compiled(sharded, mesh.to_global(make_batch(16), device_mesh))
    assert_close(one.params, eight.params)
    assert_close(one.batch_stats, eight.batch_stats)  # BatchNorm over the global batch
    assert_close(one_metrics, eight_metrics)


ROWS, FEATURES = 16, 64


class Dropped(nn.Module):
    """Dropout of ones; a class for each row of the batch and one more, all equally likely."""

    @nn.compact
    def __call__(self, clips, *, train, endpoints=()):
        ones = jnp.ones((len(clips), FEATURES))
        x = nn.Dropout(0.5, deterministic=not train)(ones)
        return {"atomic": nn.Dense(ROWS + 1, use_bias=False, kernel_init=nn.initializers.zeros)(x)}, {}


def masks(step, devices=1, **fields) -> np.ndarray:
    """What dropout keeps of each row at a step of the training that the fields describe: bool (ROWS, FEATURES)."""
    config = base.get_config()
    config.update(fields)
    optimizer = optax.sgd(1.0)  # the parameters, 0 before, are then the gradient with its sign changed
    device_mesh = mesh.make_mesh(devices=jax.devices()[:devices])
    batch = make_batch(ROWS) | {"labels": {"atomic": np.arange(ROWS, dtype=np.int32)}}
    start = init_state(0, SHAPE, init=parameters.initializer(Dropped()), optimizer=optimizer).replace(
        step=jnp.int32(step)
    )
    compiled = jax.jit(
        experiment.train_step(config, Dropped(), optimizer),
        in_shardings=(mesh.replicated(device_mesh), mesh.batch_sharding(device_mesh)),
    )
    moved = compiled(start, mesh.to_global(batch, device_mesh))[0].params["Dense_0"]["kernel"]
    # Of class c the gradient is the mean over the rows of their input times (probability - [own class is c]).
    kept = ROWS * (moved[:, :ROWS] - moved[:, ROWS:]).T
    assert set(np.unique(kept.round(3))) == {0.0, 2.0}
    return np.asarray(kept > 1)


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_dropout_has_another_mask_for_every_row_microbatch_step_and_seed_and_the_same_in_every_run(accumulation_steps):
    train = {"accumulation_steps": accumulation_steps}
    drawn = [masks(0, train=train), masks(1, train=train), masks(1, seed=1, train=train)]
    together = np.concatenate(drawn)
    assert 0.45 < together.mean() < 0.55
    assert len(np.unique(together, axis=0)) == len(together)
    assert np.array_equal(drawn[1], masks(1, train=train))
    assert np.array_equal(drawn[1], masks(1, devices=8, train=train))
    if accumulation_steps > 1:
        assert not np.array_equal(drawn[1], masks(1))


def test_the_logits_of_views_are_averaged():
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3, 7)), jnp.float32)
    np.testing.assert_allclose(steps.AVERAGES["logits"](logits, axis=1), np.mean(logits, axis=1), rtol=1e-6, atol=1e-6)


def test_the_softmaxes_of_the_views_are_averaged():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(scale=3, size=(4, 3, 7)), jnp.float32)
    averaged = steps.AVERAGES["softmax"](logits, axis=1)
    np.testing.assert_allclose(jax.nn.softmax(averaged), jax.nn.softmax(logits).mean(1), rtol=1e-5)
    assert np.abs(jax.nn.softmax(averaged) - jax.nn.softmax(logits.mean(1))).max() > 0.01
    np.testing.assert_allclose(steps.AVERAGES["softmax"](logits[:, :1], axis=1), logits[:, 0], rtol=1e-5)


def test_several_labels_are_learned():
    """The loss is the objective's, its gradient moves the parameters, and the accuracy is of exact matches."""
    init, step = make(learning_rate=0.05, schedule="cosine")
    step = jax.jit(functools.partial(step, objective=OBJECTIVES["multi_label"]))
    batch = make_batch()
    sets = np.random.default_rng(1).integers(0, 2, (8, CLASSES)).astype(np.int8)
    batch["labels"] = {"atomic": sets}
    state, first = init(), None
    for _ in range(60):
        state, metrics = step(state, batch)
        first = first or {name: float(value) for name, value in metrics.items()}
    assert first["loss"] == pytest.approx(np.log(2), abs=0.3)
    assert float(metrics["loss"]) < 0.9 * first["loss"]
    logits, _ = Tiny().apply(state.variables, preprocess(batch["clips"]), train=False)
    assert set(logits) == {"atomic"}
    assert 0 <= float(metrics["accuracy"]) <= 1
