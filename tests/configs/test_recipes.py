"""Every recipe compared with its authors' files and code.

tests/facts/recipes.csv was read off the authors' files by hand; tests/facts/frames.csv, crops.csv and rates.csv are
what their code gives when it runs (tests/facts/authors.py). If a file and the code here differ, the code is wrong, or
the file lacks a line with a reason. docs/recipes.md shows all of it (recipes_page.py).
"""

import dataclasses
import functools
import importlib
import itertools

import jax
import numpy as np
import pytest
from flax import traverse_util

from haa_jax import experiment, models, streams
from haa_jax.configs import base
from haa_jax.data import augment, sampling
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.schedules import learning_rate
from haa_jax.models.parameters import abstract_variables
from haa_jax.streams import images
from tests.configs.recipes import RECIPES, at_test, configuration, every_row, expected, read, table
from tests.facts.draws import Draws

# Variants without a counterpart at the authors': defaults, and inputs that only HAA500's paper has.
OURS = {
    "i3d": {"rgb", "rgb+pose", "rgb+objects", "normalized", "last_three"},
    "slowfast": {"rgb", "flow", "pose"},
    "tsn": {"rgb"},
    "tpn": set(),
    "stgcn": set(),
}
FIRST_CONVOLUTION = {
    "resnet50": ("backbone", "stem", "conv"),
    "tsm": ("backbone", "stem", "conv"),
    "bninception": ("backbone", "conv1_7x7_s2", "conv"),
}


def setting(config, field: str):
    """A field of the config, or its value at test ("test.crop")."""
    section, _, name = field.partition(".")
    if section == "test":
        return config.eval[name] if name in ("windows", "crops", "average") else at_test(config)[name]
    return config[section][name]


def same(found, value) -> bool:
    """Whether two settings are equal; in tuples, one number is for all channels."""
    if isinstance(found, tuple) and isinstance(value, tuple):
        return {1, len(value)} >= {len(found)} and np.allclose(found, value, rtol=1e-6)
    return type(found) is type(value) and found == value


@pytest.mark.parametrize("recipe", RECIPES)
def test_settings(recipe):
    config = configuration(recipe)
    skipped = ("", "group", "frames", "crops")  # checked by other tests
    rows = [row for row in table("recipes.csv", recipe) if row["field"].partition(".")[0] not in skipped]
    wrong = [
        f"{row['field']} is {setting(config, row['field'])!r}, not {expected(row)!r}: {row['source']}"
        for row in rows
        if not same(setting(config, row["field"]), expected(row))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_deviation_differs_and_has_a_reason():
    for row in every_row("recipes.csv"):
        assert row["source"], row
        assert row["value"] or row["ours"], row
        assert bool(row["ours"]) == bool(row["why"]), row
        assert not row["ours"] or not same(read(row["ours"]), read(row["value"])), row


def test_every_variant_of_every_config_is_compared():
    for name, ours in OURS.items():
        variants = set(importlib.import_module(f"haa_jax.configs.{name}").VARIANTS) - set(base.VARIANTS)
        compared = [recipe.partition(":")[2].split(",") for recipe in RECIPES if recipe.partition(":")[0] == name]
        assert variants - ours == set(itertools.chain(*compared)) - {""}
    for recipe in RECIPES:
        fields = [row["field"] for row in table("recipes.csv", recipe) if row["field"]]
        assert sorted(set(fields)) == sorted(fields)


def authors_batch(recipe: str) -> int:
    (row,) = table("recipes.csv", recipe, field="optimizer.base_batch_size")
    return expected(row)


@pytest.mark.parametrize("recipe", RECIPES)
def test_rates(recipe):
    rows = table("rates.csv", recipe)
    length = float(rows[0]["of"])
    parts = 2000  # steps in an epoch, or in the unit of the table
    rate = learning_rate(configuration(recipe).optimizer, authors_batch(recipe), round(length * parts))
    found = {row["at"]: float(rate(round(float(row["at"]) * parts))) for row in rows}
    # The cosine's last thousandths are rounded in float32.
    assert found == pytest.approx({row["at"]: float(row["rate"]) for row in rows}, rel=2e-5, abs=1e-8)


@functools.cache
def variables_of(name: str, variant: str) -> dict:
    """Shapes of a network's variables; no stream changes their paths."""
    config = configuration(f"{name}:{variant}")
    config.model.width = 0.0625
    return abstract_variables(models.build(config.model, {"atomic": 5}), experiment.clip_shape(config))


def network(name: str, variant: str) -> tuple[list, set]:
    """(paths of the parameters, paths of the modules that normalize) of a network."""
    variables = variables_of(name, variant)
    norms = {path[:-1] for path in traverse_util.flatten_dict(variables["batch_stats"])}
    return list(traverse_util.flatten_dict(variables["params"])), norms


def groups(recipe: str) -> dict[tuple[str, ...], str]:
    """Parameter -> the group of the table that it belongs to."""
    model = configuration(recipe).model
    paths, norms = network(model.name, model.variant)
    first = FIRST_CONVOLUTION.get(model.variant) if model.name == "tsn" else None

    def group(path):
        if path[:-1] in norms:
            return "norm"
        if path[-1] not in ("kernel", "bias"):
            return "other"
        if path[0] in ("Logits", "AuxLogits"):
            return f"head {path[-1]}"
        return f"first {path[-1]}" if path[:-1] == first else path[-1]

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
    theirs = TorchSGD(
        float(table("rates.csv", recipe)[0]["rate"]), **settings, rate_factors=factors[0], decay_factors=factors[1]
    )
    length = round(float(table("rates.csv", recipe)[0]["of"])) * 10**6  # so long that the rate stays constant
    config = configuration(recipe)
    roles = models.parameter_roles(config.model.name, variables_of(config.model.name, config.model.variant))
    ours = make_optimizer(config.optimizer, authors_batch(recipe), length, roles)

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
        by_path = traverse_util.flatten_dict(jax.device_get(found))
        values = np.array([by_path[path] for path in kinds])
        close = np.isclose(values, update, rtol=1e-4, atol=1e-6 * abs(update).max())
        assert close.all(), (
            step,
            list(itertools.compress(zip(kinds.items(), values, update, strict=True), ~close))[:5],
        )
        params = params + update


def indices(cell: str) -> list[int]:
    """Frame numbers of a cell: "0 2 4", or "150-299"."""
    if "-" in cell:
        first, last = map(int, cell.split("-"))
        return list(range(first, last + 1))
    return [int(each) for each in cell.split()]


def our_frames(recipe: str, mode: str, length: int, fps: float, view: str) -> list[int]:
    """Frames of a training clip of `length` frames (or fields) with the draws `view`, or of window `view` at test."""
    config = configuration(recipe)
    positions = streams.num_positions(length + (config.data.stream == "flow"), config.data)
    if mode == "train":
        return sampling.train_positions(positions, fps, config.data, Draws(view)).tolist()
    return sampling.test_positions(positions, fps, at_test(config), config.eval.windows)[int(view)].tolist()


def within_a_frame_in_long_clips(found, theirs, row) -> bool:
    return int(row["length"]) > 64 and np.abs(np.subtract(found, theirs)).max() <= 1


def window_within_the_clip(found, theirs, row) -> bool:
    length = int(row["length"])
    return found == (np.arange(150) + Draws(row["view"]).integers(max(0, length - 150) + 1)).tolist()


def within_a_pixel(found, theirs, row) -> bool:
    return np.abs(np.subtract(found, theirs)).max() <= 1


# How far frames and crops may be from the authors', if recipes.csv lists a difference.
LIMITS = {
    ("slowfast", "frames.train"): within_a_frame_in_long_clips,
    ("slowfast", "frames.test"): within_a_frame_in_long_clips,
    ("stgcn", "frames.train"): window_within_the_clip,
    ("slowfast", "crops.train"): within_a_pixel,
    ("tpn", "crops.test"): within_a_pixel,
    ("tsn", "crops.test"): within_a_pixel,
}


def check(recipe: str, field: str, compared: list[tuple]) -> None:
    """Fails if ours and theirs differ, differ by more than listed, or no longer differ although listed."""
    limit = None
    if table("recipes.csv", recipe, field=field):
        limit = LIMITS[recipe.partition(":")[0], field]
        assert any(found != theirs for found, theirs, _ in compared), "a deviation is listed, but there is none"
    wrong = [
        f"{found} instead of {theirs}: {row}"
        for found, theirs, row in compared
        if found != theirs and not (limit and limit(found, theirs, row))
    ]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(compared)}", *wrong[:4]])


