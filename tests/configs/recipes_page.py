"""Writes docs/recipes.md, every recipe and where it differs from its authors', from the configs and tests/facts:

python -m tests.configs.recipes_page > docs/recipes.md
"""

from haa_jax import streams
from haa_jax.data import sampling
from tests.configs.recipes import RECIPES, at_test, configuration, every_row, expected, table
from tests.facts.draws import Draws


def brief(numbers: list[int]) -> str:
    """Frame numbers in short: "0-6, 0-3", "0-62 by 2", "6 (x 25)"."""
    parts, start = [], 0
    while start < len(numbers):
        step = numbers[start + 1] - numbers[start] if start + 1 < len(numbers) else 0
        end = start + 1
        while end < len(numbers) and numbers[end] - numbers[end - 1] == step:
            end += 1
        if end - start < 3 and step:  # not a run: the second number may begin one
            end = start + 1
        first, last, count = numbers[start], numbers[end - 1], end - start
        if step == 0 or count == 1:
            parts.append(f"{first} (x {count})" if count > 1 else str(first))
        else:
            parts.append(f"{first}-{last}" + (f" by {step}" if step != 1 else ""))
        start = end
    return ", ".join(parts)


def frames_seen(recipe: str, length: int) -> tuple[str, str]:
    """The frames that a network sees of a clip of `length` frames, 30 per second: in training (draws of 0), at test."""
    config = configuration(recipe)
    positions = streams.num_positions(length, config.data)

    def text(numbers):
        inside = [int(number) for number in numbers if number < length]
        return brief(inside) + f", empty (x {len(numbers) - len(inside)})" * (len(inside) < len(numbers))

    trained = text(sampling.train_positions(positions, 30.0, config.data, Draws("0")))
    windows = sampling.test_positions(positions, 30.0, at_test(config), config.eval.windows)
    tested = [text(window) for window in windows]
    if len(set(tested)) == 1:
        return trained, tested[0] + f" ({len(windows)} times)" * (len(windows) > 1)
    return trained, f"{tested[0]}; last of {len(windows)}: {tested[-1]}"


def rates_text(recipe: str) -> str:
    """Where the rate drops, half a unit before a row of the table; or some of its values if it never stays constant."""
    rows = table("rates.csv", recipe)
    changes = [row for before, row in zip([{"rate": ""}, *rows], rows, strict=False) if row["rate"] != before["rate"]]
    stepped, unit = len(changes) < len(rows), "k steps" if recipe.startswith("i3d") else ""
    marks = [max(0.0, float(row["at"]) - 0.5 * stepped) for row in changes]
    return ", ".join(
        f"{float(row['rate']):.3g} {'from' if stepped else 'at'} {at:g}{unit}"
        for row, at in zip(changes, marks, strict=True)
    )


def recipe_row(recipe: str) -> list[str]:
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
        rates_text(recipe),
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

What `tests/configs/test_recipes.py` checks every config against, written by
`python -m tests.configs.recipes_page > docs/recipes.md`. The values are from the authors' files, and
`tests/facts/recipes.csv` has the source of each; the frames, crops and rates that the tests compare are what the
authors' code gives when it runs. "10 x 3" is ten windows of three crops; "5 x" is a group of parameters with a
learning-rate multiplier of 5.
"""


def page() -> str:
    headings = "config|epochs, batch|rate|SGD|rates of groups|dropout|training|mean / std|test: windows x crops|source"
    recipes = markdown(headings.split("|"), [recipe_row(recipe) for recipe in RECIPES])
    differing = [row for row in every_row("recipes.csv") if row["ours"]]
    columns = ["recipes", "field", "value", "ours", "why", "source"]
    cells = [[row[column] or "not given" * (column == "value") for column in columns] for row in differing]
    sections = [
        recipes,
        "## Where this project differs",
        markdown(["config", "field", "theirs", "ours", "why", "source"], cells),
        "## Frames that a network sees of clips of 7 to 300 frames at 30 per second",
    ]
    lengths = (7, 20, 40, 64, 300)
    for mode, name in enumerate(("in training (draws of 0)", "at test")):
        rows = [[f"`{recipe}`", *(frames_seen(recipe, length)[mode] for length in lengths)] for recipe in RECIPES]
        sections.append(markdown([name, *(f"clip of {length}" for length in lengths)], rows))
    return "\n\n".join([INTRODUCTION.strip(), *sections]) + "\n"


if __name__ == "__main__":
    print(page(), end="")
