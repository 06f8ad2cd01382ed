"""Every recipe beside the files of its authors, as tests/facts/*.csv hold them.

recipes.csv was read off the authors' files by hand: a field of the configuration, their value and where it stands, and
where ours differs on purpose what it is instead and why. An empty value is something that they do not say, an empty
field something that no field holds. frames.csv, crops.csv and rates.csv are what their code does when it is run
(tests/facts/authors.py). Where a file and the code differ, the code is wrong, or a line with a reason is missing.

    python -m tests.configs.test_recipes > docs/recipes.md

writes all of it as a page.
"""

import ast
import csv
import dataclasses
import fnmatch
import functools
import importlib
import itertools
import pathlib

import jax
import numpy as np
import pytest
from flax import traverse_util

from haa_jax import experiment, models, streams
from haa_jax.configs import base
from haa_jax.data import augment, pipeline, sampling
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.schedules import learning_rate
from haa_jax.models.parameters import abstract_variables
from tests.facts.draws import Draws

FACTS = pathlib.Path(__file__).parent.parent / "facts"
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
# Words for which the authors have nothing to compare with: defaults, and inputs that only HAA500's paper has.
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


def configuration(recipe: str):
    """What `--config=configs/NAME.py:VARIANTS` gives."""
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
    if isinstance(found, tuple) and isinstance(value, tuple):
        return {1, len(value)} >= {len(found)} and np.allclose(found, value, rtol=1e-6)
    return type(found) is type(value) and found == value