def cases(name: str) -> list[tuple[str, str]]:
    """Each (recipe, "train" or "test") that a table has rows about."""
    return [each for each in itertools.product(RECIPES, ("train", "test")) if table(name, each[0], mode=each[1])]


@pytest.mark.parametrize(("recipe", "mode"), cases("frames.csv"))
def test_frames(recipe, mode):
    rows = table("frames.csv", recipe, mode=mode)
    ours = [our_frames(recipe, mode, int(row["length"]), float(row["fps"]), row["view"]) for row in rows]
    theirs = [indices(row["indices"]) for row in rows]
    check(recipe, f"frames.{mode}", list(zip(ours, theirs, rows, strict=True)))


class Given:
    """A generator that draws given numbers and records the range of each draw."""

    def __init__(self, *numbers):
        self.numbers, self.asked = iter(numbers), []

    def integers(self, high):
        self.asked.append(high)
        return next(self.numbers)

    def random(self):
        return 1.0  # no mirroring


def every_box(height: int, width: int, data) -> list[images.Box]:
    """All boxes that `augment.train_box` can draw, if it draws a size and a position."""
    first = Given(0, 0)
    augment.train_box(height, width, data, streams.scales(data), first)
    every = itertools.product(*map(range, first.asked))
    return [augment.train_box(height, width, data, streams.scales(data), Given(*numbers)) for numbers in every]


def our_boxes(recipe: str, mode: str, height: int, width: int, view: str) -> list[images.Box]:
    config = configuration(recipe)
    if mode == "test":
        return augment.test_boxes(height, width, at_test(config).crop, config.eval.crops)
    if view == "every":
        return every_box(height, width, config.data)
    config.data.flip = False
    return [augment.train_box(height, width, config.data, streams.scales(config.data), Draws(view))]


@pytest.mark.parametrize(("recipe", "mode"), cases("crops.csv"))
def test_crops(recipe, mode):
    rows = table("crops.csv", recipe, mode=mode)
    compared = []
    for row in rows:
        boxes = our_boxes(recipe, mode, int(row["height"]), int(row["width"]), row["view"])
        found = sorted({tuple(map(int, dataclasses.astuple(box))) for box in boxes})
        compared.append((found, sorted({tuple(map(int, box.split())) for box in row["boxes"].split(";")}), row))
    check(recipe, f"crops.{mode}", compared)
