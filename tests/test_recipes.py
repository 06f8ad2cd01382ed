"""Every recipe beside the files of its authors, as tests/facts/*.csv hold them.

recipes.csv was read off the authors' files by hand: a field of the configuration, their value and where it stands, and
where ours differs on purpose what it is instead and why. An empty value is something that they do not say, an empty
field something that no field holds. frames.csv, crops.csv and rates.csv are what their code does when it is run
(tests/facts/authors.py). Where a file and the code differ, the code is wrong, or a line with a reason is missing.

    python -m tests.test_recipes

prints all of it as tables for the README.
"""

import ast
import csv
import fnmatch
import functools
import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from haa_jax import experiment, models, optim
from haa_jax.configs import base
from haa_jax.data import augment, pipeline, sampling
from tests.facts.draws import Draws

FACTS = pathlib.Path(__file__).parent / "facts"
RECIPES = (
    "i3d",
    "i3d:flow",
    "i3d:pose",
    "slowfast:4x16",
    "slowfast:8x8",
    "tsn:resnet50",
    "tsn:resnet50,flow",
    "tsn:bninception",
    "tsn:bninception,flow",
    "tsn:tsm",
    "tsn:tsm,flow",
    "tpn:slowonly",
    "tpn:tsm",
    "stgcn:coco17",
    "stgcn:openpose18",
)
# Words of configs/*.py for which there is nothing of the authors to compare with: inputs that only HAA500's paper has.
OURS = {"rgb", "pose", "rgb+pose", "rgb+objects", "normalised", "last_three"}
FIRST_CONVOLUTION = {
    "resnet50": ("backbone", "stem", "conv"),
    "tsm": ("backbone", "stem", "conv"),
    "bninception": ("backbone", "conv1_7x7_s2", "conv"),
}


def configuration(recipe: str):
    """What `--config=configs/NAME.py:WORDS` gives."""
    name, _, words = recipe.partition(":")
    return importlib.import_module(f"haa_jax.configs.{name}").get_config(words)


@functools.cache
def _table(name: str) -> list[dict]:
    with open(FACTS / name, newline="") as file:
        return list(csv.DictReader(file))


def table(name: str, recipe: str, **wanted: str) -> list[dict]:
    """The rows of a table that are about a recipe; its first column names some, as patterns."""
    rows = [row for row in _table(name) if any(fnmatch.fnmatch(recipe, each) for each in row["recipes"].split())]
    return [row for row in rows if all(row[column] == value for column, value in wanted.items())]


