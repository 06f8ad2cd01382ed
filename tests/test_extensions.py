"""A network, an optimizer, a schedule and an objective that come from outside, by one dict entry each."""

import types

import jax
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import traverse_util

from haa_jax import checks, evaluate, models, restore, train
from haa_jax.experiment import create_experiment
from haa_jax.learning import objectives, optimizers, schedules
from haa_jax.models.heads import LinearHeads, check_endpoints
from haa_jax.weights import importer

RATE = 2.0**-7  # so that its multiples are exact


class Toy(nn.Module):
    """A convolution, BatchNorm and linear heads on clips (batch, time, height, width, channels)."""

    heads: dict
    momentum: float

    @nn.compact
    def __call__(self, clips, *, train, endpoints=()):
        check_endpoints(endpoints, ["features"])
        x = nn.Conv(4, (1, 3, 3), (1, 2, 2), name="entry")(clips)
        x = nn.BatchNorm(use_running_average=not train, momentum=self.momentum, name="normalize")(x)
        x = nn.relu(x).mean((1, 2, 3))
        logits = LinearHeads(self.heads, 0.0, nn.initializers.normal(0.1), name="Top")(x, train=train)
        return logits, dict.fromkeys(endpoints, x)


NETWORK = types.SimpleNamespace(  # stands for a file of its own
    build=lambda config, heads: Toy(heads, config.bn_momentum),
    CHOICES={"variant": ("", "other")},
    INPUT="clips",
    HEADS=("Top",),
    STEM=("entry",),
    check=lambda config: ["the toy cannot use mixed signs"] if config.model.variant == "other" else [],
)


def sign_sgd(config, rate, decayed):
    return optax.chain(optax.add_decayed_weights(config.weight_decay, mask=decayed), optax.sign_sgd(rate))


def smoothed(logits, labels):
    """Cross-entropy with a twentieth of each label spread over all classes."""
    targets = {head: optax.smooth_labels(jax.nn.one_hot(labels[head], logits[head].shape[1]), 0.05) for head in logits}
    return sum(optax.softmax_cross_entropy(logits[head], targets[head]).mean() for head in logits)


AREA = objectives.Target("area", feature="area", names="area_names", of_class="areas")


AREA_AND_ATOMIC = objectives.Objective((AREA, objectives.ATOMIC), evaluated="area", loss=smoothed)


@pytest.fixture
def config(tiny_config, monkeypatch):
    """A training of two steps with everything from outside."""
    monkeypatch.setitem(models.MODELS, "toy", NETWORK)
    monkeypatch.setitem(optimizers.OPTIMIZERS, "sign_sgd", sign_sgd)
    monkeypatch.setitem(schedules.SCHEDULES, "constant", lambda config, peak, total_steps: lambda step: peak)
    monkeypatch.setitem(
        objectives.OBJECTIVES, "area", objectives.Objective((AREA, objectives.ATOMIC), "area", smoothed)
    )
    tiny_config.objective, tiny_config.model.name = "area", "toy"
    optimizer = tiny_config.optimizer
    optimizer.name, optimizer.schedule, optimizer.learning_rate = "sign_sgd", "constant", RATE
    optimizer.head_lr_multiplier, optimizer.stem_lr_multiplier, optimizer.weight_decay = 4.0, 2.0, 0.0
    tiny_config.train.epochs, tiny_config.train.steps = 0.0, 2
    return tiny_config


def test_they_train_and_are_evaluated(config, tmp_path):
    results = train.train_and_evaluate(config, tmp_path)
    assert results["evaluated_head"] == "area"
    assert {head: figures["top1"]["count"] for head, figures in results["heads"].items()} == {"area": 12, "atomic": 12}
    with np.load(tmp_path / "predictions.npz") as predictions:
        areas = predictions["area_classes"][predictions["area_labels"]]
        assert np.array_equal(areas, predictions["areas"])
    assert evaluate.evaluate_workdir(config, tmp_path) == results

    exp = create_experiment(config)
    before, restored = exp.fresh_state(), restore.restore_state(tmp_path, exp.abstract_state, exp.classes)
    assert restored.step == 2
    after = restored.state.variables
    moved = jax.tree.map(lambda a, b: np.abs(np.subtract(a, b)) / RATE, before.params, after["params"])
    lengths = {"entry": 2, "normalize": 1, "Top": 4}
    for name, length in {"entry": 2, "normalize": 1, "Top": 4}.items():
        lengths = set(np.concatenate([np.ravel(x).round(3) for x in jax.tree.leaves(moved[name])]))
        assert {2 * length} < lengths <= {0, length, 2 * length}  # to and fro, or without a gradient at one step

    started, fit = importer.start_from(str(tmp_path), config.model, before)
    assert fit.fits
    for path, leaf in traverse_util.flatten_dict(started.params).items():
        source = before.params if path[0] == "Top" else after["params"]
        assert np.array_equal(leaf, traverse_util.flatten_dict(source)[path])


def test_the_compiled_step_minimizes_the_objectives_loss(config, tmp_path, monkeypatch):
    """Of a constant, no parameter has a gradient, whose sign would move it."""
    constant = objectives.Objective((AREA,), "area", lambda logits, labels: 0.0 * logits["area"].sum())
    monkeypatch.setitem(objectives.OBJECTIVES, "area", constant)
    train.train_and_evaluate(config, tmp_path)
    exp = create_experiment(config)
    restored = restore.restore_state(tmp_path, exp.abstract_state, exp.classes)
    jax.tree.map(np.testing.assert_array_equal, exp.fresh_state().params, restored.state.params)


def test_their_own_checks_and_names_are_used(config):
    checks.check_config(config)
    config.model.variant, config.objective, config.optimizer.name = "other", "aria", "sign_sdg"
    with pytest.raises(checks.ConfigError) as error:
        checks.check_config(config)
    assert "the toy cannot use mixed signs" in str(error.value)
    assert "must be one of atomic, composite, joint, multi_label, area; did you mean 'area'" in str(error.value)
    assert "must be one of sgd, adamw, sign_sgd; did you mean 'sign_sgd'" in str(error.value)
    config.data.stream = "skeleton"
    with pytest.raises(checks.ConfigError, match="config.model.name='toy' cannot take config.data.stream='skeleton'"):
        checks.check_config(config)
