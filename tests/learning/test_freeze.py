"""Training some modules of a network: nothing else may change, and they must still learn."""

import functools
import types

import jax
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import traverse_util

from haa_jax import checks, experiment, models
from haa_jax.configs import i3d, stgcn, tsn
from haa_jax.learning import freeze, steps
from haa_jax.learning.objectives import OBJECTIVES
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.train_state import init_state
from haa_jax.models.parameters import abstract_variables, initializer
from tests.learning.test_steps import Tiny, make_batch, preprocess


class Block(nn.Module):
    """A convolution with BatchNorm."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(4, (1, 3, 3), use_bias=False, name="conv")(x)
        return nn.relu(nn.BatchNorm(momentum=0.9, name="batch_norm")(x, use_running_average=not train))


class Backbone(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        for name in ("layer1", "layer2", "layer22"):
            x = Block(name=name)(x, train)
        return x


class Nested(nn.Module):
    """Blocks within a backbone, two of them with names that begin alike, and a linear layer."""

    @nn.compact
    def __call__(self, clips, *, train, endpoints=()):
        stages = [Block(name="stem")(clips, train)]
        stages.append(Backbone(name="backbone")(stages[0], train))
        logits = {"atomic": nn.Dense(5, name="Logits")(stages[1].mean((1, 2, 3)))}
        return logits, dict(zip(("stem", "backbone"), stages, strict=True))


@pytest.fixture(autouse=True)
def _nested(monkeypatch):
    """`nested` is a network like the others, which are slow to compile."""
    nested = {"CHOICES": {"variant": ("",)}, "INPUT": "clips", "HEADS": ("Logits",), "STEM": ("stem",)}
    nested = types.SimpleNamespace(**nested, build=lambda config, heads: Nested())
    monkeypatch.setitem(models.MODELS, "nested", nested)


# Name -> config module, variants, modules that learn, shape of a clip.
NETWORKS = {
    "nested": (i3d, "", ("backbone/layer2", "Logits"), (2, 8, 8, 3)),
    "i3d": (i3d, "", ("Mixed_5c", "Logits"), (8, 32, 32, 3)),
    "tsn": (tsn, "", ("backbone/layer4_block2", "Logits"), (2, 32, 32, 3)),
    "stgcn": (stgcn, "", ("block9", "Logits"), (2, 8, 17, 3)),
}


def run_steps(name, modules, number=2, decay=0.1):
    """Variables before and after some steps, flattened, and the optimizer's state."""
    module, variants, _, shape = NETWORKS[name]
    config = module.get_config(variants)
    config.model.width, config.model.dropout, config.optimizer.trainable = 0.0625, 0.0, modules
    config.optimizer.weight_decay, config.optimizer.base_batch_size = decay, 0
    config.model.name = name
    model = models.build(config.model, {"atomic": 5})
    roles = models.parameter_roles(name, abstract_variables(model, shape))
    optimizer = make_optimizer(config.optimizer, 4, 10, roles)
    before = jax.jit(functools.partial(init_state, 0, shape, init=initializer(model), optimizer=optimizer))()
    options = {"model": model, "preprocess": lambda clips: clips, "optimizer": optimizer, "trainable": modules}
    options |= {"objective": OBJECTIVES["atomic"], "bn_momentum": 0.9}
    step = jax.jit(functools.partial(steps.train_step, **options, seed=0, accumulation_steps=1))
    rng = np.random.default_rng(0)
    batch = {"clips": rng.normal(size=(4, *shape)).astype(np.float32), "labels": {"atomic": np.arange(4)}}
    after = before
    for _ in range(number):
        after, metrics = step(after, batch)
        assert np.isfinite(metrics["loss"])
    flat = [traverse_util.flatten_dict({"p": s.params, "s": s.batch_stats}) for s in (before, after)]
    return *flat, after.opt_state