def read(text: str):
    """A number, a boolean or a tuple as it is written in a cell; else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def setting(config, field: str):
    """A field of the configuration, or of the test as the configuration has it ("test.crop")."""
    section, _, name = field.partition(".")
    if section == "test":
        return config.eval[name] if name in ("windows", "crops", "average") else at_test(config)[name]
    return config[section][name]


def at_test(config):
    """`config.data` at test."""
    return pipeline.at_test(config.data, config.eval)


def same(found, value) -> bool:
    """Equal; of tuples, one number stands for any number of channels."""
    if isinstance(value, tuple):
        return len(found) in (1, len(value)) and np.allclose(found, value, rtol=1e-6)
    return found == value


def expected(row: dict):
    """What ours is to be: the authors' value, but where the table says otherwise."""
    return read(row["ours"] or row["value"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_settings(recipe):
    config = configuration(recipe)
    rows = [row for row in table("recipes.csv", recipe) if row["field"] and not row["field"].startswith("group.")]
    wrong = [
        f"{row['field']} is {setting(config, row['field'])!r}, not {expected(row)!r}: {row['source']}"
        for row in rows
        if not same(setting(config, row["field"]), expected(row))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_deviation_differs_and_has_a_reason():
    for row in _table("recipes.csv"):
        assert row["value"] or row["ours"], row
        if row["ours"]:
            assert read(row["ours"]) != read(row["value"]), row
            assert row["why"], row


def test_every_word_of_a_configuration_is_compared():
    compared = {tuple(recipe.partition(":")[::2]) for recipe in RECIPES}
    for name in {name for name, _ in compared}:
        words = set(importlib.import_module(f"haa_jax.configs.{name}").WORDS) - set(base.WORDS) - OURS
        assert words == set(",".join(words for other, words in compared if other == name).split(",")) - OURS - {""}
    for recipe in RECIPES:
        fields = [row["field"] for row in table("recipes.csv", recipe) if row["field"]]
        assert len(set(fields)) == len(fields)
        assert all(any(row for row in table(f"{name}.csv", recipe)) for name in ("recipes", "rates")), recipe


def authors_batch(recipe: str) -> int:
    (row,) = table("recipes.csv", recipe, field="optimizer.base_batch_size")
    return expected(row)


@pytest.mark.parametrize("recipe", RECIPES)
def test_rates(recipe):
    rows = table("rates.csv", recipe)
    length = float(rows[0]["of"])
    parts = 2000  # steps in an epoch, or in the unit of the table
    rate = optim.learning_rate(configuration(recipe).optimizer, authors_batch(recipe), round(length * parts))
    found = {row["at"]: float(rate(round(float(row["at"]) * parts))) for row in rows}
    # The cosine's last thousandths are rounded in float32.
    assert found == pytest.approx({row["at"]: float(row["rate"]) for row in rows}, rel=2e-5, abs=1e-8)


@functools.cache
def network(name: str, variant: str, channels_of: str):
    """(paths of the parameters, paths of the modules that normalise) of a network with an auxiliary head if it can."""
    config = configuration(channels_of)
    config.model.width = 0.0625
    model = models.build(config.model, {"atomic": 5})
    clips = jax.ShapeDtypeStruct((1, *experiment.clip_shape(config)), jnp.float32)
    variables = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), clips)
    norms = {path[:-1] for path in traverse_util.flatten_dict(variables["batch_stats"])}
    return list(traverse_util.flatten_dict(variables["params"])), norms


def groups(recipe: str) -> dict[tuple[str, ...], str]:
    """Parameter -> the group of the table that it belongs to."""
    model = configuration(recipe).model
    paths, norms = network(model.name, model.variant, recipe)
    first = FIRST_CONVOLUTION.get(model.variant) if model.name == "tsn" else None

    def group(path):
        if path[:-1] in norms:
            return "norm"
        if path[-1] not in ("kernel", "bias"):
            return "other"
        return {"Logits": "head ", "AuxLogits": "head "}.get(path[0], "first " * (path[:-1] == first)) + path[-1]

    return {path: group(path) for path in paths}


class TorchSGD:
    """torch.optim.SGD in NumPy, with torch.nn.utils.clip_grad_norm_ before it (torch's documentation of both)."""

    def __init__(self, rate, momentum, nesterov, weight_decay, clip_norm, rate_factors, decay_factors):
        self.rate, self.momentum, self.nesterov = rate * rate_factors, momentum, nesterov
        self.weight_decay, self.clip_norm, self.buffer = weight_decay * decay_factors, clip_norm, None

    def update(self, gradients, params):
        if self.clip_norm:
            gradients = gradients * min(1.0, self.clip_norm / (np.linalg.norm(gradients) + 1e-6))
        gradients = gradients + self.weight_decay * params
        self.buffer = gradients if self.buffer is None else self.momentum * self.buffer + gradients
        return -self.rate * (gradients + self.momentum * self.buffer if self.nesterov else self.buffer)


@pytest.mark.parametrize("recipe", RECIPES)
def test_three_updates_of_every_parameter(recipe):
    """Groups, momentum, Nesterov, decay, clipping and their order; gradients are clipped at the second step only."""
    rows = {row["field"]: expected(row) for row in table("recipes.csv", recipe)}
    kinds = groups(recipe)
    assert {f"group.{kind}" for kind in kinds.values()} == {field for field in rows if field.startswith("group.")}
    factors = np.array([rows[f"group.{kind}"].split() for kind in kinds.values()], float).T
    settings = {name: rows[f"optimizer.{name}"] for name in ("momentum", "nesterov", "weight_decay", "clip_norm")}
    theirs = TorchSGD(float(table("rates.csv", recipe)[0]["rate"]), **settings, rate_factors=factors[0], decay_factors=factors[1])
    length = round(float(table("rates.csv", recipe)[0]["of"])) * 10**6  # so long that the rate stays as it is
    ours = optim.make_optimizer(configuration(recipe).optimizer, authors_batch(recipe), length)

    def tree(values):
        return traverse_util.unflatten_dict(dict(zip(kinds, np.float32(values), strict=True)))

    rng = np.random.default_rng(0)
    norm = settings["clip_norm"] or 1.0
    directions = rng.normal(size=(3, len(kinds)))
    gradients = norm * np.array([[0.5], [3.0], [0.8]]) * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    # Decay is as large as the gradients.
    params = rng.normal(size=len(kinds)) * norm / len(kinds) ** 0.5 / settings["weight_decay"]
    state = ours.init(tree(params))
    for step in range(3):
        found, state = ours.update(tree(gradients[step]), state, tree(params))
        update = theirs.update(gradients[step], params)
        for (path, kind), value, wanted in zip(kinds.items(), traverse_util.flatten_dict(found).values(), update, strict=True):
            assert float(value) == pytest.approx(wanted, rel=1e-4, abs=1e-6 * abs(update).max()), (step, path, kind)
        params = params + update


def indices(cell: str) -> list[int]:
    """Frame numbers of a cell: "0 2 4", or "150-299"."""
    if "-" in cell:
        first, last = map(int, cell.split("-"))
        return list(range(first, last + 1))
    return [int(each) for each in cell.split()]


def our_frames(recipe: str, mode: str, length: int, fps: float, view: str) -> list[int]:
    """Of a training clip with the draws `view`, or of window `view` at test; flow: the first field of each stack."""
    config = configuration(recipe)
    length = max(1, length - config.data.flow_stack + 1)
    if mode == "train":
        return sampling.train_positions(length, fps, config.data, Draws(view)).tolist()
    return sampling.test_positions(length, fps, at_test(config), config.eval.windows)[int(view)].tolist()


@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if not recipe.startswith("i3d")])
def test_frames(recipe, mode):
    rows = table("frames.csv", recipe, mode=mode)
    assert rows
    wrong = []
    for row in rows:
        where = mode, int(row["length"]), float(row["fps"]), row["view"]
        if (found := our_frames(recipe, *where)) != indices(row["indices"]):
            wrong.append(f"{where}: {found} instead of {row['indices']}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(rows)}, {rows[0]['source']}", *wrong[:5]])