def expected(row: dict):
    """What ours is to be: the authors' value, but where the table says otherwise."""
    return read(row["ours"] or row["value"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_settings(recipe):
    config = configuration(recipe)
    skipped = ("", "group", "frames", "crops")  # what other tests look at
    rows = [row for row in table("recipes.csv", recipe) if row["field"].partition(".")[0] not in skipped]
    wrong = [
        f"{row['field']} is {setting(config, row['field'])!r}, not {expected(row)!r}: {row['source']}"
        for row in rows
        if not same(setting(config, row["field"]), expected(row))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_deviation_differs_and_has_a_reason():
    for row in _table("recipes.csv"):
        assert row["source"], row
        assert row["value"] or row["ours"], row
        assert bool(row["ours"]) == bool(row["why"]), row
        assert not row["ours"] or not same(read(row["ours"]), read(row["value"])), row


def test_every_word_of_every_configuration_is_compared():
    for name, ours in OURS.items():
        words = set(importlib.import_module(f"haa_jax.configs.{name}").VARIANTS) - set(base.VARIANTS)
        compared = [recipe.partition(":")[2].split(",") for recipe in RECIPES if recipe.partition(":")[0] == name]
        assert words - ours == set(itertools.chain(*compared)) - {""}
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
    length = round(float(table("rates.csv", recipe)[0]["of"])) * 10**6  # so long that the rate stays as it is
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
    """Of a training clip of `length` frames, or fields, with the draws `view`, or of window `view` at test."""
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


# How far frames and crops may be from the authors' where recipes.csv says that they differ.
LIMITS = {
    ("slowfast", "frames.train"): within_a_frame_in_long_clips,
    ("slowfast", "frames.test"): within_a_frame_in_long_clips,
    ("stgcn", "frames.train"): window_within_the_clip,
    ("slowfast", "crops.train"): within_a_pixel,
    ("tpn", "crops.test"): within_a_pixel,
    ("tsn", "crops.test"): within_a_pixel,
}


def check(recipe: str, field: str, compared: list[tuple]) -> None:
    """Fails where ours and theirs differ, or differ by more than the table says, or no longer differ."""
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
    """(recipe, "train" or "test") that a table knows."""
    return [each for each in itertools.product(RECIPES, ("train", "test")) if table(name, each[0], mode=each[1])]


@pytest.mark.parametrize(("recipe", "mode"), cases("frames.csv"))
def test_frames(recipe, mode):
    rows = table("frames.csv", recipe, mode=mode)
    ours = [our_frames(recipe, mode, int(row["length"]), float(row["fps"]), row["view"]) for row in rows]
    theirs = [indices(row["indices"]) for row in rows]
    check(recipe, f"frames.{mode}", list(zip(ours, theirs, rows, strict=True)))


class Given:
    """A generator that draws given numbers, and notes how many there were to draw from."""

    def __init__(self, *numbers):
        self.numbers, self.asked = iter(numbers), []

    def integers(self, high):
        self.asked.append(high)
        return next(self.numbers)

    def random(self):
        return 1.0  # no mirroring


def every_box(height: int, width: int, data) -> list[augment.Box]:
    """All that `augment.train_box` can draw where it draws a size and a place."""
    first = Given(0, 0)
    augment.train_box(height, width, data, streams.scales(data), first)
    every = itertools.product(*map(range, first.asked))
    return [augment.train_box(height, width, data, streams.scales(data), Given(*numbers)) for numbers in every]


def our_boxes(recipe: str, mode: str, height: int, width: int, view: str) -> list[augment.Box]:
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


def brief(numbers: list[int]) -> str:
    """Frame numbers in few words: "0-6, 0-3", "0-62 by 2", "6 (x 25)"."""
    parts, start = [], 0
    while start < len(numbers):
        step = numbers[start + 1] - numbers[start] if start + 1 < len(numbers) else 0
        end = start + 1
        while end < len(numbers) and numbers[end] - numbers[end - 1] == step:
            end += 1
        if end - start < 3 and step:  # no run: the second number may begin one
            end = start + 1
        first, last, count = numbers[start], numbers[end - 1], end - start
        if step == 0 or count == 1:
            parts.append(f"{first} (x {count})" if count > 1 else str(first))
        else:
            parts.append(f"{first}-{last}" + (f" by {step}" if step != 1 else ""))
        start = end
    return ", ".join(parts)


def seen(recipe: str, length: int) -> tuple[str, str]:
    """What a network is shown of a clip of so many frames, 30 a second: in training with draws of 0, and at test."""
    config = configuration(recipe)
    positions = streams.num_positions(length, config.data)

    def words(numbers):
        inside = [int(number) for number in numbers if number < length]
        return brief(inside) + f", empty (x {len(numbers) - len(inside)})" * (len(inside) < len(numbers))

    trained = words(sampling.train_positions(positions, 30.0, config.data, Draws("0")))
    windows = sampling.test_positions(positions, 30.0, at_test(config), config.eval.windows)
    tested = [words(window) for window in windows]
    if len(set(tested)) == 1:
        return trained, tested[0] + f" ({len(windows)} times)" * (len(windows) > 1)
    return trained, f"{tested[0]}; last of {len(windows)}: {tested[-1]}"


def rates_in_words(recipe: str) -> str:
    """Where the rate drops, half a unit before the table looks; or its course where it never stays."""
    rows = table("rates.csv", recipe)
    changes = [row for before, row in zip([{"rate": ""}, *rows], rows, strict=False) if row["rate"] != before["rate"]]
    stepped, unit = len(changes) < len(rows), "k steps" if recipe.startswith("i3d") else ""
    marks = [max(0.0, float(row["at"]) - 0.5 * stepped) for row in changes]
    return ", ".join(
        f"{float(row['rate']):.3g} {'from' if stepped else 'at'} {at:g}{unit}"
        for row, at in zip(changes, marks, strict=True)
    )


def recipe_in_words(recipe: str) -> list[str]:
    config = configuration(recipe)
    data, optimizer, evaluation = config.data, config.optimizer, config.eval
    rows = table("recipes.csv", recipe)
    kinds = {row["field"].removeprefix("group."): expected(row) for row in rows if row["field"].startswith("group.")}
    by_factors = {factors: [kind for kind in kinds if kinds[kind] == factors] for factors in kinds.values()}
    draws = [
        data.augment,
        f"short side {data.resize}" + f" to {data.resize_max}" * bool(data.resize_max),
        str(data.crop),
    ]
    draws += [name for name in ("flip", "color_jitter", "random_move") if data[name]]
    skeleton = data.stream == "skeleton"
    views = f"{evaluation.windows} x {evaluation.crops}, {at_test(config).frames} frames"
    channels = (
        "BGR " * data.bgr + f"({', '.join(f'{x:g}' for x in data.mean)}) / ({', '.join(f'{x:g}' for x in data.std)})"
    )
    return [
        f"`{recipe}`",
        f"{config.train.epochs:g} of {optimizer.base_batch_size}",
        rates_in_words(recipe),
        f"{optimizer.momentum:g}{' Nesterov' * optimizer.nesterov}, decay {optimizer.weight_decay:g}, "
        + (f"clip {optimizer.clip_norm:g}" if optimizer.clip_norm else "no clip"),
        "; ".join(
            f"{factors.split()[0]} x{'' if factors.endswith(' 1') else ' without decay'}: {', '.join(members)}"
            for factors, members in by_factors.items()
        ),
        f"{config.model.dropout:g}",
        ", ".join(name for name in ("random_move",) if data[name]) if skeleton else ", ".join(draws),
        "" if skeleton else channels,
        views if skeleton else f"{views} of {at_test(config).crop}, {evaluation.average}",
        ", ".join(sorted({row["source"].split()[0] for row in rows if "@" in row["source"]})),
    ]


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


INTRODUCTION = """# Recipes

What `tests/configs/test_recipes.py` holds every configuration to, written by
`python -m tests.configs.test_recipes > docs/recipes.md`. Values are from
the authors' files, which `tests/facts/recipes.csv` names one by one; the frames, crops and rates of the tests are what
their code gives when it runs. "10 x 3" is ten windows of three crops; "5 x" is a group of parameters
that learns five times as fast.
"""


def page() -> str:
    words = "config|epochs, batch|rate|SGD|rates of groups|dropout|training|mean / std|test: windows x crops|source"
    recipes = markdown(words.split("|"), [recipe_in_words(recipe) for recipe in RECIPES])
    differing = [row for row in _table("recipes.csv") if row["ours"]]
    columns = ["recipes", "field", "value", "ours", "why", "source"]
    cells = [[row[column] or "not said" * (column == "value") for column in columns] for row in differing]
    sections = [
        recipes,
        "## Where ours differ",
        markdown(["config", "field", "theirs", "ours", "why", "source"], cells),
        "## Frames that a network sees of clips of 7 to 300 frames, 30 a second",
    ]
    lengths = (7, 20, 40, 64, 300)
    for mode, name in enumerate(("in training (draws of 0)", "at test")):
        rows = [[f"`{recipe}`", *(seen(recipe, length)[mode] for length in lengths)] for recipe in RECIPES]
        sections.append(markdown([name, *(f"clip of {length}" for length in lengths)], rows))
    return "\n\n".join([INTRODUCTION.strip(), *sections]) + "\n"


def test_the_page_is_what_the_tables_say():
    written = FACTS.parent.parent / "docs" / "recipes.md"
    assert written.read_text() == page(), "python -m tests.configs.test_recipes > docs/recipes.md"


if __name__ == "__main__":
    print(page(), end="")