@pytest.mark.parametrize(
    "name", ["nested", *(pytest.param(name, marks=pytest.mark.slow) for name in ("i3d", "tsn", "stgcn"))]
)
def test_only_the_named_modules_change(name):
    modules = NETWORKS[name][2]
    before, after, opt_state = run_steps(name, modules)
    changed = {path for path in before if not np.array_equal(before[path], after[path])}
    wanted = {path for path in before if freeze.is_trainable(path[1:], modules)}
    assert changed <= wanted
    assert {path for path in wanted if path[-1] in ("kernel", "mean", "var")} <= changed
    assert any(path[-1] == "mean" for path in set(before) - wanted)  # frozen statistics were there to be kept
    sizes = [leaf.size for leaf in jax.tree.leaves(opt_state)]
    assert sum(sizes) <= sum(before[path].size for path in wanted if path[0] == "p") + 10


def test_without_trainable_modules_everything_changes():
    before, after, _ = run_steps("nested", ())
    assert all(not np.array_equal(before[path], after[path]) for path in before if path[-1] in ("kernel", "mean"))


def test_frozen_batchnorms_normalize_by_their_running_statistics():
    model, clips = Nested(), np.random.default_rng(0).normal(size=(2, 2, 8, 8, 3)).astype(np.float32)
    variables = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), clips)

    def stages(train, modules):
        with freeze.frozen_batchnorms(modules):
            return model.apply(variables, clips, train=train, mutable=["batch_stats"])[0][1]

    training, testing = stages(True, ("backbone", "Logits")), stages(False, ())
    np.testing.assert_allclose(training["stem"], testing["stem"], rtol=1e-5, atol=1e-6)
    assert np.abs(training["backbone"] - testing["backbone"]).max() > 0.1 * np.abs(training["backbone"]).max()


def test_a_step_has_no_gradient_of_what_is_frozen():
    """The optimizer here freezes nothing, so that a gradient would show."""
    options = {"model": Tiny(norm=False), "optimizer": optax.sgd(1.0)}
    start = init_state(0, (2, 8, 8, 3), init=initializer(options["model"]), optimizer=options["optimizer"])
    settings = {"seed": 0, "accumulation_steps": 1, "bn_momentum": 0.9, "trainable": ("Dense_0",)}
    settings |= {"objective": OBJECTIVES["atomic"], "preprocess": preprocess}
    after, metrics = jax.jit(functools.partial(steps.train_step, **options, **settings))(start, make_batch())
    same = jax.tree.map(np.array_equal, start.params, after.params)
    assert {name for name in same if jax.tree.all(same[name])} == {"Conv_0"}
    moved = jax.tree.map(np.subtract, start.params["Dense_0"], after.params["Dense_0"])
    assert float(metrics["grad_norm"]) == pytest.approx(float(optax.tree.norm(moved)), rel=1e-3)


def test_a_name_stands_for_a_whole_module():
    assert freeze.is_trainable(("Mixed_5b", "Branch_0"), ("Mixed_5b",))
    assert freeze.is_trainable(("backbone", "layer4_block0", "conv1"), ("backbone/layer4_block0",))
    assert not freeze.is_trainable(("Mixed_5bc", "Branch_0"), ("Mixed_5b",))
    assert not freeze.is_trainable(("backbone",), ("backbone/layer4_block0",))


def test_unknown_modules_are_all_named_at_once(tiny_config):
    tiny_config.optimizer.trainable = ("Mixed_5d", "Logits", "Mixed_6b")
    with pytest.raises(
        checks.ConfigError, match="trainable: the network has no module 'Mixed_5d'; did you mean 'Mixed_5.'.*'Mixed_6b'"
    ):
        experiment.create_experiment(tiny_config)


def test_parameters_of_the_last_three_layers_of_i3d():
    """HAA500 Table 8: the counts follow from the published network without gammas."""
    for classes, wanted in ((101, 4_860_245), (51, 4_808_995), (100, 4_859_220)):
        model = models.build(i3d.get_config().model, {"atomic": classes})
        clip = jax.ShapeDtypeStruct((1, 16, 64, 64, 3), np.float32)
        params = jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), clip)["params"]
        flat = traverse_util.flatten_dict(params)
        learns = [leaf for path, leaf in flat.items() if freeze.is_trainable(path, ("Mixed_5b", "Mixed_5c", "Logits"))]
        assert sum(leaf.size for leaf in learns) == wanted
