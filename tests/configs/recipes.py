"""The recipes, and what tests/facts has on each of them.

recipes.csv has a row per value in the authors' files: the config field that holds it ("" if none does), the value (""
if the authors give none) and its source; where this project differs on purpose, also our value and why. The other
tables are what the authors' code gives when it runs. The first column of each has the recipes that a row is about, as
patterns.
"""

import ast
import csv
import fnmatch
import functools
import importlib
import pathlib

from haa_jax.data import pipeline

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


def configuration(recipe: str):
    """What `--config=configs/NAME.py:VARIANTS` gives."""
    name, _, variants = recipe.partition(":")
    return importlib.import_module(f"haa_jax.configs.{name}").get_config(variants)


@functools.cache
def every_row(name: str) -> list[dict]:
    with open(FACTS / name, newline="") as file:
        return list(csv.DictReader(file))


def table(name: str, recipe: str, **wanted: str) -> list[dict]:
    """The rows of a table that are about a recipe and have the wanted values in some columns."""
    rows = [row for row in every_row(name) if any(fnmatch.fnmatch(recipe, each) for each in row["recipes"].split())]
    return [row for row in rows if all(row[column] == value for column, value in wanted.items())]


def read(text: str):
    """The number, boolean or tuple in a cell; any other text as it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def expected(row: dict):
    """What our value must be: the authors', or ours where the row has one."""
    return read(row["ours"] or row["value"])


def at_test(config):
    """`config.data` at test."""
    return pipeline.at_test(config.data, config.eval)
